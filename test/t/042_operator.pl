# An operator who makes mistakes: each is named, with what to do; none loses a secret,
# opens it to others, or mints a root key over old data.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_vault('operator');
add_role($node, 'regress_kv_service', 'service');
add_role($node, 'regress_kv_tenant', 'user', 'user_a');
my $super = session($node);
$super->value(q{SELECT key_vault.set($1, 'gemini', $2)}, $_, "AIza-of-$_") for 'user_a', 'user_b';
my $get = q{SELECT key_vault.get('user_a', 'gemini')};
my $ring = keyring_path($node);
my $kept = slurp_file($ring);
my $id = $super->value('SELECT id FROM key_vault.root_keys');

# What status() says of an item, from a fresh session.
sub status
{
	my ($item) = @_;
	return $node->safe_psql('postgres', "SELECT concat_ws(' | ', state, detail, remedy) FROM key_vault.status() WHERE item = '$item'");
}

# The error of a statement in a fresh session, on one line.
sub error_of
{
	my ($sql, $role) = @_;
	my $error = session($node, $role)->query($sql)->{error};
	return $error ? join ' | ', map { $error->{$_} // '' } qw(state message detail hint) : 'no error';
}

sub put_back
{
	unlink $ring;
	append_to_file($ring, $kept);
	chmod 0600, $ring;
	return;
}

# --- The keyring

my $running = session($node, 'regress_kv_service');
is($running->value($get), 'AIza-of-user_a', 'a session that has read the keyring');

rename $ring, "$ring.moved";
like(error_of($get), qr/^F0000 \| could not open file "\Q$ring\E"/, 'the keyring is gone: get');
like(error_of('SELECT key_vault.create_root_key()'), qr/^F0000/, 'the keyring is gone: no root key is made');
ok(!-e $ring, 'the keyring is gone: and no file');
like(status('keyring'), qr/^error \| .*could not open file/, 'the keyring is gone: status');
is($running->value($get), 'AIza-of-user_a', 'the keyring is gone: a session that has read it goes on');
is($running->outcome(q{SELECT key_vault.set('user_a', 'exa', 'exa-set-meanwhile')}), 1, 'the keyring is gone: it also sets');
rename "$ring.moved", $ring;
is(session($node)->value(q{SELECT key_vault.get('user_a', 'exa')}), 'exa-set-meanwhile', 'the keyring is back: what was set meanwhile opens');

append_to_file("$ring.other", "# only a comment\n");
chmod 0600, "$ring.other";
rename "$ring.other", $ring;
like(error_of($get), qr/^F0000 \| the keyring holds no root key/, 'the keyring is replaced by an empty one: get');
like(error_of('SELECT key_vault.create_root_key()'), qr/^F0000 \| root key $id is not in the keyring.*Restore the keyring/,
	'the keyring is replaced by an empty one: no root key is made over old data');
like(status('root_key'), qr/^error/, 'the keyring is replaced by an empty one: status');
put_back();

chmod 0644, $ring;
like(error_of($get), qr/^F0000 \| .*can be used by others.*chmod 0600/, 'the keyring is open to others: get says what to run');
chmod 0600, $ring;

$node->adjust_conf('postgresql.conf', 'key_vault.keyring_file', "'$ring.misspelt'");
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('key_vault.keyring_file') = '$ring.misspelt'");
like(error_of($get), qr/^F0000 \| could not open file "\Q$ring\E\.misspelt"/, 'the path is misspelt: get names it');
like(error_of('SELECT key_vault.create_root_key()'), qr/^F0000 \| root key $id is not in the keyring/,
	'the path is misspelt: no root key is made there');
ok(!-e "$ring.misspelt", 'the path is misspelt: and no file');
$node->adjust_conf('postgresql.conf', 'key_vault.keyring_file', "'$ring'");
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('key_vault.keyring_file') = '$ring'");
is(session($node)->value($get), 'AIza-of-user_a', 'the path is right again');

# --- Root keys

like(error_of("SELECT key_vault.retire_root_key('$id')"), qr/^55000 \| root key $id is active/, 'retiring the active root key');
like(error_of(q{SELECT key_vault.activate_root_key('0123456789abcdef')}), qr/^F0000 \| root key 0123456789abcdef is not in the keyring/,
	'activating a root key that nobody has');
like(error_of(q{SELECT key_vault.activate_root_key('my key')}), qr/^22023/, 'activating what is no id');
like(error_of(q{SELECT key_vault.retire_root_key('0123456789abcdef')}), qr/^42704/, 'retiring what was never registered');
my $second = $super->value('SELECT key_vault.create_root_key()');
$super->query('SELECT key_vault.activate_root_key($1)', $second);
like(error_of("SELECT key_vault.retire_root_key('$id')"), qr/^55000 \| root key $id is in use \| It seals 3 secrets/, 'retiring a root key in use');
my $longer = slurp_file($ring);
put_back();
like(error_of(q{SELECT key_vault.set('user_a', 'openai', 'sk-x')}), qr/^F0000 \| root key $second is not in the keyring/,
	'an old copy of the keyring is restored: set names what is missing');
is(session($node)->outcome($get), 'AIza-of-user_a', 'an old copy of the keyring is restored: what the old root key sealed opens');
like(error_of('SELECT key_vault.create_root_key()'), qr/^F0000 \| root key $second is not in the keyring/,
	'an old copy of the keyring is restored: no root key is made');
$kept = $longer;
put_back();

$super->run("DELETE FROM key_vault_data.root_key_registry WHERE id = '$id'");
like(error_of($get), qr/^XX001 \| .*root key is not registered/, 'a root key is deleted from the registry: get');
like(status('sealed_rows'), qr/^error \| .*3 sealed with root key $id, which this database did not register/, 'a root key is deleted from the registry: status names it');
$super->query('SELECT key_vault.activate_root_key($1)', $_) for $id;
is(session($node)->outcome($get), 'AIza-of-user_a', 'a root key is deleted from the registry: activating it registers it again');

# --- Rows

$super->run(q{UPDATE key_vault_data.secrets SET user_id = 'user_c' WHERE user_id = 'user_b'});
like(error_of(q{SELECT key_vault.get('user_c', 'gemini')}), qr/^XX001 .*moved from another user/, 'a user is renamed by UPDATE: get');
$super->run(q{UPDATE key_vault_data.secrets SET user_id = 'user_b' WHERE user_id = 'user_c'});
is(session($node)->outcome(q{SELECT key_vault.get('user_b', 'gemini')}), 'AIza-of-user_b', 'a user is renamed back: get');
$super->run(q{UPDATE key_vault_data.secrets SET expires_at = '2100-01-01' WHERE user_id = 'user_b'});
like(error_of(q{SELECT key_vault.get('user_b', 'gemini')}), qr/^XX001/, 'an expiry is changed by UPDATE: get');
$super->run(q{UPDATE key_vault_data.secrets SET expires_at = NULL WHERE user_id = 'user_b'});

# --- Roles and rights

$super->run('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA key_vault TO PUBLIC', 'GRANT USAGE ON SCHEMA key_vault TO PUBLIC',
	'GRANT SELECT ON key_vault_data.secrets, key_vault.secrets TO PUBLIC', 'CREATE ROLE regress_kv_anybody LOGIN');
like(error_of(q{SELECT key_vault.get('user_b', 'gemini')}, 'regress_kv_anybody'), qr/^42501/, 'everything is granted to PUBLIC: get of another\'s key');
like(error_of(q{SELECT key_vault.set('user_b', 'gemini', 'AIza-x')}, 'regress_kv_anybody'), qr/^42501/, 'everything is granted to PUBLIC: set');
like(error_of(q{SELECT key_vault.forget('user_b')}, 'regress_kv_anybody'), qr/^42501/, 'everything is granted to PUBLIC: forget');
like(error_of(q{SELECT key_vault.grant_access('regress_kv_anybody', 'service')}, 'regress_kv_anybody'), qr/^42501/,
	'everything is granted to PUBLIC: nobody makes themselves a service');
like(error_of(q{SELECT key_vault.grant_access('regress_kv_anybody', 'admin')}, 'regress_kv_anybody'), qr/^42501/,
	'everything is granted to PUBLIC: nor an admin');
is(session($node, 'regress_kv_anybody')->outcome('SELECT count(*) FROM key_vault.secrets'), 0, 'everything is granted to PUBLIC: rows');
like($node->safe_psql('postgres', q{SELECT note FROM key_vault.access WHERE role = 'PUBLIC'}), qr/every role/, 'everything is granted to PUBLIC: access tells');
like(status('privileges'), qr/^warning \| PUBLIC: /, 'everything is granted to PUBLIC: status tells');
$super->run('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA key_vault FROM PUBLIC', 'REVOKE ALL ON SCHEMA key_vault FROM PUBLIC',
	'REVOKE ALL ON key_vault_data.secrets, key_vault.secrets FROM PUBLIC');

$super->run('CREATE ROLE regress_kv_typo LOGIN', q{SELECT key_vault.grant_access('regress_kv_typo', 'user')});
session($node)->simple(q{ALTER ROLE regress_kv_typo SET key_vault.userid = 'user_a'});
like(error_of(q{SELECT key_vault.get(NULL, 'gemini')}, 'regress_kv_typo'), qr/^22004/, 'the setting is misspelt: the role has no identity');
like(error_of($get, 'regress_kv_typo'), qr/^42501/, 'the setting is misspelt: and gets nothing');

$super->run(q{ALTER DATABASE postgres SET key_vault.user_id = 'user_b'});
like(status('role_settings'), qr/every role in database postgres.*user_b/, 'an identity for a whole database: status tells');
$super->run('ALTER DATABASE postgres RESET key_vault.user_id');
$super->run(q{ALTER ROLE ALL SET key_vault.user_id = 'user_b'});
like(status('role_settings'), qr/every role: .*user_b/, 'an identity for all roles: status tells');
$super->run('ALTER ROLE ALL RESET key_vault.user_id');

like(error_of('DROP ROLE regress_kv_service'), qr/^2BP01 .*key_vault\.user_id/s, 'DROP ROLE of a service: refused, with the parameter');
$super->run(q{SELECT key_vault.revoke_access('regress_kv_service')}, 'DROP ROLE regress_kv_service');
pass('after revoke_access it works');

$super->run('ALTER TABLE key_vault_data.secrets DISABLE ROW LEVEL SECURITY');
like(status('policies'), qr/^error \| .*row-level security is off on key_vault_data.secrets/, 'row-level security is disabled: status tells');
like(error_of(q{SELECT key_vault.get('user_b', 'gemini')}, 'regress_kv_tenant'), qr/^42501/, 'row-level security is disabled: get of another\'s key is refused still');
$super->run('ALTER TABLE key_vault_data.secrets ENABLE ROW LEVEL SECURITY', 'DROP POLICY own_rows ON key_vault_data.secrets');
like(status('policies'), qr/^error \| .*own_rows is not as installed on key_vault_data.secrets/, 'the policy is dropped: status tells');
is(session($node, 'regress_kv_tenant')->outcome('SELECT count(*) FROM key_vault.secrets'), 0, 'the policy is dropped: nobody sees a row');
$super->run('CREATE POLICY own_rows ON key_vault_data.secrets USING (true)');
like(status('policies'), qr/^error/, 'the policy is made wrong: status tells');
like(error_of(q{SELECT key_vault.get('user_b', 'gemini')}, 'regress_kv_tenant'), qr/^42501/, 'the policy is made wrong: get of another\'s key is refused still');
$super->run('DROP POLICY own_rows ON key_vault_data.secrets', 'CREATE POLICY own_rows ON key_vault_data.secrets USING (user_id = key_vault.current_user_id())');
like(status('policies'), qr/^ok/, 'the policy is right again: status');
is(session($node, 'regress_kv_tenant')->outcome(q{SELECT key_vault.get(NULL, 'gemini')}), 'AIza-of-user_a', 'and get works');

# --- Logs that would hold keys

for my $setting ([ 'log_statement', 'all' ], [ 'log_min_duration_statement', '0' ], [ 'log_parameter_max_length_on_error', '100' ])
{
	my ($name, $value) = @$setting;
	$super->run("ALTER DATABASE postgres SET $name = '$value'");
	like(status('log_settings'), qr/^(warning|error) \| .*$name/, "$name = $value: status tells");
	$super->run("ALTER DATABASE postgres RESET $name");
}

# --- The identity in postgresql.conf: everybody's, and refused to no one

$node->append_conf('postgresql.conf', "key_vault.user_id = 'user_a'\n");
$node->reload;
$node->poll_query_until('postgres', q{SELECT current_setting('key_vault.user_id', true) = 'user_a'});
like(status('role_settings'), qr/^warning .*every role of the server: key_vault\.user_id=user_a/, 'an identity in postgresql.conf: status tells');

done_testing();
