# Dumps: every secret opens after a restore, in the same cluster and in another one that
# has the keyring; what a dump does not carry is said where it is missed.
use strict;
use warnings;

use Digest::SHA qw(sha256);
use File::Copy qw(copy);
use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use MIME::Base64 qw(encode_base64);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_vault('dumped');
my $dumps = PostgreSQL::Test::Utils::tempdir;
add_role($node, 'regress_kv_service', 'service');
add_role($node, 'regress_kv_tenant', 'user', 'user_1');
add_role($node, 'regress_kv_admin', 'admin');

# Several users, labels and versions, an expiry, a large key, two root keys, quotes and
# tabs that a dump has to spell.
my %keys;
{
	my $super = session($node);
	my $set = q{SELECT key_vault.set($1, $2, $3, $4, $5)};
	my $fill = sub {
		my ($part) = @_;
		for my $number (1 .. 20)
		{
			for my $provider ('gemini', 'openai')
			{
				my $key = "key-$part-$number-$provider-" . join '', map { chr(33 + int rand 90) } 1 .. 30;
				$super->value($set, "user_$number", $provider, $key, $part, $number % 5 ? undef : '2100-01-01');
				$keys{"user_$number $provider $part"} = $key;
			}
		}
	};
	$fill->('default');
	$fill->('default');
	my $id = $super->value('SELECT key_vault.create_root_key()');
	$super->query('SELECT key_vault.activate_root_key($1)', $id);
	$fill->('under-the-second-root-key');
	my $odd = "o'dd\\user\twith \"quotes\"";
	$keys{"$odd gemini default"} = 'k' x 60_000;
	$super->value($set, $odd, 'gemini', 'k' x 60_000, 'default', undef);
}

# What was noted of keys: what a provider said, and a use
$node->safe_psql('postgres', q{SELECT key_vault.record_outcome('user_1', 'gemini', 'rejected', version => 2)});
$node->safe_psql('postgres', q{INSERT INTO key_vault_data.last_uses (user_id, provider, label, version, set_at, last_used_at, uses)
	SELECT user_id, provider, label, version, created_at, now(), 7 FROM key_vault_data.secrets
	WHERE user_id = 'user_1' AND provider = 'openai' AND label = 'default' AND version = 2});
my @noted = ('postgres', q{SELECT string_agg(concat_ws(' ', provider, uses, extract(epoch FROM last_used_at), last_outcome, extract(epoch FROM last_outcome_at)), ', ' ORDER BY provider)
	FROM key_vault.list('user_1') WHERE label = 'default'});
my $noted = $node->safe_psql(@noted);
like($noted, qr/\Agemini rejected [\d.]+, openai 7 [\d.]+\z/, 'before: a use, and what a provider said');

# How many of the secrets do not open as they should.
sub wrong
{
	my ($node, $dbname) = @_;
	my $session = session($node, undef, dbname => $dbname);
	my $wrong = 0;
	for my $name (keys %keys)
	{
		my ($user, $provider, $label) = $name =~ /^(.*) (\S+) (\S+)$/s;
		$wrong++ unless $session->outcome('SELECT key_vault.get($1, $2, $3)', $user, $provider, $label) eq $keys{$name};
	}
	return $wrong;
}

my @listed = ('postgres', q{SELECT md5(string_agg(i::text, ' ' ORDER BY user_id, provider, label, version)) FROM key_vault.inventory i});
my $inventory = $node->safe_psql(@listed);
is(wrong($node, 'postgres'), 0, 'before: every secret opens');

my @connection = ('-d', $node->connstr('postgres'));
command_ok([ 'pg_dump', '--no-sync', @connection, '-Fc', '-f', "$dumps/custom" ], 'pg_dump, custom format');
command_ok([ 'pg_dump', '--no-sync', @connection, '-Fp', '-f', "$dumps/plain" ], 'pg_dump, plain format');
command_ok([ 'pg_dump', '--no-sync', @connection, '-Fd', '-j', '2', '-f', "$dumps/directory" ], 'pg_dump, directory format, in parallel');
command_ok([ 'pg_dumpall', '--no-sync', @connection, '-g', '-f', "$dumps/globals" ], 'pg_dumpall -g');

my %restore = (
	plain => sub { [ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dumps/plain", '-d', $_[0]->connstr($_[1]) ] },
	custom => sub { [ 'pg_restore', '--exit-on-error', '-d', $_[0]->connstr($_[1]), "$dumps/custom" ] },
	directory => sub { [ 'pg_restore', '--exit-on-error', '-j', '2', '-d', $_[0]->connstr($_[1]), "$dumps/directory" ] });

# --- Into another database of the cluster

for my $format (sort keys %restore)
{
	$node->safe_psql('postgres', "CREATE DATABASE from_$format");
	command_ok($restore{$format}->($node, "from_$format"), "restore, $format");
	is(wrong($node, "from_$format"), 0, "restored, $format: every secret opens");
	is($node->safe_psql("from_$format", $listed[1]), $inventory, "restored, $format: versions, hints, times and expiries are as they were");
	is($node->safe_psql("from_$format", $noted[1]), $noted, "restored, $format: uses, and what providers said");
	is($node->safe_psql("from_$format", q{SELECT string_agg(role || ' ' || level || ' ' || complete, ', ' ORDER BY role) FROM key_vault.access}),
		'regress_kv_admin admin true, regress_kv_service service true, regress_kv_tenant user true', "restored, $format: levels");
	is($node->safe_psql("from_$format", q{SELECT string_agg(item || ' ' || state, ', ' ORDER BY item) FROM key_vault.status() WHERE item IN ('root_key', 'keyring', 'sealed_rows', 'policies')}),
		'keyring warning, policies ok, root_key ok, sealed_rows ok', "restored, $format: status, which warns of a keyring that two databases share");
	outcome_is(session($node, 'regress_kv_tenant', dbname => "from_$format"), '42501', "restored, $format: isolation",
		q{SELECT key_vault.get('user_2', 'gemini')});
	is($node->safe_psql("from_$format", q{SELECT key_vault.set('user_1', 'gemini', 'after-the-restore')}), 3, "restored, $format: set goes on");
}

# --- Into a database that has secrets of its own: restores merge

{
	$node->safe_psql('postgres', 'CREATE DATABASE merged');
	install_vault($node, 'merged');
	$node->safe_psql('merged', q{SELECT key_vault.set('user of merged', 'gemini', 'a-key-of-merged')});
	my $session = session($node, undef, dbname => 'merged');
	is($session->value(q{SELECT key_vault.get('user of merged', 'gemini')}), 'a-key-of-merged', 'before the merge');
	my ($active) = map { $node->safe_psql('merged', $_) } q{SELECT id FROM key_vault.root_keys WHERE state = 'active'};
	command_ok([ 'pg_restore', '--data-only', '--exit-on-error', '-d', $node->connstr('merged'), "$dumps/custom" ],
		'restore of the data into a database that has secrets of its own');
	is(wrong($node, 'merged'), 0, 'merged: every restored secret opens');
	is($session->value(q{SELECT key_vault.get('user of merged', 'gemini')}), 'a-key-of-merged', 'merged: those that were there open');
	is($session->outcome(q{SELECT key_vault.get('user_1', 'gemini')}), $keys{'user_1 gemini default'}, 'merged: a session from before opens both');
	is($node->safe_psql('merged', q{SELECT count(*) FROM key_vault.root_keys WHERE state = 'active'}), 1, 'merged: one root key is active');
	outcome_is($session, '1', 'merged: set goes on', q{SELECT key_vault.set('user of merged', 'exa', 'another-key-of-merged')});
}

# --- Into another cluster

my $other = PostgreSQL::Test::Cluster->new('restored');
my $ring = PostgreSQL::Test::Utils::tempdir . '/keyring';
$other->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$other->append_conf('postgresql.conf', "key_vault.keyring_file = '$ring'\n");
$other->start;

# without the roles, grants are missed; without the keyring, nothing opens
$other->safe_psql('postgres', 'CREATE DATABASE early');
command_ok([ 'pg_restore', '--no-privileges', '--exit-on-error', '-d', $other->connstr('early'), "$dumps/custom" ],
	'restore into another cluster, without privileges');
is($other->safe_psql('early', q{SELECT string_agg(item || ' ' || state, ', ' ORDER BY item) FROM key_vault.status() WHERE item IN ('keyring', 'root_key')}),
	'keyring error, root_key error', 'without the keyring: status says so');
my $early = session($other, undef, dbname => 'early');
my $result = $early->query(q{SELECT key_vault.get('user_1', 'gemini')});
is($result->{error}{state}, 'F0000', 'without the keyring: get');
outcome_is($early, 'F0000', 'without the keyring: set', q{SELECT key_vault.set('user_1', 'gemini', 'a-new-key')});
outcome_is($early, 'F0000', 'without the keyring: no root key is made over old data', 'SELECT key_vault.create_root_key()');
ok(!-e $ring, 'without the keyring: none is made');
outcome_is($early, '20', 'without the keyring: the inventory is there', q{SELECT count(DISTINCT user_id) FROM key_vault.inventory WHERE user_id LIKE 'user%'});

# another keyring is as good as none
my $foreign = 'F' x 32;
append_to_file($ring, unpack('H16', sha256("key_vault root key v1$foreign")) . ' ' . encode_base64($foreign, '') . " 2026-01-31T23:59:59Z\n");
chmod 0600, $ring;
$result = $early->query(q{SELECT key_vault.get('user_1', 'gemini')});
is($result->{error}{state}, 'F0000', 'with another keyring: get');
like($result->{error}{message}, qr/root key [0-9a-f]{16} is not in the keyring/, 'with another keyring: it names the root key');
outcome_is($early, 'F0000', 'with another keyring: no root key is made over old data', 'SELECT key_vault.create_root_key()');

copy(keyring_path($node), $ring);
chmod 0600, $ring;
is(wrong($other, 'early'), 0, 'with the keyring: every secret opens');
outcome_is($early, $keys{'user_2 gemini default'}, 'with the keyring: also in the session that had failed',
	q{SELECT key_vault.get('user_2', 'gemini')});

# roles first, as a restore should
command_ok([ 'psql', '-Xq', '-f', "$dumps/globals", '-d', $other->connstr('postgres') ], 'restore of pg_dumpall -g');
$other->safe_psql('postgres', 'CREATE DATABASE late');
command_ok($restore{custom}->($other, 'late'), 'restore into another cluster, after the roles');
is(wrong($other, 'late'), 0, 'in another cluster: every secret opens');
is($other->safe_psql('late', $listed[1]), $inventory, 'in another cluster: versions, hints, times and expiries are as they were');
is($other->safe_psql('late', q{SELECT string_agg(role || ' ' || level || ' ' || complete, ', ' ORDER BY role) FROM key_vault.access}),
	'regress_kv_admin admin true, regress_kv_service service true, regress_kv_tenant user true', 'in another cluster: levels');
outcome_is(session($other, 'regress_kv_service', dbname => 'late'), $keys{'user_3 gemini default'}, 'in another cluster: a service role gets',
	q{SELECT key_vault.get('user_3', 'gemini')});
is($other->safe_psql('late', $noted[1]), $noted, 'in another cluster: uses, and what providers said');
my $tenant = session($other, 'regress_kv_tenant', dbname => 'late');
outcome_is($tenant, $keys{'user_1 gemini default'}, 'in another cluster: a role has its identity', q{SELECT key_vault.get(NULL, 'gemini')});
outcome_is($tenant, '42501', 'in another cluster: and not another\'s', q{SELECT key_vault.get('user_2', 'gemini')});

# --- Where what is

my $plain = slurp_file("$dumps/plain");
my $globals = slurp_file("$dumps/globals");
like($globals, qr/GRANT SET ON PARAMETER "?key_vault\.user_id"? TO regress_kv_service/i, 'SET, which makes a service, is in pg_dumpall -g');
like($globals, qr/GRANT SET ON PARAMETER "?key_vault\.team_id"? TO regress_kv_service/i, '... for the team, too');
like($globals, qr/ALTER ROLE regress_kv_tenant SET "?key_vault\.user_id"? TO 'user_1'/, 'so is the identity of a role');
unlike($plain, qr/ON PARAMETER/, 'and not in pg_dump');
like($plain, qr/GRANT (ALL|EXECUTE) ON FUNCTION key_vault\.get\(.*TO regress_kv_service/, 'EXECUTE is in pg_dump');
like($plain, qr/GRANT SELECT ON TABLE key_vault_data\.secrets TO regress_kv_tenant/, 'so is SELECT');
for my $name (keys %keys)
{
	index("$plain$globals", $keys{$name}) < 0 or fail("a dump holds the key of $name");
}

# --- Who may dump

$node->safe_psql('postgres', 'CREATE ROLE regress_kv_dumper LOGIN; GRANT pg_read_all_data TO regress_kv_dumper');
command_fails([ 'pg_dump', '-d', $node->connstr('postgres') . ' user=regress_kv_dumper', '-f', "$dumps/part" ],
	'a role under row-level security cannot dump part of the secrets without noticing');

done_testing();
