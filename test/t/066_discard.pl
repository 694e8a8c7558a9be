# discard_secrets() with a root key that is really lost: it says who keeps a row, runs once, goes on
# after it was cut short, and stops as soon as the keyring is back, or cannot be read.
use strict;
use warnings;

use File::Copy qw(copy);
use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = new_vault('discard');
my $ring = keyring_path($node);
my $session = session($node);
my $lost = $session->value('SELECT id FROM key_vault.root_keys');
my $call = "CALL key_vault.discard_secrets('$lost', 2)";
my $count = "SELECT count(*) FROM key_vault_data.secrets WHERE root_key_id = '$lost'";

$session->value(q{SELECT count(key_vault.set('user_' || lpad(n::text, 2, '0'), 'exa', 'exa-key-' || lpad(n::text, 12, '0'))) FROM generate_series(1, 20) n});
$session->value(q{SELECT key_vault.activate_root_key(key_vault.create_root_key())});
$session->value(q{SELECT count(key_vault.set('kept_' || n, 'exa', 'exa-key-' || lpad(n::text, 12, '0'))) FROM generate_series(1, 5) n});

sub put_ring
{
	my ($text) = @_;
	unlink "$ring.new";
	append_to_file("$ring.new", $text);
	chmod 0600, "$ring.new";
	rename "$ring.new", $ring or die $!;
	return;
}

my $whole = slurp_file($ring);
(my $rest = $whole) =~ s/^$lost .*\n//m;
append_to_file("$ring.whole", $whole);
chmod 0600, "$ring.whole";

# What happens when a row is removed; the trigger stays, because whoever changes it waits for the rows' holders
sub on_delete
{
	my ($body) = @_;
	$session->run(qq{CREATE OR REPLACE FUNCTION on_delete() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN $body RETURN OLD; END \$\$});
	return;
}

on_delete('');
$session->run('CREATE TRIGGER on_delete BEFORE DELETE ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION on_delete()');

# --- Not while it is not lost

my $result = $session->query($call);
is($result->{error}{state}, '55000', 'a root key that is there');
like("$result->{error}{message} $result->{error}{detail} $result->{error}{hint}",
	qr/^root key $lost is in the keyring The keyring was read from file "\Q$ring\E"\. What it sealed opens\. .*rotate_root_key/, 'and what to do instead');
rename $ring, "$ring.away";
outcome_is($session, 'F0000', 'no file, in a session that has read it before', $call);
outcome_is(session($node), 'F0000', 'no file, in another one', $call);
put_ring("# Root keys\n");
outcome_is($session, 'F0000', 'a file without root keys', $call);
put_ring("garbage\n$rest");
outcome_is($session, 'F0000', 'a damaged file that lacks it', $call);
is($session->value($count), 20, 'nothing is removed by any of that');

# --- Who keeps a row

put_ring($rest);
outcome_is($session, 'missing', 'now it is lost', "SELECT state FROM key_vault.root_keys WHERE id = '$lost'");
my $holder = session($node);
$holder->run('BEGIN', q{SELECT FROM key_vault_data.secrets WHERE user_id = 'user_03' FOR UPDATE});
on_delete(q{IF OLD.user_id = 'user_07' THEN RAISE 'stopped'; END IF;});
outcome_is($session, 'P0001', 'it is cut short', $call);
is($session->value("SELECT string_agg(substr(user_id, 6), ' ' ORDER BY user_id) FROM key_vault_data.secrets WHERE root_key_id = '$lost' AND user_id < 'user_10'"),
	'03 07 08 09', 'batches before that stay, and it waited for nobody');
on_delete('');

# --- The keyring comes back, or goes away, in the middle

for my $case ([ 'is back', "mv $ring.whole $ring", '55000' ], [ 'cannot be read', "chmod 0644 $ring", 'F0000' ])
{
	my ($name, $command, $state) = @$case;
	my $left = $session->value($count);
	my $user = $session->value("SELECT min(user_id) FROM key_vault_data.secrets WHERE root_key_id = '$lost' AND user_id <> 'user_03'");
	on_delete("IF OLD.user_id = '$user' THEN COPY (SELECT 1) TO PROGRAM 'cat >/dev/null; $command'; END IF;");
	outcome_is($session, $state, "the keyring $name in the middle of it", $call);
	cmp_ok($session->value($count), '>=', $left - 2, "the keyring $name: not a batch more is removed");
	on_delete('');
	put_ring($rest);
}

# --- Once at a time, and again after its session was ended

on_delete('PERFORM pg_advisory_xact_lock(1);');
my $gate = session($node);
$gate->value('SELECT pg_advisory_lock(1)');
my $first = session($node);
my $pid = $first->value('SELECT pg_backend_pid()');
$first->send($call);
my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
until ($session->value(q{SELECT wait_event = 'advisory' FROM pg_stat_activity WHERE pid = $1::int}, $pid) eq 't')
{
	die 'timed out' if time > $deadline;
	sleep 0.02;
}
$result = $session->query($call);
is($result->{error}{state}, '55006', 'a second session is refused');
is("$result->{error}{message} $result->{error}{detail}", "another session is discarding secrets Its process ID is $pid.", 'and told which one is at it');
is($session->query('CALL key_vault.purge()')->{error}, undef, 'a purge meanwhile');
is($session->query('CALL key_vault.rotate_root_key()')->{error}, undef, 'a rotation meanwhile, which finds what does not open');
$session->value('SELECT pg_terminate_backend($1::int)', $pid);
is($first->receive->{error}{state}, '57P01', 'its session is ended');
$gate->value('SELECT pg_advisory_unlock(1)');
on_delete('');

# --- To the end

$result = $session->query($call);
is($result->{error}, undef, 'it goes on');
my ($told) = grep { $_->{severity} eq 'WARNING' } @{ $result->{notices} };
is("$told->{message}: $told->{detail}", "1 secret that root key $lost sealed is not removed: Others keep them locked: process " . $holder->value('SELECT pg_backend_pid()') . '.',
	'what is left, and who keeps it');
is($session->query("SELECT key_vault.retire_root_key('$lost')")->{error}{hint} =~ /discard_secrets\('$lost'\)/ ? 1 : 0, 1, 'the root key cannot be retired yet, and why');
$holder->run('ROLLBACK');
is($session->query($call)->{error}, undef, 'and once more');
outcome_is($session, '', 'then it can be retired', "SELECT key_vault.retire_root_key('$lost')");
is($session->value(q{SELECT string_agg(user_id || ' ' || key_vault.get(user_id, 'exa'), ', ' ORDER BY user_id) FROM key_vault.inventory}),
	join(', ', map { "kept_$_ exa-key-" . sprintf('%012d', $_) } 1 .. 5), 'all else is there, and opens');

$node->stop;
done_testing();
