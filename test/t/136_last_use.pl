# key_vault.track_last_use: when keys were last used, and how often.  It survives rollbacks, waits for
# nobody, and no call fails by it, whatever becomes of the worker.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultDocs;
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = new_vault('uses', conf => <<'CONF');
shared_preload_libraries = 'key_vault'
restart_after_crash = on
wal_level = replica
max_wal_senders = 2
CONF
add_role($node, 'regress_kv_service', 'service');
my $app = session($node, 'regress_kv_service');

sub sql { my ($sql, $database) = @_; return $node->safe_psql($database // 'postgres', $sql); }
sub key { return "sk-proj-Zq3vT8kLm2Np5Rw7Xy1Bc4" . sprintf '%05d', $_[0]; }
sub set_key { my ($user, $number, $label) = @_; return $app->value(q{SELECT key_vault.set($1, 'openai', $2, $3)}, $user, key($number), $label // 'default'); }
sub get { my ($user) = @_; return $app->value(q{SELECT key_vault.get($1, 'openai')}, $user); }

# What the table holds of a user's key, and what list() shows.
sub written { my ($user) = @_; return sql("SELECT string_agg(uses::text, ' ' ORDER BY label) FROM key_vault_data.last_uses WHERE user_id = '$user'"); }
sub shown { my ($user) = @_; return sql("SELECT string_agg(coalesce(uses::text, '-'), ' ' ORDER BY label COLLATE \"C\") FROM key_vault.list('$user')"); }
sub worker_pid { my ($database) = @_; return sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'key_vault last use' AND datname = '" . ($database // 'postgres') . "'"); }

sub until_written
{
	my ($user, $uses, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $deadline = time + 20;
	my $written = written($user);
	while ($written ne $uses && time < $deadline) { sleep 0.05; $written = written($user); }
	return is($written, $uses, $name);
}

# --- As the documentation shows it

for my $block (blocks_by('136_last_use.pl'))
{
	my ($status, undef, $errors) = $node->psql('postgres', $block->{text}, on_error_stop => 1);
	is($status, 0, "$block->{file}:$block->{line} runs") or diag($errors);
}
$node->poll_query_until('postgres', q{SELECT current_setting('key_vault.track_last_use') = 'on' FROM key_vault.mode()}) or die 'not reloaded';
$app = session($node, 'regress_kv_service');

# --- What counts

set_key("user_$_", 1) for 'a' .. 'd';
set_key('user_a', 2, 'work');
set_key('team:acme', 3);
is(shown('user_a'), '- -', 'a key that was never used shows no use');
get('user_a');
until_written('user_a', '1', 'the first use is written at once');
is(sql(q{SELECT last_used_at BETWEEN now() - interval '1 minute' AND clock_timestamp() FROM key_vault.list('user_a') WHERE label = 'default'}), 't', '... with its time');
is(worker_pid() ne '', 1, 'a worker writes it, although there is no audit');
is(sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'key_vault audit'}), '0', '... of its own');
is(sql('SELECT count(*) FROM key_vault_data.audit'), '0', '... and no audit record');

get('user_a') for 1 .. 3;
$app->query($_) for q{SELECT key_vault.require('user_a', 'openai')}, q{SELECT * FROM key_vault.lookup('user_a', 'openai')},
	q{SELECT * FROM key_vault.lookup('user_a', 'openai', 'work')}, q{SELECT key_vault.get_all('user_a')};
is(shown('user_a'), '7 1', 'get, require, lookup and get_all count, and are shown at once');
until_written('user_a', '1 1', 'another key of the user is written at once, too');
$app->query($_) for q{SELECT key_vault.source('user_a', 'openai')}, q{SELECT * FROM key_vault.list('user_a')}, q{SELECT * FROM key_vault.onboarding('user_a')},
	q{SELECT key_vault.get('user_a', 'openai', 'nobody')}, q{SELECT key_vault.get('user_a', 'exa')};
is(shown('user_a'), '7 1', 'what hands out no key does not count');
is(sql(q{SELECT last_used_at = (SELECT last_used_at FROM key_vault.list('user_a') WHERE label = 'default')
	FROM key_vault.onboarding('user_a') WHERE provider = 'openai'}), 't', 'onboarding shows when');

$app->run('BEGIN', q{SELECT key_vault.get('user_b', 'openai')}, 'SAVEPOINT s', q{SELECT key_vault.get('user_b', 'openai')}, 'ROLLBACK TO s', 'ROLLBACK');
$app->run('BEGIN READ ONLY', q{SELECT key_vault.get('user_b', 'openai')}, 'COMMIT');
is(shown('user_b'), '3', 'a use outlives a rollback, and may be in a read-only transaction');

$app->run('BEGIN', q{SET LOCAL key_vault.user_id = 'user_m'}, q{SET LOCAL key_vault.team_id = 'acme'}, q{SELECT key_vault.get(NULL, 'openai')}, 'COMMIT');
is(shown('team:acme'), '1', 'the team\'s key that served is marked');

# --- Once a minute, and what is left at a stop

sleep 1;
is(written('user_a') . '; ' . shown('user_a'), '1 1; 7 1', 'within a minute it is not written again');
my $worker = worker_pid();
sql("SELECT pg_terminate_backend($worker)");
until_written('user_a', '7 1', 'a worker that is told to stop writes what there is');
is(shown('user_a'), '7 1', '... which counts once');

# --- Which keys are unused, as docs/operating.md asks

my ($unused) = map { $_->{text} } grep { $_->{file} eq 'docs/operating.md' } blocks_by('136_last_use.pl');
is(sql($unused), '', 'no key is unused for long');
# older than they are, so that only what is used is not unused; their rows are as they were afterwards
like(sql("BEGIN; UPDATE key_vault_data.secrets SET created_at = created_at - interval '91 days' WHERE user_id = 'user_c'; $unused; ROLLBACK"),
	qr/\Auser_c\|openai\|default\|[^|]+\|\z/, 'a key that nobody used is named, and no other');
like(sql("BEGIN; UPDATE key_vault_data.last_uses SET last_used_at = last_used_at - interval '91 days' WHERE user_id = 'user_a' AND label = 'work'; $unused; ROLLBACK"),
	qr/\Auser_a\|openai\|work\|[^|]+\|[^|]+\z/, '... and one whose use is long ago');

# --- A key that is set anew

set_key('user_a', 4);
is(shown('user_a'), '- 1', 'a key that is set anew was not used');
get('user_a');
until_written('user_a', '1 1', '... and is counted from the start');
$app->value(q{SELECT key_vault.rollback('user_a', 'openai', 1)});
is(shown('user_a'), '- 1', 'nor was one that was rolled back');
get('user_a');
is($app->value(q{SELECT key_vault.delete('user_a', 'openai')}), 't', 'with a use that is not written');
set_key('user_a', 5);
is(shown('user_a'), '- 1', 'one that was deleted takes it along');

# --- Nobody waits, and nobody is waited for

my ($idle, $other) = map { session($node, 'regress_kv_service') } 1 .. 2;
until_written('user_b', '3', 'user_b is there');
set_key('user_b', 13);    # anew, so that its next use is due at once
$idle->run('BEGIN', q{SELECT key_vault.forget('user_b')}, q{SELECT key_vault.set('user_c', 'openai', '} . key(6) . q{')}, q{SELECT key_vault.delete('user_d', 'openai')});
get("user_$_") for 'b' .. 'd';
set_key('user_e', 7);
my $begun = time;
get('user_e');
until_written('user_e', '1', 'an idle forget(), set() and delete() do not hold up the others\' uses');
cmp_ok(time - $begun, '<', 4, '... at all');
until_written('user_c', '1', '... nor that of the version that is current');
unlike(slurp_file($node->logfile), qr/could not write when API keys/, '... and are not waited for');
$idle->run('COMMIT');
is(written('user_b') . written('user_d'), '', 'and what was removed stays away');
is(sql(q{SELECT count(*) FROM key_vault_data.last_uses WHERE user_id IN ('user_b', 'user_d')}), '0', '... with its users\' ids');

my $locker = session($node);
$locker->run('BEGIN', 'LOCK TABLE key_vault_data.last_uses');
set_key('user_f', 8);
$begun = time;
is(get('user_f'), key(8), 'with the table locked a key is handed out');
cmp_ok(time - $begun, '<', 1, '... at once');
sleep 1;
$locker->run('COMMIT');
is(shown('user_f'), '1', '... and its use is not lost');
like(slurp_file($node->logfile), qr/could not write when API keys were last used: canceling statement due to lock timeout/, 'the log says why it was not written');

# A use that cannot be written, of a key that is set anew while the worker tries
sql(q{CREATE FUNCTION held_up() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN WHILE NOT pg_try_advisory_xact_lock_shared(7) LOOP PERFORM pg_sleep(0.01); END LOOP; RAISE 'held up'; END $$;
	CREATE TRIGGER held_up BEFORE INSERT ON key_vault_data.last_uses FOR EACH ROW WHEN (NEW.user_id = 'user_k') EXECUTE FUNCTION held_up()});
$locker->run('SELECT pg_advisory_lock(7)');
set_key('user_k', 16);
get('user_k');
$node->poll_query_until('postgres', q{SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE backend_type = 'key_vault last use'}) or die 'not held up';
set_key('user_k', 17);
get('user_k');
$locker->run('SELECT pg_advisory_unlock(7)', 'DROP FUNCTION held_up CASCADE');
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'key_vault last use' AND state <> 'idle'}) or die 'still held up';
is(shown('user_k'), '1', 'a use that could not be written is not counted for the version after it');

# A version that is no longer the current one, by a transaction that still sees it
set_key('user_i', 14);
$idle->run('BEGIN ISOLATION LEVEL REPEATABLE READ', q{SELECT key_vault.get('user_i', 'openai')});
set_key('user_i', 15);
my $of_version = q{SELECT version || ' ' || uses FROM key_vault_data.last_uses WHERE user_id = 'user_i'};
get('user_i');
$node->poll_query_until('postgres', $of_version, '2 1') or die 'not written';
outcome_is($idle, key(14), 'an older version is handed out', q{SELECT key_vault.get('user_i', 'openai')});
$idle->run('ROLLBACK');
set_key('user_j', 1);
get('user_j');
until_written('user_j', '1', '... whose use is taken before another one');
is(sql($of_version), '2 1', '... and not written over those of the version after it');

# A user who is forgotten by a transaction whose snapshot is older than the row
set_key('user_g', 9);
$idle->run('BEGIN ISOLATION LEVEL REPEATABLE READ', q{SELECT key_vault.get('user_a', 'openai')});
get('user_g');
until_written('user_g', '1', 'user_g is there');
outcome_is($idle, '40001', 'forget() does not leave what its snapshot hides', q{SELECT key_vault.forget('user_g')});
$idle->run('ROLLBACK');
$idle->run(q{SELECT key_vault.forget('user_g')});
is(written('user_g'), '', '... and removes it in the next transaction');

# --- Off

sql('ALTER DATABASE postgres SET key_vault.track_last_use = off');
my $off = session($node, 'regress_kv_service');
set_key('user_h', 10);
is($off->value(q{SELECT key_vault.get('user_h', 'openai')}), key(10), 'off, a key is handed out');
is(shown('user_h'), '-', '... and not counted');
sql('ALTER DATABASE postgres RESET key_vault.track_last_use');

# --- Databases come and go

sql('CREATE DATABASE app');
install_vault($node, 'app');
my $guest = session($node, undef, dbname => 'app');
$guest->run(q{SELECT key_vault.set('user_a', 'openai', '} . key(11) . q{')}, q{SELECT key_vault.get('user_a', 'openai')});
$node->poll_query_until('app', 'SELECT count(*) = 1 FROM key_vault_data.last_uses') or die;
isnt(worker_pid('app'), '', 'each database has a worker of its own');
$guest->close;
is($node->psql('postgres', 'DROP DATABASE app'), 0, 'which does not keep the database from being dropped');
sql('DROP EXTENSION key_vault');
$app->query(q{SELECT key_vault.get('user_a', 'openai')});
install_vault($node, 'postgres');
sql(q{SELECT key_vault.grant_access('regress_kv_service', 'service')});
set_key('user_a', 12);
get('user_a');
until_written('user_a', '1', 'after DROP EXTENSION and CREATE EXTENSION it goes on');

# --- The worker is killed, and cannot be started

kill 'KILL', worker_pid();
$node->poll_query_until('postgres', 'SELECT true');
$app = session($node, 'regress_kv_service');
is(written('user_a'), '1', 'after a kill -9 of the worker what was written is there');
is(get('user_a'), key(12), '... and keys are handed out');
until_written('user_a', '2', '... and counted');

$node->append_conf('postgresql.conf', 'max_worker_processes = 0');
$node->restart;
$app = session($node, 'regress_kv_service');
is(join(' ', map { get('user_a') } 1 .. 3), join(' ', (key(12)) x 3), 'without a free worker keys are handed out');
is(shown('user_a'), '5', '... and counted');
is(written('user_a'), '2', '... but not written');

# --- A standby

$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('uses_standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
my $reader = session($standby, 'regress_kv_service');
outcome_is($reader, key(12), 'a standby hands out keys', q{SELECT key_vault.get('user_a', 'openai')});
outcome_is($reader, '2', '... counts none, and shows what the primary wrote', q{SELECT uses FROM key_vault.list('user_a')});
outcome_is($reader, '25006', 'an outcome cannot be recorded there', q{SELECT key_vault.record_outcome('user_a', 'openai', 'accepted')});
$standby->stop;

# --- Without the library in shared_preload_libraries

$node->append_conf('postgresql.conf', q{shared_preload_libraries = ''});
$node->restart;
$app = session($node, 'regress_kv_service');
is(get('user_a'), key(12), 'without the library preloaded keys are handed out');
is(shown('user_a'), '2', '... and not counted');
my $preload = q{SELECT state || ' ' || detail FROM key_vault.status() WHERE item = 'preload'};
like(sql($preload), qr/^warning key_vault\.track_last_use is on, but the library is not in shared_preload_libraries/, '... which status() says');
like(sql(q{SELECT remedy FROM key_vault.status() WHERE item = 'preload'}), qr/ALTER SYSTEM SET shared_preload_libraries = (?:'citus', )?'key_vault'/, '... with what to do');
unlike(sql("SET key_vault.track_last_use = off; $preload"), qr/last_use/, '... unless it is off');
$node->stop;

done_testing();
