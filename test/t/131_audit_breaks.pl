# The audit when things break: its worker, backends and the server are ended or killed, its table is
# locked, full or gone, no worker can be started, the database is dropped, renamed or copied.  No
# key leaves the server without its record, numbers have no gaps, the chain verifies.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use CitusEverywhere not => 'its worker is connected to each database, and none could be renamed or copied';
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $points = $ENV{KV_LONG} ? 20 : 3;
# synchronous_commit = off: the worker has its own
my $node = new_vault('breaks', conf => <<'CONF');
shared_preload_libraries = 'key_vault'
key_vault.audit = durable
synchronous_commit = off
restart_after_crash = on
log_statement = none
CONF
my $get = q{SELECT key_vault.get('user_a', 'openai')};
my $key = 'sk-proj-Zq3vT8kLm2Np5Rw7Xy1Bc4Df6';
add_role($node, 'regress_kv_service', 'service');
$node->safe_psql('postgres', "SELECT key_vault.set('user_a', 'openai', '$key')");

sub sql { my ($sql, $database) = @_; return $node->safe_psql($database // 'postgres', $sql); }
sub worker_pid { my ($database) = @_; return sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'key_vault audit' AND datname = '" . ($database // 'postgres') . "'"); }

# The worker, held up while it has nothing to do
sub stopped_worker
{
	my ($session) = @_;
	for (1 .. 200)
	{
		$session->query($get);
		my $pid = sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'key_vault audit' AND datname = 'postgres' AND wait_event = 'Extension'});
		return $pid if $pid ne '' && kill('STOP', $pid) && worker_pid() eq $pid;
		sleep 0.05;
	}
	die 'no worker is there';
}

sub set_audit
{
	my ($setting) = @_;
	sql("ALTER SYSTEM SET key_vault.audit = $setting");
	sql('SELECT pg_reload_conf()');
	$node->poll_query_until('postgres', "SELECT current_setting('key_vault.audit') = '$setting' FROM key_vault.mode()") or die 'not reloaded';
	return;
}

# Numbers without gaps, from the first one on, and no link of the chain is wrong
sub is_whole
{
	my ($name, $database) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(sql('SELECT (SELECT count(*) = max(number) AND min(number) = 1 FROM key_vault.audit_log), (SELECT count(*) FROM key_vault.verify_audit())', $database),
		't|0', $name);
}

sub count_gets { my ($user) = @_; return sql("SELECT count(*) FROM key_vault.audit_log WHERE action = 'get' AND outcome = 'ok' AND user_id = '" . ($user // 'user_a') . "'"); }

# --- Durable: what has left the server has its record, whatever is killed

my $handed_out = 0;
for my $point (1 .. $points)
{
	for my $victim ('worker', 'postmaster', 'backend')
	{
		my $session = session($node, 'regress_kv_service');
		my $until = time + 0.05 + rand 0.3;
		while (time < $until) { $handed_out++ if $session->outcome($get) eq $key; }
		# a backend is killed while it waits for its record, or right before or after
		if ($victim eq 'backend') { $session->send($get); sleep rand 0.004; }
		if ($victim eq 'postmaster')
		{
			$node->stop('immediate');
			$node->start;
		}
		else
		{
			kill 'KILL', $victim eq 'worker' ? worker_pid() : $session->pid;
			is_up_again($node);
			sleep 0.3;
			is_up_again($node) or die 'no restart';
		}
	}
}
cmp_ok($handed_out, '>', 3 * $points, 'keys were handed out');
cmp_ok(count_gets(), '>=', $handed_out, 'each key that was handed out has its record');
is_whole('after kills the chain is whole');

# Not only written, but committed: here a commit takes a while
{
	my ($service, $reader) = (session($node, 'regress_kv_service'), session($node));
	sql("ALTER SYSTEM SET $_") for 'fsync = on', 'commit_siblings = 0', 'commit_delay = 50000';
	sql('SELECT pg_reload_conf()');
	$node->poll_query_until('postgres', "SELECT current_setting('commit_delay') = '50000'") or die 'not reloaded';
	my $count = sub { return $reader->value(q{SELECT count(*) FROM key_vault.audit_log WHERE user_id = 'user_a'}); };
	my ($before, @found) = $count->();
	for (1 .. 10) { $service->query($get); push @found, $count->() - $before; }
	is("@found", join(' ', 1 .. 10), 'each has it by the time it is handed out');
	sql("ALTER SYSTEM RESET $_") for 'fsync', 'commit_siblings', 'commit_delay';
	sql('SELECT pg_reload_conf()');
}

# --- Async: an orderly stop loses nothing

set_audit('async');
for my $mode ('fast', 'smart')
{
	my $session = session($node, 'regress_kv_service');
	my $before = sql("SELECT count(*) FROM key_vault.audit_log WHERE user_id = '$mode'");
	$session->query("SELECT count(key_vault.get('$mode', 'openai')) FROM generate_series(1, 700)");
	undef $session if $mode eq 'smart';
	$node->stop($mode);
	$node->start;
	is(sql("SELECT count(*) - $before FROM key_vault.audit_log WHERE user_id = '$mode'"), 700, "a $mode stop loses no record");
}
is_whole('the chain is whole');

# More than the ring holds, while nobody empties it: each record is as it was left, those at its end too
{
	sql('ALTER ROLE regress_kv_service SET key_vault.audit_timeout = 60000');
	my $session = session($node, 'regress_kv_service');
	my $pid = stopped_worker($session);
	$session->send("SELECT count(key_vault.get('full_' || x, 'openai')) FROM generate_series(1, 20000) x");
	$node->poll_query_until('postgres', "SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = " . $session->pid) or die 'does not wait';
	kill 'CONT', $pid;
	is($session->receive->{error}, undef, 'a full buffer makes calls wait');
	sql(q{SELECT key_vault.forget('nobody')});    # waits for what was left
	is(sql(q{SELECT count(*), count(DISTINCT user_id), bool_and(at BETWEEN backend_start AND clock_timestamp()),
		count(DISTINCT (action, outcome, provider, label, version, subject, role, application_name, client_addr, backend_pid, backend_start, sqlstate, team_id))
		FROM key_vault.audit_log WHERE user_id LIKE 'full\_%'}), '20000|20000|t|1', 'and drops or changes no record');
	sql('ALTER ROLE regress_kv_service RESET key_vault.audit_timeout');
}

# The worker is told to end while sessions are there
{
	my $session = session($node, 'regress_kv_service');
	is($session->outcome($get), $key, 'a key');
	my $pid = worker_pid();
	sql("SELECT pg_terminate_backend($pid)");
	sleep 0.5;
	is(worker_pid(), $pid, 'the worker stays while a session is there that leaves records');
	is($session->outcome($get), $key, 'and a key is handed out');
}
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'key_vault audit'") or die;
pass('it leaves when nobody is there');

# --- The table is locked, or takes no rows

my $owner = session($node);
for my $setting ('durable', 'async')
{
	set_audit($setting);
	my $session = session($node, 'regress_kv_service');
	is($session->outcome($get), $key, "$setting: a key");
	sql('ALTER ROLE regress_kv_service SET key_vault.audit_timeout = 700');
	my $short = session($node, 'regress_kv_service');
	$owner->query('BEGIN');
	$owner->query('LOCK TABLE key_vault_data.audit IN ACCESS EXCLUSIVE MODE');
	# async knows of the trouble once the worker has tried
	if ($setting eq 'async') { $short->query($get); sleep 1.5; }
	my $began = time;
	my $result = $short->query($get);
	is($result->{error}{state}, '58030', "$setting: no key while the table is locked");
	cmp_ok(time - $began, '<', 5, 'after key_vault.audit_timeout');
	like("$result->{error}{message} $result->{error}{detail}", qr/within 700 ms .*(lock timeout|did not write)/, 'with the reason');

	# whoever waits can be cancelled and ended
	sql('ALTER ROLE regress_kv_service RESET key_vault.audit_timeout');
	my ($cancelled, $ended) = map { session($node, 'regress_kv_service') } 1 .. 2;
	$_->send($get) for $cancelled, $ended;
	sleep 0.5;
	sql('SELECT pg_cancel_backend(' . $cancelled->pid . '), pg_terminate_backend(' . $ended->pid . ')');
	is($cancelled->receive->{error}{state}, '57014', "$setting: a wait can be cancelled");
	is($ended->receive->{error}{state}, '57P01', 'and ended');
	$owner->query('ROLLBACK');
	is($session->outcome($get), $key, 'and all goes on when the lock is gone');
}
is_whole('the chain is whole');

$owner->query(q{CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no space left' USING ERRCODE = '53100'; END $$});
$owner->query('CREATE TRIGGER full_disk BEFORE INSERT ON key_vault_data.audit FOR EACH STATEMENT EXECUTE FUNCTION full_disk()');
set_audit('durable');
my $short = session($node, 'regress_kv_service', options => '-c client_min_messages=notice');
sql('ALTER ROLE regress_kv_service SET key_vault.audit_timeout = 500');
$short = session($node, 'regress_kv_service');
my $result = $short->query($get);
is($result->{error}{state}, '58030', 'no key when the disk is full');
like($result->{error}{detail}, qr/no space left/, 'with that reason');
is($short->outcome(q{SELECT key_vault.get('user_a', 'nonesuch')}), '58030', 'a refused call is told so, too');
$owner->query('DROP TRIGGER full_disk ON key_vault_data.audit');
sql('ALTER ROLE regress_kv_service RESET key_vault.audit_timeout');
is(session($node, 'regress_kv_service')->outcome($get), $key, 'and it goes on when there is room');
is_whole('the chain is whole');

# --- A tenant's idle transaction stops nobody

my $idle = session($node, 'regress_kv_service');
sql("SELECT key_vault.set('user_b', 'openai', '$key')");
$idle->query('BEGIN');
$idle->query(q{SELECT key_vault.forget('user_b')});
is(session($node, 'regress_kv_service')->outcome(q{SELECT key_vault.get('user_b', 'openai')}), $key, 'an idle forget() stops no call for the user');
is(sql('SET key_vault.audit_keep = 0; CALL key_vault.purge(); SELECT count(*) > 0 FROM key_vault.audit_log'), 't', 'and purge() stops before its rows');
$idle->query('ROLLBACK');
is(sql('SELECT count(*) FROM key_vault.verify_audit()'), '0', 'the chain verifies');

# --- Databases

set_audit('async');
sql('CREATE DATABASE second');
install_vault($node, 'second');
sql("SELECT key_vault.set('user_s', 'openai', '$key')", 'second');
is_whole('another database has its own chain', 'second');
isnt(sql('SELECT mac FROM key_vault.audit_head()', 'second'), sql('SELECT mac FROM key_vault.audit_head()'), 'which is another one');
{
	# a row of the other chain, put where it would fit
	my $dump = sql('SELECT a::text FROM key_vault_data.audit a WHERE number = 1', 'second');
	my $last = sql('SELECT number FROM key_vault.audit_head()');
	is(sql("BEGIN; INSERT INTO key_vault_data.audit SELECT (r).* FROM (SELECT \$x\$$dump\$x\$::key_vault_data.audit AS r) s; UPDATE key_vault_data.audit SET number = $last + 1 WHERE number = 1; SELECT number FROM key_vault.verify_audit(); ROLLBACK"),
		$last + 1, 'a record of another database\'s chain is found');
}
# all of the other chain in this one's place: with its chain key, which a root key of the other database sealed, and with this one's
for my $keys ('DELETE FROM key_vault_data.audit_keys; INSERT INTO key_vault_data.audit_keys SELECT (r::key_vault_data.audit_keys).* FROM (VALUES (%s)) v (r)', '')
{
	my @rows = map { join '), (', map { "\$x\$$_\$x\$" } split /\n/, sql("SELECT t::text FROM key_vault_data.$_ t", 'second') } 'audit', 'audit_keys';
	is(sql('BEGIN; DELETE FROM key_vault_data.audit; DELETE FROM key_vault_data.audit_checkpoint; ' . sprintf("$keys; ", $rows[1]) . "INSERT INTO key_vault_data.audit SELECT (r::key_vault_data.audit).* FROM (VALUES ($rows[0])) v (r); SELECT number FROM key_vault.verify_audit(); ROLLBACK"),
		1, 'the chain of another database is found at its first record, ' . ($keys ? 'with its chain key' : 'without'));
}
sql("SELECT key_vault.get('user_s', 'openai')", 'second');
isnt(worker_pid('second'), '', 'the worker is there');
sql('ALTER DATABASE second RENAME TO renamed');
pass('a database can be renamed while the worker runs');
sql("SELECT key_vault.get('user_s', 'openai')", 'renamed');
sql('CREATE DATABASE copied TEMPLATE renamed');
pass('and copied');
sql("SELECT key_vault.get('user_s', 'openai')", $_) for 'renamed', 'copied';
sleep 0.6;
sleep 0.5;
is_whole('the copy goes on with its own chain', 'copied');
sql("SELECT key_vault.get('user_s', 'openai')", 'renamed');
sql('DROP DATABASE renamed');
pass('and dropped');

sql("SELECT key_vault.get('user_s', 'openai'); DROP EXTENSION key_vault", 'copied');
sleep 0.5;
sql('CREATE EXTENSION key_vault', 'copied');
sql('SELECT key_vault.create_root_key()', 'copied');
sql("SELECT key_vault.set('user_s', 'openai', '$key')", 'copied');
sleep 0.5;
is_whole('after DROP EXTENSION and CREATE EXTENSION a new chain begins', 'copied');
sql('DROP DATABASE copied WITH (FORCE)');

# --- No worker can be started

$node->append_conf('postgresql.conf', "max_worker_processes = 1\nmax_logical_replication_workers = 1\nkey_vault.audit_timeout = 600\n");
for my $setting ('durable', 'async')
{
	set_audit($setting);
	$node->restart;
	my $refused = session($node, 'regress_kv_service')->query($get);
	is($refused->{error}{state}, '58030', "$setting: no key when max_worker_processes is used up");
	like($refused->{error}{detail}, qr/max_worker_processes/, 'with that reason');
}

# --- More databases than there is room for: what a session has is not taken away from it

$node->append_conf('postgresql.conf', "max_worker_processes = 24\nkey_vault.audit_timeout = 60000\n");
set_audit('off');
$node->restart;
sql('CREATE DATABASE room_1');
install_vault($node, 'room_1');
sql("SELECT key_vault.set('user_a', 'openai', '$key')", 'room_1');
sql("CREATE DATABASE room_$_ TEMPLATE room_1") for 2 .. 16;
set_audit('durable');
sub until_none_is_there { $node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE $_[0]") or die "still there: $_[0]"; return; }
{
	my @rooms = map { session($node, undef, dbname => "room_$_") } 1 .. 16;
	my $late = session($node, 'regress_kv_service');
	is(join(' ', map { $_->outcome($get) } @rooms), join(' ', ($key) x 16), 'sessions of many databases');
	for my $workers ('while', 'when no')
	{
		until_none_is_there(q{backend_type = 'key_vault audit'}) if $workers eq 'when no';
		my $result = $late->query($get);
		is($result->{error}{state}, '58030', "one database more has no place for its records $workers workers are there");
		is($result->{error}{detail}, '16 other databases have sessions that use key_vault.audit.', '... with that reason');
	}
	is(join(' ', map { $_->outcome($get) } @rooms), join(' ', ($key) x 16), '... which the others keep');
	(shift @rooms)->close;
	until_none_is_there(q{datname = 'room_1'});
	is($late->outcome($get), $key, '... until one has gone');
	is(session($node, undef, dbname => 'room_1')->outcome($get), '58030', '... which finds its place taken');
}
for my $room ('room_1', 'room_2', 'room_16')
{
	is(sql(q{SELECT count(*) FROM key_vault.audit_log WHERE action = 'get'}, $room), 2, "$room has its records");
	is_whole('... in a chain of its own', $room);
}

# --- Not preloaded

$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->restart;
my $refused = session($node, 'regress_kv_service')->query($get);
is($refused->{error}{state}, '58030', 'no key when the library is not preloaded');
like($refused->{error}{detail}, qr/shared_preload_libraries/, 'with that reason');
set_audit('off');
is(session($node, 'regress_kv_service')->outcome($get), $key, 'with off there is');

$node->stop;
done_testing();
