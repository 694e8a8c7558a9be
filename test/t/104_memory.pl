# A session's memory stays flat: over a great many gets, the straight way and the planner's
# way, over sets, and over errors and cancels mixed in.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $gets = $ENV{KV_LONG} ? 1_000_000 : 100_000;
my $errors = $ENV{KV_LONG} ? 50_000 : 10_000;
my $warm_up = 4;    # until old versions are trimmed
my $slack = 64;    # kB that a session may grow by; a leak of one byte a get is more

plan skip_all => 'this system tells nothing of processes in /proc' unless -r '/proc/self/status';

my $node = new_vault('memory', conf => "log_statement = none\nlog_min_messages = fatal\njit = off\n");
add_role($node, 'regress_kv_service', 'service');
add_role($node, 'regress_kv_tenant', 'user', 'user_1');
$node->safe_psql('postgres', q{
	GRANT pg_read_all_stats TO regress_kv_service, regress_kv_tenant;
	SELECT count(key_vault.set('user_' || n, 'gemini', 'AIza-of-user_' || n)) FROM generate_series(1, 1000) n;
	SELECT key_vault.set('user_tampered', 'gemini', 'AIza-tampered');
	UPDATE key_vault_data.secrets SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) WHERE user_id = 'user_tampered'});

# What a backend uses, in kB: by PostgreSQL's own books, and the pages that are its alone.
# An error drops what get() keeps to be fast, so that it is called before
sub memory
{
	my ($session) = @_;
	$session->value(q{SELECT key_vault.get(coalesce(key_vault.current_user_id(), 'user_7'), 'gemini')});
	my $contexts = $session->value('SELECT sum(total_bytes) / 1024 FROM pg_backend_memory_contexts');
	my ($pages) = slurp_file('/proc/' . $session->pid . '/status') =~ /^RssAnon:\s+(\d+) kB/m;
	return { contexts => int $contexts, pages => $pages };
}

# Runs work until everything that is kept is there, and then again and again.  With tries, what
# grew is run anew, as often at most: a page that is touched first then is not again, but what
# leaks grows each time.
sub stays_flat
{
	my ($name, $session, $work, $times, $tries) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	for (1 .. $warm_up) { $work->(); memory($session); }
	my $start = time;
	my ($before, $after);
	for (1 .. $tries // 1)
	{
		$before = memory($session);
		$work->() for 1 .. $times;
		$after = memory($session);
		last if $after->{pages} - $before->{pages} <= $slack;
	}
	note sprintf '%s: %.1f s, contexts %d to %d kB, pages %d to %d kB', $name, time - $start,
	  map { $before->{$_}, $after->{$_} } qw(contexts pages);
	cmp_ok($after->{contexts} - $before->{contexts}, '<=', $slack, "$name: memory contexts");
	cmp_ok($after->{pages} - $before->{pages}, '<=', $slack, "$name: pages");
	return;
}

# --- Gets

my $many = q{SELECT count(key_vault.get('user_' || 1 + n % 1000, 'gemini')) FROM generate_series(1, 10000) n};
my $service = session($node, 'regress_kv_service');
stays_flat("get, the straight way, $gets times", $service, sub { $service->value($many) }, $gets / 10000);

my $tenant = session($node, 'regress_kv_tenant');
stays_flat('get by identity, 10000 times', $tenant,
	sub { $tenant->value(q{SELECT count(key_vault.get(NULL, 'gemini')) FROM generate_series(1, 1000)}) }, 10);

my $super = session($node);
$super->run('CREATE POLICY harmless ON key_vault_data.secrets AS RESTRICTIVE USING (true)');
stays_flat('get, the planner\'s way, ' . $gets / 10 . ' times', $service, sub { $service->value($many) }, $gets / 100_000);
$super->run('DROP POLICY harmless ON key_vault_data.secrets');

stays_flat('get, a statement each', $service,
	sub { $service->value(q{SELECT key_vault.get('user_7', 'gemini')}) for 1 .. 1000 }, $gets / 100_000 * 2);
stays_flat('get in a transaction with an identity each', $service, sub {
	for (1 .. 200)
	{
		$service->run('BEGIN', q{SET LOCAL key_vault.user_id = 'user_7'});
		$service->value(q{SELECT key_vault.get(NULL, 'gemini')});
		$service->run('COMMIT');
	}
}, 5);

my %others = (
	get_all => q{SELECT count(key_vault.get_all('user_' || n)) FROM generate_series(1, 1000) n},
	list => q{SELECT count(*) FROM generate_series(1, 1000) n, key_vault.list('user_' || n)},
	onboarding => q{SELECT count(*) FROM generate_series(1, 200) n, key_vault.onboarding('user_' || n)},
	set => q{SELECT count(key_vault.set('user_' || n, 'exa', 'exa-key-' || n)) FROM generate_series(1, 500) n},
	'set of a key that expires' => q{SELECT count(key_vault.set('user_' || n, 'exa', 'exa-key-' || n, expires_at => now() + '1 day'))
		FROM generate_series(1, 500) n},
	'set and delete' => q{SELECT count(key_vault.delete('user_' || n, 'openai')) FROM generate_series(1, 500) n
		WHERE key_vault.set('user_' || n, 'openai', 'sk-' || n) > 0},
	rollback => q{SELECT count(key_vault.rollback('user_' || n, 'gemini', (SELECT max(version) FROM key_vault.versions('user_' || n, 'gemini'))))
		FROM generate_series(1, 200) n});
for my $other (sort keys %others)
{
	my $session = session($node, 'regress_kv_service');
	stays_flat($other, $session, sub { $session->value($others{$other}) }, 5);
}

# --- Errors

# By plpgsql, in a subtransaction each
my $in_block = q{DO $$
DECLARE wrong int := 0;
BEGIN
	FOR n IN 1 .. 1000 LOOP
		BEGIN
			PERFORM CASE n % 4
				WHEN 0 THEN key_vault.get('user_tampered', 'gemini')
				WHEN 1 THEN key_vault.get('user_' || n, 'no_such_provider')
				WHEN 2 THEN key_vault.require('user_nobody', 'gemini')
				ELSE key_vault.set('user_7', 'gemini', 'AIza-7', if_version => 77)::text END;
		EXCEPTION WHEN data_corrupted OR undefined_object OR no_data_found OR object_not_in_prerequisite_state THEN
			wrong := wrong + 1;
		END;
		PERFORM key_vault.get('user_7', 'gemini');
	END LOOP;
	ASSERT wrong = 1000;
END $$};
$service->run($in_block);
stays_flat("errors in subtransactions, $errors", $service, sub { $service->run($in_block) }, $errors / 1000);

$service->run(q{SET key_vault.user_id = 'user_1'});
my %states = (
	q{SELECT key_vault.get('user_2', 'gemini')} => '42501',
	q{SELECT key_vault.set('user_2', 'gemini', 'AIza-other')} => '42501',
	q{SELECT key_vault.get(NULL, 'no_such_provider')} => '42704',
	q{SELECT key_vault.set(NULL, 'gemini', '')} => '22023',
	q{SELECT key_vault.get(NULL, 'gemini')} => undef);
my %got;
stays_flat('errors that end the statement', $service, sub {
	for my $sql (sort keys %states)
	{
		$got{$sql}{ $service->query($sql)->{error}{state} // '' }++ for 1 .. 50;
	}
}, $errors / 1000);
is_deeply(\%got, { map { my $n = 50 * ($errors / 1000 + $warm_up); $_ => { ($states{$_} // '') => $n } } keys %states }, 'each error was the one meant');
$service->run('RESET key_vault.user_id');

# --- Cancels, at any moment

my $cancelled = 0;
my $runs = $errors / 50;
my $canceller = sub {
	my ($sql) = @_;
	return sub {
		for (1 .. $runs / 10)
		{
			1 while $service->simple('SET statement_timeout = ' . (1 + int rand 4))->{error};
			$cancelled++ if ($service->query($sql)->{error}{state} // '') eq '57014';
			1 while $service->simple('SET statement_timeout = 0')->{error};
		}
		# and one that is not: what set() keeps to be fast is there each time that is measured
		$service->value(q{SELECT key_vault.set('user_7', 'exa', 'exa-key-7')});
	};
};
stays_flat('gets that are cancelled', $service, $canceller->($many), 10, 3);
stays_flat('sets that are cancelled', $service,
	$canceller->(q{SELECT count(key_vault.set('user_' || n, 'exa', 'exa-key-' || n)) FROM generate_series(1, 1000) n}), 10, 3);
cmp_ok($cancelled, '>', $runs, 'most of them were') or note $cancelled;
outcome_is($service, 'AIza-of-user_7', 'and the session works', q{SELECT key_vault.get('user_7', 'gemini')});

done_testing();
