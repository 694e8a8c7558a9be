# The audit on a standby, which cannot write: async tells the server's log, durable refuses; after
# the promotion the chain goes on.  A dump carries the chain, which verifies and goes on after the
# restore, in another encoding too; an old backup says where it ends.
use strict;
use warnings;

use File::Copy qw(copy);
use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $primary = new_vault('primary', init => [ allows_streaming => 1 ], conf => <<'CONF');
shared_preload_libraries = 'key_vault'
key_vault.audit = durable
CONF
my $get = q{SELECT key_vault.get('user_a', 'openai')};
my $key = 'sk-proj-Zq3vT8kLm2Np5Rw7Xy1Bc4Df6';
add_role($primary, 'regress_kv_service', 'service');
$primary->safe_psql('postgres', "SELECT key_vault.set('user_a', 'openai', '$key'); SELECT key_vault.set('us\xc3\xa9r', 'openai', '$key'); $get");

# --- An old backup: a head that was kept tells that it is one

$primary->backup('old');
$primary->safe_psql('postgres', $get) for 1 .. 3;
my $head = $primary->safe_psql('postgres', 'SELECT number, mac FROM key_vault.audit_head()');
my ($number, $mac) = split /\|/, $head;

# --- A standby

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'old', has_streaming => 1);
$standby->start;
$primary->wait_for_replay_catchup($standby) if $primary->can('wait_for_replay_catchup');
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('write')) unless $primary->can('wait_for_replay_catchup');

is(session($standby, 'regress_kv_service')->outcome($get), '58030', 'durable hands out no key on a standby');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM key_vault.verify_audit()'), '0', 'where the chain verifies');
$standby->append_conf('postgresql.conf', 'key_vault.audit = async');
$standby->reload;
my $session;
for (1 .. 50) { $session = session($standby, 'regress_kv_service'); last if $session->outcome("SELECT current_setting('key_vault.audit') FROM key_vault.mode()") eq 'async'; sleep 0.1; }
is($session->outcome($get), $key, 'async hands it out');
is($session->outcome(q{SELECT key_vault.get($1, 'nonesuch')}, $key), '42704', 'a refused call');
is($session->outcome(q{SELECT key_vault.get_all('user_a') <> '{}'}), 't', 'get_all');
my $log = slurp_file($standby->logfile);
like($log, qr/LOG:  key_vault audit: get, ok\n.*DETAIL:  User "user_a", provider "openai", label "default", version 1, role "regress_kv_service"\./, 'and the record is in the log');
like($log, qr/key_vault audit: get_all, ok/, 'that of each key of get_all, too');
like($log, qr/key_vault audit: get, refused\n.*User "\(withheld\)", provider "\(withheld\)".*SQLSTATE 42704/, 'that of a refused call, without the key in it');
unlike($log, qr/Zq3vT8kLm2/, 'which is nowhere in the log');

$standby->promote;
is($session->outcome($get), $key, 'after the promotion there is a key');
$standby->poll_query_until('postgres', "SELECT number > $number FROM key_vault.audit_head()") or die 'not written';
is($standby->safe_psql('postgres', 'SELECT count(*) FROM key_vault.verify_audit()'), '0', 'and the chain goes on');
is($standby->safe_psql('postgres', "SELECT mac FROM key_vault.audit_log WHERE number = $number"), $mac, 'from the primary\'s');
undef $session;
$standby->stop;

# --- Dump and restore

my $dump = PostgreSQL::Test::Utils::tempdir . '/dump';
$primary->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $primary->connstr('postgres') ], 'a dump');
for my $encoding ('UTF8', 'LATIN1')
{
	my $name = lc "restored_$encoding";
	$primary->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE template0 ENCODING '$encoding' LOCALE 'C'");
	$primary->command_ok([ 'pg_restore', '--no-owner', '-d', $primary->connstr($name), $dump ], "a restore into $encoding");
	is($primary->safe_psql($name, "SELECT count(*) FROM key_vault.verify_audit(NULL, $number)"), '0', 'the chain verifies');
	is($primary->safe_psql($name, $get), $key, 'a key');
	is($primary->safe_psql($name, "SELECT number > $number AND (SELECT count(*) FROM key_vault.verify_audit()) = 0 FROM key_vault.audit_head()"), 't', 'and the chain goes on');
}

# --- The old backup restored

my $old = PostgreSQL::Test::Cluster->new('old');
$old->init_from_backup($primary, 'old');
$old->start;
my $ends = $old->safe_psql('postgres', 'SELECT number FROM key_vault.audit_head()');
cmp_ok($ends, '<', $number, 'an old backup ends before the head that was kept');
is($old->safe_psql('postgres', "SELECT number FROM key_vault.verify_audit(NULL, $number)"), $ends + 1, 'and verify_audit() says where');
$old->stop;

# --- The root key that sealed the chain key is lost

my $keyring = keyring_path($primary);
my $lost = $primary->safe_psql('postgres', "SELECT id FROM key_vault.root_keys WHERE state = 'active'");
copy($keyring, "$keyring.kept");
$primary->safe_psql('postgres', 'SELECT key_vault.create_root_key()');
my $second = $primary->safe_psql('postgres', "SELECT id FROM key_vault.root_keys WHERE state = 'standby'");
$primary->safe_psql('postgres', "SELECT key_vault.activate_root_key('$second')");
$primary->restart;
my $text = slurp_file($keyring) =~ s/^$lost .*\n//mr;
{ open my $file, '>', $keyring or die; print $file $text; close $file; }
$primary->append_conf('postgresql.conf', 'key_vault.audit_timeout = 800');
$primary->restart;
my $refused = session($primary, 'regress_kv_service')->query($get);
is($refused->{error}{state}, '58030', 'no key when the chain key does not open');
like($refused->{error}{detail}, qr/chain key of the audit does not open/, 'with that reason');
my ($out, $err);
$primary->psql('postgres', "CALL key_vault.discard_secrets('$lost')", stderr => \$err);
like($err, qr/audit records from before now can no longer be verified/, 'what it sealed is given up');
is($primary->safe_psql('postgres', "SELECT key_vault.set('user_n', 'openai', '$key')"), '1', 'and all goes on, under a new chain key');
my $first = $primary->safe_psql('postgres', 'SELECT max(first_number) FROM key_vault_data.audit_keys');
is($primary->safe_psql('postgres', "SELECT count(*) FROM key_vault.verify_audit($first)"), '0', 'whose records verify');
is($primary->safe_psql('postgres', 'SELECT number || reason FROM key_vault.verify_audit()'), '1its chain key was discarded', 'and those before cannot');

$primary->stop;
done_testing();
