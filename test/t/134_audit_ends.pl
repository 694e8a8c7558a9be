# The audit at the worst moment: a backend is killed while it waits, the postmaster is killed, the
# disk of the audit's table is full, the table is dropped.  status() says what is wrong each time.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $points = $ENV{KV_LONG} ? 20 : 2;
my $folder = PostgreSQL::Test::Utils::tempdir;
mkdir "$folder/space";
my $node = PostgreSQL::Test::Cluster->new('ends');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', <<"CONF");
key_vault.keyring_file = '$folder/keyring'
shared_preload_libraries = 'key_vault'
key_vault.audit = durable
restart_after_crash = on
log_statement = none
CONF

sub program
{
	my ($name) = @_;
	return (grep { -x } map { "$_/$name" } split /:/, $ENV{PATH})[0];
}

# A pg_ctl that starts the server where a small file system is mounted, if the kernel lets us
sub pg_ctl_with_small_disk
{
	my $real = program('pg_ctl');
	mkdir "$folder/bin";
	append_to_file("$folder/bin/pg_ctl", <<"END");
#!/bin/sh
case " \$* " in *" start "*|*" status "*) ;; *) exec $real "\$@" ;; esac
exec unshare --user --map-root-user --mount sh -c 'mount -t tmpfs -o mode=0700,size=8m tmpfs $folder/space && exec unshare --user --map-user=$> --map-group=@{[ $) + 0 ]} $real "\$@"' sh "\$@"
END
	chmod 0755, "$folder/bin/pg_ctl";
	return "$folder/bin";
}
my $bin = pg_ctl_with_small_disk();
my $has_small_disk = system("$bin/pg_ctl -D $folder/none status >/dev/null 2>&1") >> 8 == 4;    # it ran, and knows no data directory

sub start_with_small_disk
{
	local $ENV{PATH} = $has_small_disk ? "$bin:$ENV{PATH}" : $ENV{PATH};
	$node->start;
	return;
}
start_with_small_disk();
install_vault($node, 'postgres');
my $get = q{SELECT key_vault.get('user_a', 'openai')};
my $key = 'sk-proj-Zq3vT8kLm2Np5Rw7Xy1Bc4Df6';
add_role($node, 'regress_kv_service', 'service');

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }
sub status_is { my ($state, $said, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	like(sql("SELECT state || ': ' || detail FROM key_vault.status() WHERE item = 'audit'"), qr/^$state: .*$said/, $name); return; }
sub is_whole { my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(sql('SELECT (SELECT count(*) = max(number) AND min(number) = 1 FROM key_vault.audit_log), (SELECT count(*) FROM key_vault.verify_audit())'), 't|0', $name); }
sub with_timeout { my ($ms) = @_; sql("ALTER ROLE regress_kv_service " . ($ms ? "SET key_vault.audit_timeout = $ms" : 'RESET key_vault.audit_timeout')); return; }

sql("SELECT key_vault.set('user_a', 'openai', '$key')");
status_is('ok', 'key_vault\.audit is durable\. The last record is \d+, of .*\. The worker is there', 'status() tells the last record');

# --- A tenant's idle set() is nobody's obstacle

{
	my $idle = session($node, 'regress_kv_service');
	$idle->query('BEGIN');
	is($idle->outcome(q{SELECT key_vault.set('user_a', 'openai', $1)}, $key), '2', 'a set()');
	is(session($node, 'regress_kv_service')->outcome($get), $key, 'which stays idle, stops no call');
	$idle->query('ROLLBACK');
}

# --- A backend is killed while it waits for its record

{
	my $owner = session($node);
	$owner->query('BEGIN');
	$owner->query('LOCK TABLE key_vault_data.audit IN SHARE MODE');
	my $waiting = session($node, 'regress_kv_service');
	$waiting->send($get);
	sleep 0.6;
	status_is('error', 'No record can be written, and no call reaches a key: .*lock timeout', 'status() tells what the worker meets');
	my $pid = $waiting->pid;
	kill 'KILL', $pid;
	sleep 0.3;
	is_up_again($node) or die 'no restart';
}
is(session($node, 'regress_kv_service')->outcome($get), $key, 'after a kill -9 of a backend that waits there is a key');
is_whole('and the chain is whole');

# --- The postmaster is killed: durable loses none

my $handed_out = sql("SELECT count(*) FROM key_vault.audit_log WHERE action = 'get' AND user_id = 'user_a' AND outcome = 'ok'");
my $setting = 'durable';
for my $point (1 .. $points)
{
	my $session = session($node, 'regress_kv_service');
	my $until = time + 0.05 + rand 0.2;
	while (time < $until) { $handed_out++ if $session->outcome($get) eq $key; }
	$node->kill9;
	for (1 .. 100) { last if !kill 0, $session->pid; sleep 0.05; }
	for (1 .. 100) { last if eval { start_with_small_disk(); 1 }; sleep 0.1; }
}
cmp_ok(sql("SELECT count(*) FROM key_vault.audit_log WHERE action = 'get' AND user_id = 'user_a' AND outcome = 'ok'"), '>=', $handed_out,
	"after $points kills of the postmaster each key that was handed out has its record");
is_whole('and the chain is whole');

# --- An immediate stop takes the last records of async, and no more than a second's

sql("ALTER SYSTEM SET key_vault.audit = async");
$node->stop('fast');
start_with_small_disk();
{
	my $session = session($node, 'regress_kv_service');
	my $until = time + 1.5;
	my ($count, $early) = (0, 0);
	while (time < $until)
	{
		$count++ if $session->outcome(q{SELECT key_vault.get('user_i', 'openai') IS NULL}) eq 't';
		$early = $count if time < $until - 1;
		sleep 0.001;
	}
	$node->stop('immediate');
	start_with_small_disk();
	my $there = sql("SELECT count(*) FROM key_vault.audit_log WHERE user_id = 'user_i'");
	cmp_ok($there, '>=', $early, "an immediate stop takes records of the last second at most: $there of $count are there");
	is_whole('and the chain is whole');
}

# --- The disk of the audit's table is full

SKIP:
{
	skip 'the system allows no user namespaces, so no small file systems', 1 unless $has_small_disk;
	sql("CREATE TABLESPACE small LOCATION '$folder/space'");
	sql('ALTER TABLE key_vault_data.audit SET TABLESPACE small');
	sql('CREATE TABLE ballast (t text) TABLESPACE small');
	sql(q{DO $$ BEGIN
		WHILE pg_tablespace_size('small') < 7600000 LOOP
			INSERT INTO ballast SELECT repeat(md5(n::text), 50) FROM generate_series(1, 40) n;
		END LOOP; END $$});
	with_timeout(700);
	for my $audit ('async', 'durable')
	{
		sql("ALTER SYSTEM SET key_vault.audit = $audit");
		sql('SELECT pg_reload_conf()');
		sleep 0.3;
		my $session = session($node, 'regress_kv_service');
		my ($calls, $refused) = (0, undef);
		for (1 .. 400)
		{
			my $result = $session->query(q{SELECT count(key_vault.get('user_' || n, 'openai')) FROM generate_series(1, 200) n});
			if ($result->{error}) { $refused = $result->{error}; last; }
			$calls += 200;
		}
		is($refused->{state}, '58030', "$audit: a full disk refuses calls, after $calls");
		like($refused->{detail}, qr/could not extend file .*No space left on device/, 'with that reason');
		status_is('error', 'No space left on device', 'which status() tells, too');
		sql($audit eq 'async' ? 'DROP TABLE ballast' : 'ALTER TABLE key_vault_data.audit SET TABLESPACE pg_default');
		sql('CHECKPOINT');
		my $went_on = '';
		for (1 .. 30) { $went_on = session($node, 'regress_kv_service')->outcome($get); last if $went_on eq $key; sleep 0.2; }
		is($went_on, $key, 'and with room it goes on');
		# settled: its record is behind all that waited
		sleep 0.5;
		is_whole('and the chain is whole');
	}
	with_timeout(0);
	sql('DROP TABLESPACE small');
}

# --- The table is dropped

with_timeout(700);
sql('ALTER EXTENSION key_vault DROP TABLE key_vault_data.audit; ALTER EXTENSION key_vault DROP VIEW key_vault.audit_log');
sql('ALTER TABLE key_vault_data.audit RENAME TO gone');
my $refused = session($node, 'regress_kv_service')->query($get);
if (!$refused->{error}) { sleep 0.5; $refused = session($node, 'regress_kv_service')->query($get); }
is($refused->{error}{state}, '58030', 'no key while the table is gone');
like($refused->{error}{detail}, qr/"key_vault_data\.audit" does not exist/, 'with that reason');
sql('ALTER TABLE key_vault_data.gone RENAME TO audit');
is(session($node, 'regress_kv_service')->outcome($get), $key, 'and it goes on when it is there');
sleep 0.4;
is_whole('the chain is whole');
sql('DROP TABLE key_vault_data.audit CASCADE');
my $service = session($node, 'regress_kv_service');
my $dropped = '';
for (1 .. 20) { last if ($dropped = $service->outcome($get)) eq '58030'; sleep 0.2; }
is($dropped, '58030', 'no key while the table is dropped');

# --- Not preloaded, and off

$node->stop('fast');
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
start_with_small_disk();
status_is('error', 'not in shared_preload_libraries', 'status() tells when the library is not preloaded');
sql('ALTER SYSTEM RESET key_vault.audit');
$node->append_conf('postgresql.conf', "key_vault.audit = off\n");
$node->reload;
sleep 0.3;
status_is('ok', 'key_vault\.audit is off', 'and that the audit is off');

$node->stop;
done_testing();
