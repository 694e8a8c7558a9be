# A set that is overtaken: between looking which version is the highest and storing the next
# one, others set so often that its version was given, and trimmed, already.  What set
# has confirmed is what get returns, or somebody set it later.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use Test::More;
use Time::HiRes qw(sleep);

my $node = new_vault('overtaken');
add_role($node, 'regress_kv_service', 'service');

# A set of this key waits where it has decided on its version: in a trigger, or
# in the policy, before the row is stored
$node->safe_psql('postgres', q{
	CREATE TABLE public.gate ();
	CREATE FUNCTION public.wait() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
	BEGIN
		IF current_setting('application_name') = 'slow' THEN
			LOCK TABLE public.gate IN SHARE MODE;
		END IF;
		RETURN NEW;
	END $$;
	CREATE TRIGGER wait BEFORE INSERT ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION public.wait();
	CREATE FUNCTION public.wait_for(u text, p text, l text, v int) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$
	BEGIN
		IF current_setting('application_name') = 'slow' AND NOT EXISTS (
			SELECT FROM key_vault_data.secrets WHERE (user_id, provider, label, version) = (u, p, l, v))
		THEN
			LOCK TABLE public.gate IN SHARE MODE;
		END IF;
		RETURN true;
	END $$});

my $gate = session($node);
my $super = session($node);
my $other = session($node, 'regress_kv_service');
my $set = 'SELECT key_vault.set($1, $2, $3)';
my $get = 'SELECT key_vault.get($1, $2)';
my $number = 0;

sub waits
{
	my ($pid) = @_;
	for (1 .. 1000)
	{
		return if $super->value(q{SELECT coalesce(wait_event_type, '') FROM pg_stat_activity WHERE pid = $1::int}, $pid) eq 'Lock';
		sleep 0.01;
	}
	die 'it does not wait';
}

# Starts a set, does something else while it waits, and tells what became of it.
sub overtake
{
	my ($user, $sql, $meanwhile, @before) = @_;
	my $slow = session($node, 'regress_kv_service');
	$slow->run(@before, q{SET application_name = 'slow'});
	$gate->run('BEGIN', 'LOCK TABLE public.gate');
	$slow->send($sql, $user, 'gemini', "AIza-slow-of-$user");
	waits($slow->pid);
	$meanwhile->($user);
	$gate->run('ROLLBACK');
	return $slow->receive;
}

sub sets
{
	my ($times) = @_;
	return sub { my ($user) = @_; $other->value($set, $user, 'gemini', 'AIza-fast-' . ++$number) for 1 .. $times; };
}

# --- A trigger has the row written another way; a policy that is a single one has not

for my $way ('trigger', 'policy')
{
	$super->run('DROP TRIGGER wait ON key_vault_data.secrets',
		'ALTER POLICY own_rows ON key_vault_data.secrets
			USING (user_id = key_vault.current_user_id() AND public.wait_for(user_id, provider, label, version))')
		if $way eq 'policy';

	# READ COMMITTED: it is stored all the same, as the newest

	for my $times (1 .. 6)
	{
		for my $existing (0, 1, 5)
		{
			my $user = "${way}_${times}_$existing";
			my $name = "$way: $existing versions, then overtaken $times times";
			$other->value($set, $user, 'gemini', "AIza-old-$_") for 1 .. $existing;
			my $result = overtake($user, $set, sets($times));
			is($result->{rows}[0][0], $existing + $times + 1, "$name: its version is the next") or diag(explain($result->{error}));
			is($other->value($get, $user, 'gemini'), "AIza-slow-of-$user", "$name: and is the current one");
			my $kept = $existing + $times + 1;
			is($super->value(q{SELECT string_agg(version::text, ',' ORDER BY version) FROM key_vault.secrets WHERE user_id = $1}, $user),
				join(',', ($kept > 3 ? $kept - 2 : 1) .. $kept), "$name: nothing else is left");
		}
	}

	# if_version does not hold any more

	for my $existing (0, 1)
	{
		my $user = "${way}_if_$existing";
		$other->value($set, $user, 'gemini', 'AIza-old') for 1 .. $existing;
		my $result = overtake($user, "SELECT key_vault.set(\$1, \$2, \$3, if_version => $existing)", sets(4));
		is($result->{error}{state}, '55000', "if_version => $existing, overtaken four times: it does not hold");
		is($other->value($get, $user, 'gemini'), "AIza-fast-$number", 'and the other\'s is current');
	}

	# Other isolation levels fail, and can be tried again

	for my $level ('REPEATABLE READ', 'SERIALIZABLE')
	{
		my $user = "${way}_" . lc $level;
		my $result = overtake($user, $set, sets(4), "SET default_transaction_isolation = '$level'");
		is($result->{error}{state}, '40001', "$level, overtaken four times: a serialization failure");
		is($other->value($get, $user, 'gemini'), "AIza-fast-$number", "$level: and the other's is current");
		is($super->value('SELECT count(*) FROM key_vault.secrets WHERE user_id = $1', $user), 3, "$level: nothing of it is left");
	}

	# Removed meanwhile

	{
		my $result = overtake("${way}_deleted", $set, sub { sets(4)->(@_); $other->value('SELECT key_vault.delete($1, $2)', $_[0], 'gemini'); });
		is($result->{error}, undef, 'set and deleted meanwhile: it is stored');
		is($other->value($get, "${way}_deleted", 'gemini'), "AIza-slow-of-${way}_deleted", 'and is the current one');
		$other->value($set, "${way}_again", 'gemini', "AIza-old-$_") for 1 .. 4;
		$result = overtake("${way}_again", $set, sub { $other->value('SELECT key_vault.delete($1, $2)', $_[0], 'gemini'); sets(2)->(@_); });
		is($result->{rows}[0][0], 5, 'deleted and set anew meanwhile: its version is above both');
		is($other->value($get, "${way}_again", 'gemini'), "AIza-slow-of-${way}_again", 'and is the current one');
	}

	# rollback and import go the same way

	{
		my $user = "${way}_rollback";
		$other->value($set, $user, 'gemini', "AIza-old-$_") for 1 .. 2;
		my $slow = session($node, 'regress_kv_service');
		$slow->run(q{SET application_name = 'slow'});
		$gate->run('BEGIN', 'LOCK TABLE public.gate');
		$slow->send('SELECT key_vault.rollback($1, $2, 1)', $user, 'gemini');
		waits($slow->pid);
		sets(4)->($user);
		$gate->run('ROLLBACK');
		is($slow->receive->{rows}[0][0], 7, 'rollback, overtaken four times: its version is the next');
		is($other->value($get, $user, 'gemini'), 'AIza-old-1', 'and is the current one');
	}
}

# --- Many at once that keep no versions

$super->run('ALTER POLICY own_rows ON key_vault_data.secrets USING (user_id = key_vault.current_user_id())',
	'ALTER ROLE regress_kv_service SET key_vault.keep_versions = 0');
{
	my @sessions = map { session($node, 'regress_kv_service') } 1 .. 16;
	my $end = time + ($ENV{KV_LONG} ? 30 : 3);
	my (%given, @twice);
	my $sets = 0;
	$_->send($set, 'user_many', 'gemini', 'AIza-many') for @sessions;
	while (@sessions)
	{
		for my $session (@sessions)
		{
			my $result = $session->ready or next;
			my $version = $result->{error} ? "$result->{error}{state} $result->{error}{message}" : $result->{rows}[0][0];
			$sets++;
			push @twice, $version if $given{$version}++;
			if (time < $end) { $session->send($set, 'user_many', 'gemini', 'AIza-many'); }
			else { $session->{done} = 1; }
		}
		@sessions = grep { !$_->{done} } @sessions;
	}
	note "$sets sets of one key";
	is_deeply(\@twice, [], 'no version is given twice');
	is($super->value(q{SELECT string_agg(version::text, ',') FROM key_vault.secrets WHERE user_id = 'user_many'}), $sets, 'nor left out');
}

done_testing();
