# docs/operating.md: each block of commands that names a server is run as it stands there,
# in the order in which it stands there, on the server that the comment above it names.
# Only hosts, ports, folders and what is in angle brackets are replaced.
use strict;
use warnings;

use File::Copy qw(copy);
use File::Find qw(find);
use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultCluster;
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $gpg = (grep { -x } map { "$_/gpg" } split /:/, $ENV{PATH})[0];
plan skip_all => 'gpg, of GnuPG, is not installed' unless defined $gpg;

# Those for a newer server are run where there is one, in 082_pg_upgrade.pl
my @blocks = grep { $_->{on} ne 'newer' } operating_blocks();
my @all = @blocks;

# --- The servers

my $work = PostgreSQL::Test::Utils::tempdir;
my (%node, %folder);

sub keyring
{
	my ($name) = @_;
	return "$folder{$name}/app.keyring";
}

sub new_server
{
	my ($name) = @_;
	$node{$name} = PostgreSQL::Test::Cluster->new($name);
	$folder{$name} = "$work/keyring_of_$name";
	mkdir $folder{$name}, 0700;
	return $node{$name};
}

sub start_server
{
	my ($name, %option) = @_;
	my $node = new_server($name);
	init_cluster($node, allows_streaming => 'logical', %option);
	$node->append_conf('postgresql.conf', "key_vault.keyring_file = '$folder{$name}/%d.keyring'\nlog_statement = none\n");
	$node->start;
	return;
}

# One user's keys, and what they are, by name
my %keys;

sub fill
{
	my ($name, @users) = @_;
	my $session = session($node{$name}, undef, dbname => 'app');
	for my $user (@users)
	{
		$keys{$user} = { gemini => "AIza-of-$user", exa => "exa-key-of-$user" };
		$session->value('SELECT key_vault.set($1, $2, $3)', $user, $_, $keys{$user}{$_}) for sort keys %{ $keys{$user} };
	}
	return;
}

sub opens
{
	my ($name, $what, @users) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $session = session($node{$name}, undef, dbname => 'app');
	my @wrong = grep { my $user = $_; grep { $session->outcome('SELECT key_vault.get($1, $2)', $user, $_) ne $keys{$user}{$_} } sort keys %{ $keys{$user} } } @users;
	return is_deeply(\@wrong, [], "$what: every key opens on $name");
}

sub states
{
	my ($name) = @_;
	return session($node{$name}, undef, dbname => 'app')->value(
		q{SELECT string_agg(state || ' ' || secrets, ', ' ORDER BY state) FROM key_vault.root_keys});
}

# Under whatever name pg_basebackup wrote down for it
sub wait_for_replica
{
	my $reached = $node{primary}->safe_psql('postgres', 'SELECT pg_current_wal_lsn()');
	$node{primary}->poll_query_until('postgres', "SELECT replay_lsn >= '$reached' FROM pg_stat_replication WHERE state = 'streaming'")
	  or die 'the replica did not catch up';
	return;
}

start_server('primary', has_archiving => 1);
$node{primary}->safe_psql('postgres', q{CREATE DATABASE app;
	CREATE ROLE regress_kv_backend LOGIN; CREATE ROLE regress_kv_admin LOGIN; CREATE ROLE regress_kv_tenant LOGIN;
	ALTER ROLE regress_kv_tenant SET key_vault.user_id = 'user_b'});
KeyVaultTest::install_vault($node{primary}, 'app');
$node{primary}->safe_psql('app', q{ALTER DATABASE app SET session_preload_libraries = 'key_vault';
	SELECT key_vault.grant_access('regress_kv_backend', 'service'),
	key_vault.grant_access('regress_kv_admin', 'admin'), key_vault.grant_access('regress_kv_tenant', 'user')});
my @users = map { "user_$_" } 'a' .. 'e';
fill('primary', @users);
new_server('replica');
start_server('rehearsal');

# A server whose database app has a root key and secrets of its own, and which later subscribes
start_server('merge');
@node{'subscriber'} = $node{merge};
$folder{subscriber} = $folder{merge};
$node{merge}->safe_psql('postgres', 'CREATE DATABASE app');
KeyVaultTest::install_vault($node{merge}, 'app');
fill('merge', 'user_x', 'user_y');
# As in two databases of one application
$node{$_}->safe_psql('app', q{SELECT key_vault.add_provider('acme'), key_vault.record_usage('user_d', 'gemini')}) for 'primary', 'merge';

# --- What the commands find around them

my $home = PostgreSQL::Test::Utils::tempdir_short;
chmod 0700, $home;
local $ENV{GNUPGHOME} = $home;
END { system("GNUPGHOME='$home' gpgconf --kill all 2>/dev/null") if defined $home; }

# For gpg that nobody watches
append_to_file("$home/gpg.conf", "batch\nno-tty\npassphrase ''\npinentry-mode loopback\n");

# scp and ssh reach the other server by what comes after its name
mkdir "$work/bin";
append_to_file("$work/bin/scp", <<"END");
#!/bin/sh
named() { echo "\$1" | sed -e 's#^replica:$folder{primary}#$folder{replica}#' -e 's#^primary:$folder{replica}#$folder{primary}#'; }
exec cp -p "\$(named "\$2")" "\$(named "\$3")"
END
append_to_file("$work/bin/ssh", qq{#!/bin/sh\nshift\nexec \$(echo "\$*" | sed 's#$folder{primary}#$folder{replica}#g')\n});
chmod 0755, "$work/bin/scp", "$work/bin/ssh";
mkdir "$work/cwd";

# What stands for what in all blocks, and in those to come
my %instead = (
	"'host=primary dbname=app'" => "'" . $node{primary}->connstr . " dbname=app'",
	"'host=primary'" => "'" . $node{primary}->connstr . "'",
	'/var/lib/postgresql/15/main' => $node{replica}->data_dir,
	'/var/lib/postgresql/archive' => $node{primary}->archive_dir);
my $ran = 0;

sub run_block
{
	my ($block) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	local $ENV{PATH} = "$work/bin:$ENV{PATH}";
	$ran++;
	return run_operating_block($block, $node{ $block->{on} }, "$work/cwd",
		%instead, '/etc/postgresql/key_vault' => $folder{ $block->{on} });
}

# The next block, which must be the one that contains this.
sub next_block
{
	my ($part) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $block = shift @blocks;
	if (index($block->{text}, $part) < 0) { die "expected a block with \"$part\", not:\n$block->{text}"; }
	return run_block($block);
}

# --- First day

next_block('EXTENSION IF NOT EXISTS pgcrypto');
next_block('--quick-generate-key');
next_block('escrow_keyring');
my $opened = next_block('gpg --quiet --decrypt');
like($opened, qr/^[0-9a-f]{64}  -$/, 'the escrow opens');
is(next_block('sha256sum <'), $opened, 'and is the keyring');
next_block('key_vault.status()');

# --- Replicas

next_block('pg_basebackup --write-recovery-conf');
$node{replica}->append_conf('postgresql.conf', 'port = ' . $node{replica}->port . "\nkey_vault.keyring_file = '$folder{replica}/%d.keyring'\n");
$node{replica}->start;
opens('replica', 'made', @users);
is(next_block("state IN ('missing', 'unknown')"), '', 'the replica lacks no root key');

# --- Rotation

my $primary = session($node{primary}, undef, dbname => 'app');
my $old = $primary->value('SELECT id FROM key_vault.root_keys');
my ($new) = next_block('create_root_key()') =~ /^([0-9a-f]{16})$/;
@instead{ '<old id>', '<new id>' } = ($old, $new);
is(states('primary'), 'active 10, standby 0', 'the new root key waits');
next_block('scp -p');
is(slurp_file(keyring('replica')), slurp_file(keyring('primary')), 'the replica has it');
like(next_block('rotate_root_key()'), qr/^finished\|10\|10\|0\|0$/m, 'the view tells the progress');
is(states('primary'), 'active 10, retired 0', 'rotated and retired');
wait_for_replica();
opens($_, 'after the rotation', @users) for 'primary', 'replica';

# --- Backup and rehearsal

next_block('pg_dumpall');
run_escrow_again();
next_block('pg_restore --exit-on-error');
like(next_block('verify_secrets'), qr/\A10\n(?!.*error)(regress_kv_\w+\|(service|admin|user)\|t\n){3}\z/, 'the rehearsal finds everything');
opens('rehearsal', 'restored', @users);
is($node{rehearsal}->safe_psql('app', q{SELECT state FROM key_vault.status() WHERE item = 'preload'}), 'ok', 'sessions load the library there, too');
is((stat keyring('rehearsal'))[2] & 07777, 0600, 'the keyring from the escrow has the right mode');
outcome_is(session($node{rehearsal}, 'regress_kv_tenant', dbname => 'app'), 'AIza-of-user_b', 'tenants have their identity', q{SELECT key_vault.get(NULL, 'gemini')});

# As the page says: again after each create_root_key()
sub run_escrow_again
{
	run_block(grep { $_->{text} =~ /^gpg --armor/ } @all);
	$ran--;
	return;
}

# --- Without a superuser

next_block('BYPASSRLS');
next_block('-U app_restore');
is($node{primary}->safe_psql('app_copy', q{SELECT string_agg(key_vault.get(user_id, provider), ',' ORDER BY user_id) FROM key_vault.inventory WHERE provider = 'gemini'}),
	join(',', map { $keys{$_}{gemini} } @users), 'a copy by roles that are no superusers: every key opens');
outcome_is(session($node{primary}, $_, dbname => 'app'), '42501', "$_ reads no key", q{SELECT key_vault.get('user_b', 'gemini')})
  for 'app_dump', 'app_restore';

# --- A copy under another name, and one keyring that becomes several

next_block('-d app_copy');
my ($of_copy) = session($node{primary}, undef, dbname => 'app_copy')->value(q{SELECT id FROM key_vault.root_keys WHERE state = 'active'});
is_deeply([ slurp_file("$folder{primary}/app_copy.keyring") =~ /^([0-9a-f]{16}) /mg ], [$of_copy], 'the copy has a root key of its own, and no other');
is($node{primary}->safe_psql('app_copy', q{SELECT string_agg(key_vault.get(user_id, provider), ',' ORDER BY user_id) FROM key_vault.inventory WHERE provider = 'gemini'}),
	join(',', map { $keys{$_}{gemini} } @users), 'with it every key opens there');
opens('primary', 'and those of the original as before', @users);
$node{primary}->safe_psql('postgres', 'DROP DATABASE app_copy');

start_server('shared');
$node{shared}->append_conf('postgresql.conf', "key_vault.keyring_file = '$folder{shared}/keyring'\n");
$node{shared}->reload;
$node{shared}->poll_query_until('postgres', "SELECT position('%d' IN current_setting('key_vault.keyring_file')) = 0") or die;
for my $database ('app', 'app2')
{
	$node{shared}->safe_psql('postgres', "CREATE DATABASE $database");
	KeyVaultTest::install_vault($node{shared}, $database);
	$node{shared}->safe_psql($database, "SELECT key_vault.set('user_a', 'gemini', 'AIza-of-$database')");
}
my $keyring_item = q{SELECT state || ' ' || detail FROM key_vault.status() WHERE item = 'keyring'};
like($node{shared}->safe_psql('app', $keyring_item), qr/^warning .* database "app2" made/, 'status warns of a keyring that two databases share');
next_block('grep -F -f');
$node{shared}->poll_query_until('postgres', "SELECT position('%d' IN current_setting('key_vault.keyring_file')) > 0") or die;
unlink "$folder{shared}/keyring";
for my $database ('app', 'app2')
{
	like($node{shared}->safe_psql($database, $keyring_item), qr/^\w+ 1 root key, read from file "\Q$folder{shared}\E\/$database\.keyring"$/, "$database: then of nothing");
	is($node{shared}->safe_psql($database, q{SELECT key_vault.get('user_a', 'gemini')}), "AIza-of-$database", "$database: its key opens");
	like($node{shared}->safe_psql($database, 'SELECT key_vault.create_root_key()'), qr/^[0-9a-f]{16}$/, "$database: and another root key can be made");
}
$node{shared}->stop;

# --- Into a database with a root key of its own

copy(keyring('primary'), "$work/cwd/other-keyring");
next_block('--single-transaction');
opens('merge', 'merged', @users, 'user_x', 'user_y');
next_block('retire_root_key');
is(states('merge'), 'active 14, retired 0, retired 0, retired 0', 'one root key seals all of it');
my ($active) = session($node{merge}, undef, dbname => 'app')->value(q{SELECT id FROM key_vault.root_keys WHERE state = 'active'});
my $only = join '', grep { /^$active / } split /^/, slurp_file(keyring('merge'));
unlink keyring('merge');
append_to_file(keyring('merge'), $only);
chmod 0600, keyring('merge');
opens('merge', 'with that root key alone', @users, 'user_x', 'user_y');

# --- Back to a point in time, before another rotation and before a user changed a key

next_block('--checkpoint=fast');
$instead{'<time>'} = $primary->value('SELECT clock_timestamp()');
$primary->value(q{SELECT key_vault.set('user_b', 'gemini', 'AIza-later')});
@instead{ '<old id>', '<new id>' } = ($new, $primary->value('SELECT key_vault.create_root_key()'));
$primary->value('SELECT key_vault.activate_root_key($1)', $instead{'<new id>'});
$primary->run('CALL key_vault.rotate_root_key()');
$primary->value('SELECT key_vault.retire_root_key($1)', $new);
my $last = $primary->value('SELECT pg_walfile_name(pg_current_wal_lsn())');
$primary->run('SELECT pg_switch_wal()');
$node{primary}->poll_query_until('postgres', "SELECT last_archived_wal >= '$last' FROM pg_stat_archiver");

$instead{5433} = PostgreSQL::Test::Cluster::get_free_port();
END { system_log('pg_ctl', '-D', "$work/cwd/base", '-m', 'immediate', 'stop') if defined $work && -e "$work/cwd/base/postmaster.pid"; }
is(next_block('recovery.signal') =~ s/^(waiting|server).*\n//gmr, '', 'status finds nothing wrong in what was recovered');
$node{recovered} = PostgreSQL::Test::Cluster->new('recovered', port => $instead{5433});
$folder{recovered} = $folder{primary};
$node{recovered}->poll_query_until('app', 'SELECT NOT pg_is_in_recovery()');
opens('recovered', 'before the other rotation', @users);
is(states('recovered'), 'active 10, retired 0', 'the root key of that time is active');
next_block('activate_root_key');
is(states('recovered'), 'active 10, retired 0, standby 0', 'until the newer one is activated');
opens('recovered', 'under the newer one', @users);
command_ok([ 'pg_ctl', '-w', '-D', "$work/cwd/base", '-m', 'fast', 'stop' ], 'it is stopped');
$keys{user_b}{gemini} = 'AIza-later';

# --- Failover

wait_for_replica();
is(run_block($blocks[0]), '', 'a replica that lacks a root key is not promoted');
$ran--;
is($node{replica}->safe_psql('app', 'SELECT pg_is_in_recovery()'), 't', 'and goes on as one');
copy(keyring('primary'), keyring('replica'));
is(next_block('pg_promote'), "t\n", 'one that has them is');
opens('replica', 'promoted', @users);
outcome_is(session($node{replica}, 'regress_kv_backend', dbname => 'app'), '3', 'and takes new ones', q{SELECT key_vault.set('user_b', 'gemini', 'AIza-newest')});

# --- Logical replication

next_block('CREATE PUBLICATION');
$node{merge}->safe_psql('postgres', 'DROP DATABASE app');
$node{merge}->safe_psql('postgres', 'CREATE DATABASE app');
$node{merge}->safe_psql('app', 'CREATE EXTENSION key_vault');
copy(keyring('primary'), keyring('merge'));
next_block('CREATE SUBSCRIPTION');
$node{subscriber}->wait_for_subscription_sync($node{primary}, 'key_vault', 'app');
opens('subscriber', 'replicated logically', @users);
$node{subscriber}->safe_psql('app', 'DROP SUBSCRIPTION key_vault');

# --- Incidents

next_block('activate_root_key(key_vault.create_root_key())');
is(states('primary'), 'active 11, retired 0, retired 0, retired 0', 'after the leak, a new root key seals everything');
my $lines = () = slurp_file(keyring('primary')) =~ /^[0-9a-f]{16} /mg;
is($lines, 4, 'the keyring has all four');
next_block('sed -i');
is_deeply([ slurp_file(keyring('primary')) =~ /^([0-9a-f]{16}) /mg ],
	[ $node{primary}->safe_psql('app', q{SELECT id FROM key_vault.root_keys WHERE state = 'active'}) ], 'then the new one only');
opens('primary', 'with the new one only', @users);

is(scalar(split /\n/, next_block('hint, created_at')), 11, 'what who has the database can read');
my $revoke = next_block('revoke_at');
like($revoke, qr/^user_c\|exa, gemini$/m, 'who has to revoke what');
is(session($node{rehearsal}, undef, dbname => 'app')->value('SELECT count(*) FROM key_vault_data.secrets'), 0, 'then nothing is stored');
$keys{user_new} = {};
fill('rehearsal', 'user_new');
opens('rehearsal', 'and users enter new ones', 'user_new');

fill('rehearsal', 'user_lost');
unlink keyring('rehearsal');
outcome_is(session($node{rehearsal}, undef, dbname => 'app'), 'F0000', 'without the keyring nothing opens', q{SELECT key_vault.get('user_lost', 'gemini')});
next_block('head -c 32');
fill('rehearsal', 'user_later');
opens('rehearsal', 'with a root key that was written by hand', 'user_later');
like(next_block('key_vault.discard_secrets'), qr/\Auser_lost\|exa\|default\nuser_lost\|gemini\|default\nuser_new\|exa\|default\nuser_new\|gemini\|default\n(CALL\n)+/, 'who has to enter keys again');
is(states('rehearsal') =~ s/retired 0, //gr, 'active 2, retired 0', 'nothing is left that does not open');
like(session($node{rehearsal}, undef, dbname => 'app')->outcome('SELECT key_vault.create_root_key()'), qr/^[0-9a-f]{16}$/, 'and a root key can be made');

# A user's traces, outside of WAL
sub files_with
{
	my ($what) = @_;
	my @files;
	$node{primary}->safe_psql('app', 'CHECKPOINT');
	find(sub { push @files, $File::Find::name if -f && $File::Find::name !~ m{/pg_wal/} && index(slurp_file($_), $what) >= 0 }, $node{primary}->data_dir);
	note "$what is in $_" for @files;
	return scalar @files;
}

# Each table that names users has the one who goes.
$node{primary}->safe_psql('app', q{INSERT INTO key_vault_data.last_uses SELECT user_id, provider, label, version, created_at, now(), 1 FROM key_vault_data.secrets ON CONFLICT DO NOTHING;
	INSERT INTO key_vault_data.outcomes SELECT user_id, provider, label, user_id, version, created_at, 'accepted', now() FROM key_vault_data.secrets ON CONFLICT DO NOTHING;
	INSERT INTO key_vault_data.usage VALUES ('user_a', 'gemini', '2026-01-01', 'user', 1, 1, 1);
	SELECT key_vault.get('user_a', 'gemini');
	ANALYZE key_vault_data.secrets});
is($node{primary}->safe_psql('app', q{WITH tables AS MATERIALIZED (
			SELECT c.oid::regclass AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND attname = 'user_id'
			WHERE relkind = 'r' AND relnamespace = 'key_vault_data'::regnamespace)
		SELECT name FROM tables WHERE query_to_xml(format('SELECT 1 FROM %s WHERE user_id = %L', name, 'user_a'), true, false, '')::text !~ '<row'}),
	'key_vault_data.audit', 'the user is in each table that names users but the audit, which is off');
cmp_ok(files_with('user_a'), '>', 1, 'before the erasure, files hold the user\'s id');
next_block('forget');
is(files_with('user_a'), 0, 'after it, none but WAL does');
opens('primary', 'after the erasure, all others\'', grep { $_ ne 'user_a' } @users);
delete $keys{user_a};

$node{primary}->safe_psql('app', q{ALTER TABLE key_vault_data.secrets DISABLE TRIGGER USER;
	UPDATE key_vault_data.secrets SET expires_at = '2001-01-01' WHERE user_id = 'user_e'});
next_block('purge()');
is($node{primary}->safe_psql('app', q{SELECT count(*) FROM key_vault_data.secrets WHERE user_id = 'user_e'}), 0, 'what expired long ago is gone');

isnt($node{primary}->safe_psql('app', 'SELECT count(*) FROM key_vault_data.secrets WHERE hint IS NOT NULL'), 0, 'keys have hints');
next_block('key_vault.hint');
is($node{primary}->safe_psql('app', 'SELECT count(*) FROM key_vault_data.secrets WHERE hint IS NOT NULL'), 0, 'hints that are not wanted are gone');
opens('primary', 'without hints, all others\'', grep { !/^user_[ae]$/ } @users);

# --- All of it was run

is(scalar @blocks, 0, 'no block is left out');
is($ran, scalar @all, 'and each was run once');

done_testing();
