# A setting that is set before the library is loaded is a placeholder: nothing checks
# who may set it until our settings are defined.  None of the ways to leave one behind
# gives anybody an identity or changes how keys are kept.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_vault('placeholder');
add_role($node, 'regress_kv_tenant', 'user', 'user_a');
add_role($node, 'regress_kv_bare', 'user');
add_role($node, 'regress_kv_service', 'service');
add_role($node, 'regress_kv_stranger');
$node->safe_psql('postgres', q{
	SELECT key_vault.set(u, 'gemini', 'AIza-of-' || u) FROM unnest('{user_a,user_b}'::text[]) u;
	CREATE SCHEMA attic;
	GRANT ALL ON SCHEMA attic TO PUBLIC;
	GRANT regress_kv_bare TO regress_kv_service});

my $whoami = 'SELECT key_vault.current_user_id()';
my $mine = q{SELECT key_vault.get(NULL, 'gemini')};
my $of_a = q{SELECT key_vault.get('user_a', 'gemini')};
my $of_b = q{SELECT key_vault.get('user_b', 'gemini')};

# Loads the library and says whether that warned of a setting without permission.
sub load_warns
{
	my ($session) = @_;
	return warned($session->query($whoami), '42501');
}

sub has_no_identity
{
	my ($session, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	outcome_is($session, 'NULL', "$name: there is no identity", $whoami);
	outcome_is($session, '22004', "$name: get of nobody's key", $mine);
	outcome_is($session, '42501', "$name: get of user_b's key", $of_b);
	outcome_is($session, 0, "$name: no rows", 'SELECT count(*) FROM key_vault.secrets');
	return;
}

sub acts_for_a
{
	my ($session, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	outcome_is($session, 'user_a', "$name: the identity", $whoami);
	outcome_is($session, 'AIza-of-user_a', "$name: get of the identity's key", $mine);
	outcome_is($session, '42501', "$name: get of another's key", $of_b);
	outcome_is($session, 'user_a', "$name: rows", q{SELECT string_agg(DISTINCT user_id, ',') FROM key_vault.secrets});
	return;
}

# --- Set in the session

for my $how (
	q{SET key_vault.user_id = 'user_b'},
	q{SET SESSION key_vault.user_id = 'user_b'},
	q{SELECT set_config('key_vault.user_id', 'user_b', false)},
	q{SET "KEY_VAULT"."USER_ID" = 'user_b'})
{
	my $bare = session($node, 'regress_kv_bare');
	$bare->run($how);
	is(load_warns($bare), 1, "$how: loading warns");
	has_no_identity($bare, $how);
	outcome_is($bare, '42501', "$how: once loaded it is refused", $how);

	my $tenant = session($node, 'regress_kv_tenant');
	$tenant->run($how);
	is(load_warns($tenant), 1, "$how, by a role that has an identity: loading warns");
	acts_for_a($tenant, "$how, by a role that has an identity");
}

for my $how (q{SET LOCAL key_vault.user_id = 'user_b'}, q{SELECT set_config('key_vault.user_id', 'user_b', true)})
{
	my $bare = session($node, 'regress_kv_bare');
	$bare->run('BEGIN', $how);
	is(load_warns($bare), 1, "$how: loading warns");
	outcome_is($bare, 'NULL', "$how: there is no identity", $whoami);
	$bare->run('COMMIT');
	has_no_identity($bare, "$how, after its transaction");
}

{
	my $bare = session($node, 'regress_kv_bare');
	$bare->run('BEGIN', 'SAVEPOINT one', q{SET LOCAL key_vault.user_id = 'user_b'},
		'SAVEPOINT two', q{SET key_vault.user_id = 'user_c'});
	is(load_warns($bare), 2, 'settings at several levels: loading warns of each');
	outcome_is($bare, 'NULL', 'settings at several levels: there is no identity', $whoami);
	$bare->run('ROLLBACK TO two');
	outcome_is($bare, 'NULL', 'nor after the inner savepoint', $whoami);
	$bare->run('ROLLBACK TO one');
	outcome_is($bare, 'NULL', 'nor after the outer savepoint', $whoami);
	$bare->run('COMMIT');
	has_no_identity($bare, 'settings at several levels');
}

{
	my $stranger = session($node, 'regress_kv_stranger');
	$stranger->run(q{SET key_vault.user_id = 'user_b'});
	outcome_is($stranger, '42501', 'a role without a level cannot even ask', $whoami);
	outcome_is($stranger, '42501', 'nor get', $of_b);
}

{
	my $service = session($node, 'regress_kv_service');
	$service->run(q{SET key_vault.user_id = 'user_a'});
	is(load_warns($service), 0, 'a service role may set it: loading says nothing');
	acts_for_a($service, 'a service role');

	$service = session($node, 'regress_kv_service');
	$service->run('BEGIN', q{SET LOCAL key_vault.user_id = 'user_a'});
	is(load_warns($service), 0, 'SET LOCAL by a service role: loading says nothing');
	outcome_is($service, 'AIza-of-user_a', 'SET LOCAL by a service role holds in the transaction', $mine);
	$service->run('COMMIT');
	outcome_is($service, 'NULL', 'and no longer', $whoami);
}

# --- At the start of the session

{
	my $options = '-c key_vault.user_id=user_b';
	my $bare = session($node, 'regress_kv_bare', options => $options);
	is(load_warns($bare), 1, 'PGOPTIONS: loading warns');
	has_no_identity($bare, 'PGOPTIONS');

	my $tenant = session($node, 'regress_kv_tenant', options => $options);
	is(load_warns($tenant), 1, 'PGOPTIONS, by a role that has an identity: loading warns');
	has_no_identity($tenant, 'PGOPTIONS takes an identity away and gives none');

	my $service = session($node, 'regress_kv_service', options => '-c key_vault.user_id=user_a');
	is(load_warns($service), 0, 'PGOPTIONS by a service role: loading says nothing');
	acts_for_a($service, 'PGOPTIONS by a service role');
}

# --- Kept in the catalogs: by who lacks the right, in sessions with and without the library

$node->safe_psql('postgres', 'CREATE DATABASE owned OWNER regress_kv_bare');
$node->safe_psql('postgres', 'CREATE ROLE regress_kv_maker LOGIN CREATEROLE');
install_vault($node, 'owned');
$node->safe_psql('owned', q{SELECT key_vault.grant_access('regress_kv_bare', 'user')});

my @catalog_ways = (
	[ 'ALTER ROLE self', q{ALTER ROLE regress_kv_bare SET key_vault.user_id = 'user_b'} ],
	[ 'ALTER ROLE self in a database', q{ALTER ROLE regress_kv_bare IN DATABASE owned SET key_vault.user_id = 'user_b'} ],
	[ 'ALTER DATABASE by its owner', q{ALTER DATABASE owned SET key_vault.user_id = 'user_b'} ],
	[ 'CREATE FUNCTION', q{CREATE FUNCTION attic.as_b() RETURNS text LANGUAGE plpgsql SET key_vault.user_id = 'user_b'
		AS $$ BEGIN RETURN key_vault.get(NULL, 'gemini'); END $$} ],
	[ 'CREATE FUNCTION, which is SECURITY DEFINER', q{CREATE FUNCTION attic.as_b() RETURNS text LANGUAGE plpgsql SECURITY DEFINER
		SET key_vault.user_id = 'user_b' AS $$ BEGIN RETURN key_vault.get(NULL, 'gemini'); END $$} ],
	[ 'CREATE PROCEDURE', q{CREATE PROCEDURE attic.as_b() LANGUAGE plpgsql SET key_vault.user_id = 'user_b'
		AS $$ BEGIN PERFORM key_vault.get(NULL, 'gemini'); END $$} ]);

for my $way (@catalog_ways)
{
	my ($name, $sql) = @$way;
	outcome_is(session($node, 'regress_kv_bare', dbname => 'owned'), '42501', "$name, library not loaded: refused", $sql)
	  if $sql !~ /attic/;
	outcome_is(session($node, 'regress_kv_bare'), '42501', "$name, library not loaded: refused", $sql) if $sql =~ /attic/;
	my $loaded = session($node, 'regress_kv_bare');
	$loaded->query($whoami);
	outcome_is($loaded, '42501', "$name, library loaded: refused", $sql);
}
outcome_is(session($node, 'regress_kv_maker'), '42501', 'ALTER ROLE by a role with CREATEROLE: refused',
	q{ALTER ROLE regress_kv_stranger SET key_vault.user_id = 'user_b'});

{
	my $tenant = session($node, 'regress_kv_tenant');
	outcome_is($tenant, '42501', 'ALTER ROLE self RESET: refused', 'ALTER ROLE regress_kv_tenant RESET key_vault.user_id');
	$tenant->run('ALTER ROLE regress_kv_tenant RESET ALL');
	acts_for_a(session($node, 'regress_kv_tenant'), 'ALTER ROLE self RESET ALL leaves the identity');
}

# A function that carries a setting carries it for who holds the right, and for nobody else.
{
	my $service = session($node, 'regress_kv_service');
	$service->run(q{CREATE FUNCTION attic.carries() RETURNS text LANGUAGE plpgsql SET key_vault.user_id = 'user_b'
		AS $$ BEGIN RETURN key_vault.current_user_id(); END $$});
	my $bare = session($node, 'regress_kv_bare');
	my $result = $bare->query('SELECT attic.carries()');
	is($result->{rows}[0][0], undef, q{a service role's function that carries a setting gives others no identity});
	is(warned($result, '42501'), 1, 'and warns, when it is what loads the library');
	outcome_is($bare, '42501', 'it is refused when the library is there', 'SELECT attic.carries()');
	has_no_identity($bare, 'after it');
	outcome_is(session($node, 'regress_kv_service'), 'user_b', 'it works for the service role', 'SELECT attic.carries()');
}

# --- Who set it is who counts, not who is there when the library is loaded

{
	my $super = session($node);
	$super->run('SET SESSION AUTHORIZATION regress_kv_bare', q{SET key_vault.user_id = 'user_b'},
		'RESET SESSION AUTHORIZATION');
	is(load_warns($super), 1, 'set as another session user: loading warns');
	outcome_is($super, 'NULL', 'and the superuser who returns has no identity', $whoami);

	$super = session($node);
	$super->run('SET ROLE regress_kv_bare', q{SET key_vault.user_id = 'user_b'}, 'RESET ROLE');
	is(load_warns($super), 1, 'set as another role: loading warns');
	outcome_is($super, 'NULL', 'and the superuser who returns has no identity', $whoami);

	$super = session($node);
	$super->run(q{SET key_vault.user_id = 'user_a'}, 'SET SESSION AUTHORIZATION regress_kv_bare');
	is(load_warns($super), 0, 'set by a superuser who became another session user: loading says nothing');
	acts_for_a($super, 'set by a superuser who became another session user');
	outcome_is($super, '42501', 'who cannot change it', q{SET key_vault.user_id = 'user_b'});
}

{
	my $super = session($node);
	$super->run('SET SESSION AUTHORIZATION regress_kv_tenant');
	has_no_identity($super, q{SET SESSION AUTHORIZATION does not bring ALTER ROLE's identity});
}

# --- Roles that change in the middle of a transaction

{
	my $service = session($node, 'regress_kv_service');
	$service->run('BEGIN', q{SET LOCAL key_vault.user_id = 'user_a'}, 'SET LOCAL ROLE regress_kv_bare');
	is(load_warns($service), 0, 'SET ROLE after the identity was set: loading says nothing');
	outcome_is($service, 'AIza-of-user_a', 'SET ROLE keeps the identity', $mine);
	$service->run('SAVEPOINT s');
	outcome_is($service, '42501', 'the role cannot change it', q{SET LOCAL key_vault.user_id = 'user_b'});
	$service->run('ROLLBACK TO s');
	outcome_is($service, '42501', 'nor get what is another user\'s', $of_b);
	$service->run('ROLLBACK TO s', 'RESET ROLE');
	outcome_is($service, 'AIza-of-user_a', 'RESET ROLE keeps the identity', $mine);
	$service->run(q{SET LOCAL key_vault.user_id = ''});
	outcome_is($service, 'AIza-of-user_b', 'without an identity a service role names the user', $of_b);
	$service->run('SET LOCAL ROLE regress_kv_bare', 'SAVEPOINT s');
	outcome_is($service, '42501', 'the role that it takes on may not', $of_b);
	$service->run('ROLLBACK TO s', 'RESET ROLE');
	outcome_is($service, 'AIza-of-user_b', 'and the service role may again', $of_b);
	$service->run('COMMIT');
}

{
	my $super = session($node);
	$super->run('BEGIN');
	outcome_is($super, 'AIza-of-user_b', 'a superuser names the user', $of_b);
	$super->run('SET LOCAL SESSION AUTHORIZATION regress_kv_bare', 'SAVEPOINT s');
	outcome_is($super, '42501', 'SET SESSION AUTHORIZATION in the same transaction: no longer', $of_b);
	$super->run('ROLLBACK TO s');
	outcome_is($super, 0, 'and the rows are gone', 'SELECT count(*) FROM key_vault.secrets');
	$super->run('COMMIT');
	outcome_is($super, 'AIza-of-user_b', 'after the transaction again', $of_b);
}

# --- RESET and DISCARD

for my $loaded (0, 1)
{
	my $when = $loaded ? 'library loaded' : 'library not loaded';
	my @load = $loaded ? ($whoami) : ();

	for my $reset ('RESET key_vault.user_id', 'RESET ALL', 'DISCARD ALL', 'SET key_vault.user_id TO DEFAULT')
	{
		my $service = session($node, 'regress_kv_service');
		$service->run(@load, q{SET key_vault.user_id = 'user_b'}, $reset);
		outcome_is($service, 'NULL', "$reset takes away what a service role set, $when", $whoami);

		my $tenant = session($node, 'regress_kv_tenant');
		$tenant->run(@load);
		$tenant->simple($reset);
		acts_for_a($tenant, "$reset leaves the identity of ALTER ROLE, $when");
	}
}

# --- Our other settings

my $secret = PostgreSQL::Test::Utils::tempdir . '/touched';
my $ours = session($node);
$ours->value($whoami);
my %others = (
	keyring_file => '/nonexistent/keyring',
	keyring_command => "touch $secret",
	keyring_command_timeout => '1',
	dotenv_file => '/nonexistent/.env',
	mode => 'development',
	hint => 'none',
	check_keys => 'refuse',
	redact => 'off',
	redact_names => 'application.store_key',
	keep_versions => '0',
	purge_after => '1',
	audit => 'async',
	audit_keep => '1',
	audit_timeout => '1',
	track_last_use => 'on');
is(join(',', map { "key_vault.$_" } sort keys %others),
	$ours->value(q{SELECT string_agg(name, ',' ORDER BY name COLLATE "C") FROM pg_settings
		WHERE name LIKE 'key\_vault.%' AND name NOT IN ('key_vault.user_id', 'key_vault.team_id')}), 'all settings but the identity are tried');

for my $name (sort keys %others)
{
	my $set = "SET key_vault.$name = '$others{$name}'";
	for my $role ('regress_kv_bare', 'regress_kv_service')
	{
		my $session = session($node, $role);
		$session->run($set);
		my $result = $session->query($whoami);
		is(warned($result, '42501') + warned($result, '55P02'), 1, "$name, set by $role: loading warns");
		isnt($session->outcome("SHOW key_vault.$name"), $others{$name}, "$name, set by $role: without effect");
		isnt($session->outcome($set), 'no row', "$name, set by $role: once loaded it is refused");
	}
	(my $escaped = $others{$name}) =~ s/ /\\ /g;
	my $options = session($node, 'regress_kv_bare', options => "-c key_vault.$name=$escaped");
	my $result = $options->query($whoami);
	is(warned($result, '42501') + warned($result, '55P02'), 1, "$name, by PGOPTIONS: loading warns");
	isnt($options->outcome("SHOW key_vault.$name"), $others{$name}, "$name, by PGOPTIONS: without effect");

	outcome_is(session($node, 'regress_kv_bare'), '42501', "$name, by ALTER ROLE self: refused",
		"ALTER ROLE regress_kv_bare SET key_vault.$name = '$others{$name}'");
	outcome_is(session($node, 'regress_kv_bare', dbname => 'owned'), '42501', "$name, by ALTER DATABASE of the owner: refused",
		"ALTER DATABASE owned SET key_vault.$name = '$others{$name}'");
	outcome_is(session($node, 'regress_kv_bare'), '42501', "$name, by CREATE FUNCTION: refused",
		"CREATE FUNCTION attic.f() RETURNS int LANGUAGE sql SET key_vault.$name = '$others{$name}' AS 'SELECT 1'");
}

{
	my $tenant = session($node, 'regress_kv_tenant');
	$tenant->run(map { "SET key_vault.$_ = '$others{$_}'" } sort keys %others);
	outcome_is($tenant, 'AIza-of-user_a', 'all of them at once: the keyring is the configured one', $mine);
	outcome_is($tenant, $_, "all of them at once: set, version $_",
		q{SELECT key_vault.set('user_a', 'exa', $1)}, "exa-key-of-sixteen-$_") for 1 .. 4;
	outcome_is($tenant, '2,3,4', 'all of them at once: older versions are kept',
		q{SELECT string_agg(version::text, ',' ORDER BY version) FROM key_vault.versions('user_a', 'exa')});
	outcome_is($tenant, 'en-4', 'all of them at once: hints are kept',
		q{SELECT hint FROM key_vault.list('user_a') WHERE provider = 'exa'});
	ok(!-e $secret, 'all of them at once: no command ran');
}

# A superuser's session cannot change what the whole server must agree on, either.
for my $name (qw(keyring_file keyring_command keyring_command_timeout dotenv_file mode))
{
	my $super = session($node);
	$super->run("SET key_vault.$name = '$others{$name}'");
	is(warned($super->query($whoami), '55P02'), 1, "$name, set by a superuser's session: loading warns");
	isnt($super->outcome("SHOW key_vault.$name"), $others{$name}, "$name, set by a superuser's session: without effect");
	outcome_is($super, '55P02', "$name, set by a superuser's session: once loaded it is refused",
		"SET key_vault.$name = '$others{$name}'");
}

{
	my $bare = session($node, 'regress_kv_bare');
	$bare->run(q{SET key_vault.userid = 'user_b'});
	my $result = $bare->query($whoami);
	is(warned($result, '42602'), 1, 'a setting that we do not have: loading warns, and removes it');
	outcome_is($bare, '42704', 'it is gone', 'SHOW key_vault.userid');
	outcome_is($bare, '42602', 'and cannot be set again', q{SET key_vault.userid = 'user_b'});
	outcome_is($bare, '42501', 'where the keyring is remains untold', 'SHOW key_vault.keyring_file');
}

{
	my $service = session($node, 'regress_kv_service');
	my $long = 'u' x 256;
	$service->run("SET key_vault.user_id = '$long'");
	is(warned($service->query($whoami), '22023'), 1, 'an identity that is too long: loading warns');
	outcome_is($service, 'NULL', 'and it is none', $whoami);
	outcome_is($service, '22023', 'once loaded it is refused', "SET key_vault.user_id = '$long'");
}

# --- With session_preload_libraries there is no placeholder

$node->safe_psql('postgres', q{ALTER DATABASE postgres SET session_preload_libraries = 'key_vault'});
{
	my $bare = session($node, 'regress_kv_bare');
	outcome_is($bare, '42501', 'session_preload_libraries: SET is checked at once', q{SET key_vault.user_id = 'user_b'});
	outcome_is($bare, '42501', 'session_preload_libraries: set_config, too', q{SELECT set_config('key_vault.user_id', 'user_b', true)});
	outcome_is($bare, '42501', 'session_preload_libraries: the path of the keyring is not shown', 'SHOW key_vault.keyring_file');
	outcome_is($bare, 'auto', 'session_preload_libraries: settings are known', 'SHOW key_vault.mode');
	has_no_identity($bare, 'session_preload_libraries');

	$bare = session($node, 'regress_kv_bare', options => '-c key_vault.user_id=user_b');
	is(warned($bare->{greeting}, '42501'), 1, 'session_preload_libraries: PGOPTIONS warns when the session starts');
	has_no_identity($bare, 'session_preload_libraries and PGOPTIONS');

	my $service = session($node, 'regress_kv_service');
	$service->run(q{SET key_vault.user_id = 'user_a'});
	acts_for_a($service, 'session_preload_libraries: a service role sets it');
	acts_for_a(session($node, 'regress_kv_tenant'), q{session_preload_libraries: ALTER ROLE's identity});
}

done_testing();
