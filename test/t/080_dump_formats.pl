# A database is moved with pg_dump and pg_restore: every format, into an empty database, one
# that has the extension, one that has secrets of its own; by a superuser and by who is
# none; under the same root key and under another one.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $source = new_vault('source');
my $target = new_vault('target');
my $dumps = PostgreSQL::Test::Utils::tempdir;

# Two clusters, two keyrings: the one that the dump is restored into has both keys
append_to_file(keyring_path($target), slurp_file(keyring_path($source)));

add_role($source, 'regress_kv_service', 'service');
add_role($source, 'regress_kv_tenant', 'user', 'user_a');
add_role($source, 'regress_kv_admin', 'admin');
fill($source, 'postgres', 'user_a', 'user_b');
$source->safe_psql('postgres', q{
	SELECT key_vault.set('user_a', 'gemini', 'AIza-second-of-user_a');
	SELECT key_vault.add_provider('acme', required => true, attribute_vars => '{"region": "ACME_REGION"}');
	SELECT key_vault.remove_provider('deepl');
	SELECT key_vault.set('user_a', 'acme', 'acme-key-of-user_a');
	SELECT key_vault.record_usage('user_a', 'gemini', 3, 1000, 0.25)});

sub fill
{
	my ($node, $dbname, @users) = @_;
	my $session = session($node, undef, dbname => $dbname);
	for my $user (@users)
	{
		$session->value('SELECT key_vault.set($1, $2, $3)', $user, 'gemini', "AIza-of-$user");
		$session->value('SELECT key_vault.set($1, $2, $3, label => $4, attributes => $5)', $user, 'openai', "sk-work-of-$user", 'work',
			qq({"base_url": "https://$user.example.com", "caf\xc3\xa9": [1.50, {}]}));
		$session->value(q{SELECT key_vault.set($1, $2, $3, expires_at => '2100-01-01')}, $user, 'exa', "exa-key-of-$user");
	}
	return;
}

# Everything that can be known of a database's secrets, opened.
my $contents = q{
	SELECT string_agg(concat_ws('|', i.user_id, i.provider, i.label, i.version, i.hint, i.expires_at,
			CASE WHEN i.is_current THEN key_vault.require(i.user_id, i.provider, i.label) END,
			(SELECT attributes FROM key_vault.lookup(i.user_id, i.provider, i.label) WHERE i.is_current)),
			E'\n' ORDER BY i.user_id, i.provider, i.label, i.version)
	FROM key_vault.inventory i WHERE i.user_id LIKE $1};

sub contents
{
	my ($node, $dbname, $users) = @_;
	return session($node, undef, dbname => $dbname)->value($contents, $users // '%');
}

my $everything = contents($source, 'postgres');
is(scalar(split /\n/, $everything), 8, 'there are eight versions to move');
like($everything, qr/sk-work-of-user_b\|.*"base_url": "https:\/\/user_b\.example\.com"/, '... with attributes');

# The tools, as the superuser or another role of the cluster
sub tool
{
	my ($node, $role, @command) = @_;
	my ($out, $err);
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	local $ENV{PGUSER} = $role if defined $role;
	my $ok = IPC::Run::run(\@command, '<', \undef, '>', \$out, '2>', \$err);
	note $err if $err ne '';
	return { ok => $ok, out => $out, err => $err };
}

sub works
{
	my ($name, @arguments) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $run = tool(@arguments);
	ok($run->{ok} && $run->{err} !~ /error|warning/i, $name);
	return;
}

sub fails
{
	my ($name, $pattern, @arguments) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $run = tool(@arguments);
	ok(!$run->{ok}, $name);
	like($run->{err}, $pattern, "$name: why");
	return;
}

sub new_database
{
	my ($dbname, %option) = @_;
	$target->safe_psql('postgres', "CREATE DATABASE $dbname" . ($option{owner} ? " OWNER $option{owner}" : ''));
	$target->safe_psql($dbname, 'CREATE EXTENSION key_vault') if $option{extension};
	return $dbname;
}

# --- Roles and what is granted to them cluster-wide

works('pg_dumpall --globals-only', $source, undef, 'pg_dumpall', '--globals-only', '-f', "$dumps/globals.sql");
like(slurp_file("$dumps/globals.sql"), qr/^GRANT SET ON PARAMETER "?key_vault\.user_id"? TO regress_kv_service;$/m,
	'it holds the right to set the identity');
unlike(slurp_file("$dumps/globals.sql"), qr/TO regress_kv_tenant;/, 'of service roles only');
like(slurp_file("$dumps/globals.sql"), qr/^ALTER ROLE regress_kv_tenant SET "?key_vault\.user_id"? TO 'user_a';$/m,
	'and the identities of roles');
my $superuser = KeyVaultTest::superuser_of($source);
my $globals = join '', grep { !/^(CREATE|ALTER) ROLE \Q$superuser\E[ ;]/ } split /^/, slurp_file("$dumps/globals.sql");
append_to_file("$dumps/new_globals.sql", $globals);
works('which another cluster takes', $target, undef, 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dumps/new_globals.sql", 'postgres');

# --- Every format into an empty database

my %restore = (
	plain => sub { ('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', $_[1], '-f', $_[0]) },
	custom => sub { ('pg_restore', '--exit-on-error', '-d', $_[1], $_[0]) },
	directory => sub { ('pg_restore', '--exit-on-error', '-j2', '-d', $_[1], $_[0]) });

for my $format (sort keys %restore)
{
	my $file = "$dumps/all.$format";
	my $dbname = new_database($format);
	works("pg_dump --format=$format", $source, undef, 'pg_dump', '--no-sync', "--format=$format", '-f', $file, 'postgres');
	works("$format: restore", $target, undef, $restore{$format}->($file, $dbname));
	is(contents($target, $dbname), $everything, "$format: every secret opens");

	# Straight after: levels came with the dump, the right to set the identity with the globals
	my $service = session($target, 'regress_kv_service', dbname => $dbname);
	outcome_is($service, 'AIza-second-of-user_a', "$format: a service role names the user", q{SELECT key_vault.get('user_a', 'gemini')});
	$service->run('BEGIN', q{SET LOCAL key_vault.user_id = 'user_b'});
	outcome_is($service, 'AIza-of-user_b', "$format: and sets the identity", q{SELECT key_vault.get(NULL, 'gemini')});
	outcome_is($service, '42501', "$format: which it keeps to", q{SELECT key_vault.get('user_a', 'gemini')});
	$service->run('ROLLBACK');
	my $tenant = session($target, 'regress_kv_tenant', dbname => $dbname);
	outcome_is($tenant, 'AIza-second-of-user_a', "$format: a tenant reads by its identity", q{SELECT key_vault.get(NULL, 'gemini')});
	outcome_is($tenant, '42501', "$format: nobody else's", q{SELECT key_vault.get('user_b', 'gemini')});
	my $admin = session($target, 'regress_kv_admin', dbname => $dbname);
	outcome_is($admin, 'active', "$format: the root key is active", 'SELECT string_agg(state, \',\') FROM key_vault.root_keys');
	outcome_is($admin, 'acme', "$format: own providers came along",
		q{SELECT string_agg(name, ',') FROM key_vault.providers WHERE name IN ('acme', 'deepl')});
	outcome_is($admin, '{"region": "ACME_REGION"}', "$format: with their variables", q{SELECT attribute_vars FROM key_vault.providers WHERE name = 'acme'});
	outcome_is($admin, '0.25', "$format: what was used, too", q{SELECT sum(cost) FROM key_vault.monthly_costs});
	outcome_is($admin, 't', "$format: all levels are complete", 'SELECT bool_and(complete) FROM key_vault.access');
}

# --- Where the extension is already

new_database('prepared', extension => 1);
works('a whole dump, where the extension is', $target, undef, 'pg_restore', '--exit-on-error', '-d', 'prepared', "$dumps/all.custom");
is(contents($target, 'prepared'), $everything, 'where the extension is: every secret opens');

new_database('data_only', extension => 1);
works('data only, from a whole dump', $target, undef,
	'pg_restore', '--exit-on-error', '--data-only', '-d', 'data_only', "$dumps/all.custom");
is(contents($target, 'data_only'), $everything, 'data only: every secret opens');
outcome_is(session($target, 'regress_kv_service', dbname => 'data_only'), '42501', 'data only: levels are not data',
	q{SELECT key_vault.get('user_a', 'gemini')});

new_database('data_dump', extension => 1);
works('a dump of data only', $source, undef, 'pg_dump', '--no-sync', '--data-only', '-f', "$dumps/data.sql", 'postgres');
works('data dump: restore', $target, undef, 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', 'data_dump', '-f', "$dumps/data.sql");
is(contents($target, 'data_dump'), $everything, 'data dump: every secret opens');

new_database('no_extension');
fails('data only, where the extension is not', qr/schema "key_vault_data" does not exist/, $target, undef,
	'pg_restore', '--exit-on-error', '--data-only', '-d', 'no_extension', "$dumps/all.custom");

# --- Who is no superuser

for my $node ($source, $target)
{
	$node->safe_psql('postgres', q{
		CREATE ROLE regress_kv_reader LOGIN IN ROLE pg_read_all_data;
		CREATE ROLE regress_kv_dumper LOGIN BYPASSRLS IN ROLE pg_read_all_data;
		CREATE ROLE regress_kv_writer LOGIN CREATEDB IN ROLE pg_write_all_data;
		CREATE ROLE regress_kv_restorer LOGIN BYPASSRLS IN ROLE pg_write_all_data});
}
fails('pg_dump by a role under row-level security', qr/query would be affected by row-level security policy/,
	$source, 'regress_kv_reader', 'pg_dump', '--no-sync', '-f', "$dumps/reader.sql", 'postgres');
works('pg_dump by a role that reads all data and bypasses row-level security',
	$source, 'regress_kv_dumper', 'pg_dump', '--no-sync', '-Fc', '-f', "$dumps/dumper.custom", 'postgres');

new_database('owned', owner => 'regress_kv_writer');
fails('the owner of a database cannot create the extension', qr/permission denied to create extension "key_vault"/,
	$target, 'regress_kv_writer', 'pg_restore', '--exit-on-error', '-d', 'owned', "$dumps/dumper.custom");
$target->safe_psql('owned', 'CREATE EXTENSION key_vault');
fails('nor restore under row-level security', qr/row-level security/,
	$target, 'regress_kv_writer', 'pg_restore', '--single-transaction', '--data-only', '-d', 'owned', "$dumps/dumper.custom");
works('a role that writes all data and bypasses row-level security restores where a DBA made the extension',
	$target, 'regress_kv_restorer', 'pg_restore', '--single-transaction', '--data-only', '-d', 'owned', "$dumps/dumper.custom");
is(contents($target, 'owned'), $everything, 'restored by no superuser: every secret opens');
outcome_is(session($target, 'regress_kv_restorer', dbname => 'owned'), '42501', 'who restored reads no key',
	q{SELECT key_vault.get('user_a', 'gemini')});

# --- Into a database that has a root key and secrets of its own

sub root_keys
{
	my ($session) = @_;
	return $session->value(q{SELECT string_agg(state || ' ' || secrets, ', ' ORDER BY state) FROM key_vault.root_keys});
}

new_database('merged', extension => 1);
my $merged = session($target, undef, dbname => 'merged');
my $own = $merged->value('SELECT key_vault.create_root_key()');
fill($target, 'merged', 'user_c', 'user_d');
my $own_secrets = contents($target, 'merged');
my $foreign = $source->safe_psql('postgres', 'SELECT id FROM key_vault.root_keys');

my @rows = ('--data-only', '-n', 'key_vault_data', '-t', 'root_key_registry', '-t', 'own_providers', '-t', 'secrets');
works('merge: the rows of root keys, providers and secrets', $target, undef,
	'pg_restore', '--single-transaction', @rows, '-d', 'merged', "$dumps/all.custom");
is(contents($target, 'merged', 'user\_a') . "\n" . contents($target, 'merged', 'user\_b'), $everything, 'merge: every secret of the dump opens');
is(contents($target, 'merged', 'user\_c') . "\n" . contents($target, 'merged', 'user\_d'), $own_secrets, 'merge: and every one that was there');
is(root_keys($merged), 'active 6, standby 8', 'merge: the root key that was activated last is active');
outcome_is($merged, $own, 'merge: here it is the database\'s own', q{SELECT id FROM key_vault.root_keys WHERE state = 'active'});

fails('merge: what is there twice is refused', qr/duplicate key value violates unique constraint/, $target, undef,
	'pg_restore', '--single-transaction', @rows, '-d', 'merged', "$dumps/all.custom");

$merged->run('CALL key_vault.rotate_root_key()');
is(root_keys($merged), 'active 14, standby 0', 'merge: rotated');
outcome_is($merged, '', 'merge: the foreign root key is retired', 'SELECT key_vault.retire_root_key($1)', $foreign);
is(contents($target, 'merged', 'user\_a') . "\n" . contents($target, 'merged', 'user\_b'), $everything, 'merge: everything opens after that');

# The other way round: a dump whose root key was activated later than the database's
new_database('merged_back', extension => 1);
my $back = session($target, undef, dbname => 'merged_back');
$back->value('SELECT key_vault.activate_root_key($1)', $own);
$back->value('SELECT key_vault.activate_root_key($1)', $foreign);
works('merge back: pg_dump', $target, undef, 'pg_dump', '--no-sync', '-Fc', '-f', "$dumps/back.custom", 'custom');
$back->run('TRUNCATE key_vault_data.root_key_registry');
$back->value('SELECT key_vault.activate_root_key($1)', $own);
$back->run(q{UPDATE key_vault_data.root_key_registry SET activated_at = '2000-01-01'});
works('merge back: restore', $target, undef, 'pg_restore', '--single-transaction',
	@rows, '-d', 'merged_back', "$dumps/back.custom");
outcome_is($back, $foreign, 'a foreign root key that was activated later becomes active',
	q{SELECT id FROM key_vault.root_keys WHERE state = 'active'});
outcome_is($back, '', 'until the own one is activated again', 'SELECT key_vault.activate_root_key($1)', $own);
outcome_is($back, $own, 'which then is active', q{SELECT id FROM key_vault.root_keys WHERE state = 'active'});

# --- Under another root key: nothing of the old keyring is needed in the end

my $elsewhere = new_vault('elsewhere');
my $new_key = $elsewhere->safe_psql('postgres', 'SELECT id FROM key_vault.root_keys');
works('elsewhere: restore', $elsewhere, undef, 'pg_restore', '--no-acl', '--data-only', '--exit-on-error', '-d', 'postgres', "$dumps/all.custom");
my $session = session($elsewhere);
outcome_is($session, 'F0000', 'without the old root key nothing opens', q{SELECT key_vault.get('user_a', 'gemini')});
outcome_is($session, 'missing', 'and the view says that it is missing', q{SELECT state FROM key_vault.root_keys WHERE id = $1}, $foreign);
outcome_is($session, 'F0000', 'no further root key is made meanwhile', 'SELECT key_vault.create_root_key()');

append_to_file(keyring_path($elsewhere), slurp_file(keyring_path($source)));
outcome_is($session, 'AIza-second-of-user_a', 'with it appended, everything does', q{SELECT key_vault.get('user_a', 'gemini')});
outcome_is($session, '', 'the new root key is active', 'SELECT key_vault.activate_root_key($1)', $new_key);
$session->run('CALL key_vault.rotate_root_key()');
outcome_is($session, '', 'the old one is retired', 'SELECT key_vault.retire_root_key($1)', $foreign);
my $kept = join '', grep { !/^$foreign / } split /^/, slurp_file(keyring_path($elsewhere));
isnt($kept, slurp_file(keyring_path($elsewhere)), 'its line is taken out of the keyring');
unlink keyring_path($elsewhere);
append_to_file(keyring_path($elsewhere), $kept);
chmod 0600, keyring_path($elsewhere);
is(contents($elsewhere, 'postgres'), $everything, 'and every secret opens without it');
outcome_is(session($elsewhere), 'ok', 'status finds nothing wrong', q{SELECT state FROM key_vault.status() WHERE item = 'root_key'});
outcome_is(session($elsewhere), '4', 'and the next version is stored', q{SELECT key_vault.set('user_a', 'acme', 'acme-2') + 2});

done_testing();
