# Databases: a row opens only where it was sealed, a dump opens in another encoding, and
# nobody can be in the extension's place before it.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_vault('databases');
is($node->safe_psql('postgres', 'SHOW server_encoding'), 'UTF8', 'the first database is in UTF8');
my $dumps = PostgreSQL::Test::Utils::tempdir;
add_role($node, 'regress_kv_stranger');

sub create_database
{
	my ($name, $encoding) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE template0 ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C'");
	return;
}

sub copy_database
{
	my ($from, $to, $format) = @_;
	command_ok([ 'pg_dump', '-F', $format, '-f', "$dumps/$from.$format", '-d', $node->connstr($from) ],
		"pg_dump -F $format of $from") unless -e "$dumps/$from.$format";
	command_ok($format eq 'p' ?
		  [ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dumps/$from.$format", '-d', $node->connstr($to) ] :
		  [ 'pg_restore', '-d', $node->connstr($to), "$dumps/$from.$format" ],
		"restore of $from into $to");
	return;
}

my $get = 'SELECT key_vault.get($1, $2, $3)';
my $set = 'SELECT key_vault.set($1, $2, $3, $4)';

# --- A row moved to another database of the cluster, with the same keyring file

create_database('neighbour', 'UTF8');
install_vault($node, 'neighbour');
for my $database ('postgres', 'neighbour')
{
	session($node, undef, dbname => $database)->value($set, "user of $database", 'gemini', "AIza-of-$database", 'default');
}
{
	my $row = $node->safe_psql('postgres', 'COPY key_vault_data.secrets TO STDOUT');
	append_to_file("$dumps/row", "$row\n");
	chmod 0644, "$dumps/row";
	my $super = session($node, undef, dbname => 'neighbour');
	$super->run("COPY key_vault_data.secrets FROM '$dumps/row'");
	my $result = $super->query($get, 'user of postgres', 'gemini', 'default');
	is($result->{error}{state}, 'XX001', 'a row of another database does not open');
	like($result->{error}{message}, qr/secret of user "user of postgres" for provider "gemini", label "default", version 1 does not open/,
		'and is named');
	like($result->{error}{detail}, qr/root key is not registered in this database/, 'and the reason is told');
	outcome_is($super, 'AIza-of-neighbour', 'those of the database itself do', $get, 'user of neighbour', 'gemini', 'default');
	outcome_is($super, 'gemini', 'list of the moved row works', q{SELECT provider FROM key_vault.list('user of postgres')});
	outcome_is($super, '2', 'set over it stores a new version', $set, 'user of postgres', 'gemini', 'AIza-new', 'default');
	outcome_is($super, 'AIza-new', 'which opens', $get, 'user of postgres', 'gemini', 'default');

	# under the neighbour's own root key id, too
	$super->run(q{UPDATE key_vault_data.secrets s SET root_key_id = r.id FROM key_vault_data.root_key_registry r
		WHERE s.user_id = 'user of postgres' AND s.version = 1}, q{DELETE FROM key_vault_data.secrets
		WHERE user_id = 'user of postgres' AND version = 2});
	outcome_is($super, 'XX001', 'nor under another root key id in the row', $get, 'user of postgres', 'gemini', 'default');
	$super->run(q{UPDATE key_vault_data.secrets SET sealed = substr(sealed, 1, 1) || decode(root_key_id, 'hex') || substr(sealed, 10)
		WHERE user_id = 'user of postgres'});
	outcome_is($super, 'XX001', 'nor under another root key id in the row and in the sealed bytes',
		$get, 'user of postgres', 'gemini', 'default');
}

# --- Encodings

create_database('latin', 'LATIN1');
create_database('ascii', 'SQL_ASCII');
install_vault($node, $_) for 'latin', 'ascii';

# user, label and key with umlauts, as UTF-8
my ($user, $label, $key) = ("j\xc3\xbcrgen", "b\xc3\xbcro", "AIza-schl\xc3\xbcssel-\xc3\xa4\xc3\xb6\xc3\xbc");
my $latin = session($node, undef, dbname => 'latin');
outcome_is($latin, '1', 'LATIN1: set with umlauts in user, label and key', $set, $user, 'gemini', $key, $label);
outcome_is($latin, $key, 'LATIN1: get', $get, $user, 'gemini', $label);
outcome_is($latin, "-\xc3\xa4\xc3\xb6\xc3\xbc", 'LATIN1: the hint has whole characters',
	'SELECT hint FROM key_vault.list($1)', $user);
outcome_is(session($node, undef, dbname => 'latin', client_encoding => 'LATIN1'), "AIza-schl\xfcssel-\xe4\xf6\xfc",
	'LATIN1: get by a client in LATIN1', $get, "j\xfcrgen", 'gemini', "b\xfcro");
outcome_is($latin, '1', 'LATIN1: set ASCII', $set, 'user_a', 'gemini', 'AIza-ascii', 'default');
$latin->run("SET key_vault.user_id = '$user'");
outcome_is($latin, $key, 'LATIN1: the identity has umlauts', $get, undef, 'gemini', $label);
outcome_is($latin, '1', 'LATIN1: and owns rows', 'SELECT count(*) FROM key_vault.secrets WHERE user_id = key_vault.current_user_id()');
$latin->run('RESET key_vault.user_id');

my $unicode = session($node, undef, dbname => 'postgres');
outcome_is($unicode, '1', 'UTF8: set with umlauts', $set, $user, 'gemini', $key, $label);
outcome_is($unicode, '1', 'UTF8: set with characters that LATIN1 lacks', $set, 'user_c', 'gemini',
	"AIza-\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87-abcd", 'default');
$unicode->value(q{SELECT key_vault.delete('user_c', 'gemini')});

my $ascii = session($node, undef, dbname => 'ascii', client_encoding => 'SQL_ASCII');
outcome_is($ascii, '1', 'SQL_ASCII: set ASCII', $set, 'user_a', 'gemini', 'AIza-ascii', 'default');
outcome_is($ascii, 'AIza-ascii', 'SQL_ASCII: get', $get, 'user_a', 'gemini', 'default');
outcome_is($ascii, '22021', 'SQL_ASCII: other bytes in the key', $set, 'user_a', 'gemini', $key, 'default');
outcome_is($ascii, '22021', 'SQL_ASCII: other bytes in the user id', $set, $user, 'gemini', 'AIza-ascii', 'default');
outcome_is($ascii, '22021', 'SQL_ASCII: other bytes in the label', $set, 'user_a', 'gemini', 'AIza-ascii', $label);
outcome_is($ascii, '1', 'SQL_ASCII: and nothing of it was stored', 'SELECT count(*) FROM key_vault.secrets');

# Attributes whose members LATIN1 puts in another order than UTF-8
my $attributes = qq({"zz": "caf\xc3\xa9", "\xc3\xa9": 1.50, "z": {"\xc3\xbc\xc3\xbc": [], "aaa": "\\u00fc"}});
my $with = 'SELECT key_vault.set($1, $2, $3, attributes => $4)';
my $lookup = q(SELECT api_key FROM key_vault.lookup($1, $2) WHERE attributes = $3::jsonb);
outcome_is($_->[0], '1', "$_->[1]: set with attributes", $with, 'user_t', 'exa', "exa-$_->[1]-key", $attributes) for [ $latin, 'LATIN1' ], [ $unicode, 'UTF8' ];
outcome_is($latin, 'exa-LATIN1-key', 'LATIN1: lookup', $lookup, 'user_t', 'exa', $attributes);
isnt($latin->value(q{SELECT attributes::text FROM key_vault.list('user_t')}), $unicode->value(q{SELECT attributes::text FROM key_vault.list('user_t')}),
	'... which are shown in another order');
outcome_is($ascii, '1', 'SQL_ASCII: attributes', $with, 'user_t', 'exa', 'exa-ascii-key', '{"b": 1, "aa": "eu"}');
outcome_is($ascii, 'exa-ascii-key', 'SQL_ASCII: lookup', $lookup, 'user_t', 'exa', '{"b": 1, "aa": "eu"}');
for my $other (qq({"\xc3\xa9": 1}), qq({"a": ["\xc3\xa9"]}))
{
	my $refused = $ascii->query($with, 'user_t', 'groq', 'gsk_of_ascii', $other);
	is($refused->{error}{state}, '22021', 'SQL_ASCII: other bytes in attributes');
	unlike(join("\n", map { $_ // '' } values %{ $refused->{error} }), qr/\xc3/, '... are not quoted');
}
outcome_is($ascii, '0', 'SQL_ASCII: and nothing of it was stored', q{SELECT count(*) FROM key_vault.list('user_t') WHERE provider = 'groq'});

# --- Dumps into another encoding

create_database('latin_in_utf8', 'UTF8');
copy_database('latin', 'latin_in_utf8', 'c');
{
	my $session = session($node, undef, dbname => 'latin_in_utf8');
	outcome_is($session, $key, 'a dump of LATIN1 opens in UTF8', $get, $user, 'gemini', $label);
	outcome_is($session, 'AIza-ascii', 'all of it', $get, 'user_a', 'gemini', 'default');
	outcome_is($session, 'exa-LATIN1-key', 'attributes too', $lookup, 'user_t', 'exa', $attributes);
	outcome_is($session, '2', 'and is set again', $set, $user, 'gemini', "$key!", $label);
	outcome_is($session, "$key!", 'and opens again', $get, $user, 'gemini', $label);
}

create_database('utf8_in_latin', 'LATIN1');
$unicode->value($set, 'user_c', 'gemini', "AIza-\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87-abcd", 'default');
copy_database('postgres', 'utf8_in_latin', 'p');
{
	my $session = session($node, undef, dbname => 'utf8_in_latin');
	outcome_is($session, $key, 'a dump of UTF8 opens in LATIN1', $get, $user, 'gemini', $label);
	outcome_is($session, 'exa-UTF8-key', '... with attributes in another order', $lookup, 'user_t', 'exa', $attributes);
	my $result = $session->query($get, 'user_c', 'gemini', 'default');
	is($result->{error}{state}, '22P05', 'a key that LATIN1 cannot hold is an error');
	my $told = join "\n", map { $_ // '' } values %{ $result->{error} };
	unlike($told, qr/\xd0|\xd1|0xd|AIza|abcd/, 'which tells nothing of the key');
	like($told, qr/LATIN1/, 'but the encoding');
	outcome_is($session, 'gemini', 'list works', q{SELECT provider FROM key_vault.list('user_c')});
	$session->value($set, 'user_c', 'exa', 'exa-of-latin', 'default');
	$result = $session->query(q{SELECT key_vault.get_all('user_c')});
	is($result->{rows}[0][0], '{"exa": "exa-of-latin", "gemini": null}', 'get_all has the others');
	like($result->{notices}[0]{detail}, qr/^Reason: the key has a character without equivalent in encoding "LATIN1"\.$/, '... and a WARNING says why not this one');
	unlike(join("\n", map { $_ // '' } map { values %$_ } @{ $result->{notices} }), qr/\xd0|\xd1|0xd|AIza|abcd/, '... without the key');
	like($session->value(q{SELECT missing FROM key_vault.onboarding('user_c') WHERE provider = 'gemini'}), qr/^Gemini API key has to be entered again/, 'onboarding says that it has to be entered again');
	outcome_is($session, 'AIza-of-postgres', 'the others open', $get, 'user of postgres', 'gemini', 'default');
}

create_database('ascii_in_utf8', 'UTF8');
copy_database('ascii', 'ascii_in_utf8', 'p');
outcome_is(session($node, undef, dbname => 'ascii_in_utf8'), 'AIza-ascii', 'a dump of SQL_ASCII opens in UTF8',
	$get, 'user_a', 'gemini', 'default');

create_database('utf8_in_ascii', 'SQL_ASCII');
copy_database('postgres', 'utf8_in_ascii', 'p');
{
	my $session = session($node, undef, dbname => 'utf8_in_ascii', client_encoding => 'SQL_ASCII');
	outcome_is($session, 'AIza-of-postgres', 'a dump of UTF8 in SQL_ASCII: ASCII opens', $get, 'user of postgres', 'gemini', 'default');
	my $result = $session->query($get, 'user_c', 'gemini', 'default');
	is($result->{error}{state}, '22021', 'and the rest is an error');
	outcome_is($session, '{"gemini": null}', 'which takes no other key away', q{SELECT key_vault.get_all('user_c')});
	$session->run(q{UPDATE key_vault_data.secrets SET hint = E'\\xc3' WHERE user_id = 'user of postgres'});
	outcome_is($session, 'XX001', 'nor does a hint that is no text', $get, 'user of postgres', 'gemini', 'default');
	outcome_is($session, '{"gemini": null}', 'of any kind', q{SELECT key_vault.get_all('user of postgres')});
	unlike(join("\n", map { $_ // '' } values %{ $result->{error} }), qr/\xd0|\xd1|0xd|AIza|abcd/, 'which tells nothing of the key');
}

# --- Somebody was there before

$node->safe_psql('postgres', 'CREATE DATABASE owned OWNER regress_kv_stranger');
my $stranger = session($node, 'regress_kv_stranger', dbname => 'owned');
my $super = session($node, undef, dbname => 'owned');
outcome_is($stranger, '42501', 'who is no superuser cannot create the extension, in a database of its own either',
	'CREATE EXTENSION key_vault');

$stranger->run('CREATE SCHEMA key_vault', q{CREATE FUNCTION key_vault.current_user_id() RETURNS text LANGUAGE sql AS $$ SELECT 'user_a' $$});
outcome_is($super, '42P06', 'a schema key_vault that somebody made: CREATE EXTENSION fails', 'CREATE EXTENSION key_vault');
outcome_is($super, '42P06', 'also IF NOT EXISTS', 'CREATE EXTENSION IF NOT EXISTS key_vault');
outcome_is($super, '0', 'and nothing is left', q{SELECT count(*) FROM pg_extension WHERE extname = 'key_vault'});
$stranger->run('DROP SCHEMA key_vault CASCADE');

# Names that the install script uses, in the schema that is first in the path of who
# installs it: some match its arguments better than ours.
my $note = 'INSERT INTO trap.taken VALUES (current_user)';
my %traps = (
	'unnest(text[])' => 'SETOF text',
	'pg_extension_config_dump(text, text)' => 'void',
	'octet_length(text)' => 'int',
	'clock_timestamp()' => 'timestamptz');
$stranger->run('CREATE SCHEMA trap', 'GRANT ALL ON SCHEMA trap TO PUBLIC',
	'CREATE TABLE trap.taken (who text)', 'GRANT ALL ON trap.taken TO PUBLIC',
	(map { "CREATE FUNCTION trap.$_ RETURNS $traps{$_} LANGUAGE plpgsql AS \$\$ BEGIN $note; "
			. ($traps{$_} =~ /SETOF|void/ ? 'RETURN' : 'RETURN NULL') . '; END $$' } sort keys %traps),
	map { my ($left, $operator, $right) = @$_; (
		"CREATE OR REPLACE FUNCTION trap.compare($left, $right) RETURNS boolean LANGUAGE plpgsql AS \$\$ BEGIN $note; RETURN true; END \$\$",
		"CREATE OPERATOR trap.$operator (LEFTARG = $left, RIGHTARG = $right, FUNCTION = trap.compare)") }
	  [ 'text', '=', 'text' ], [ 'text', '~', 'text' ], [ 'oid', '=', 'int' ], [ 'oid', '<>', 'int' ],
	  [ 'text[]', '=', 'text[]' ], [ 'name', '=', 'text' ], [ 'varchar', '=', 'text' ]);
$stranger->run('ALTER DATABASE owned SET search_path = trap, public, pg_catalog');
{
	my $installer = session($node, undef, dbname => 'owned');
	$installer->run('CREATE EXTENSION key_vault');
	like($installer->value('SELECT key_vault.create_root_key()'), qr/^[0-9a-f]{16}$/, 'the extension, with traps in the path of who installs it');
	outcome_is($installer, '1', 'set, with traps in the path', $set, 'user_a', 'gemini', 'AIza-in-owned', 'default');
	outcome_is($installer, 'AIza-in-owned', 'get, with traps in the path', $get, 'user_a', 'gemini', 'default');
	outcome_is($installer, 't', 'status, with traps in the path', 'SELECT count(*) > 5 FROM key_vault.status()');
	outcome_is($installer, 't', 'root_keys, with traps in the path', 'SELECT count(*) OPERATOR(pg_catalog.=) 1 FROM key_vault.root_keys');
	$installer->value(q{SELECT key_vault.grant_access('regress_kv_stranger', 'user')});
	outcome_is($installer, 't', 'access, with traps in the path', 'SELECT count(*) > 0 FROM key_vault.access');
	outcome_is($installer, 't', 'providers, with traps in the path', 'SELECT count(*) > 0 FROM key_vault.providers');
	outcome_is($installer, 't', 'inventory, with traps in the path', 'SELECT count(*) > 0 FROM key_vault.inventory');
	outcome_is($installer, 'ok', 'the policy is as it should be', q{SELECT state FROM key_vault.status() WHERE item OPERATOR(pg_catalog.=) 'policies'});
	outcome_is($installer, 't', 'delete, with traps in the path', q{SELECT key_vault.delete('user_a', 'gemini')});
	outcome_is($installer, '0', 'no trap was run', 'SELECT count(*) FROM trap.taken');
	$installer->value($set, 'user_a', 'gemini', 'AIza-in-owned', 'default');
}

# The owner of the database resets it, as one does with a database for tests
# (Citus falls with schema public, and for a superuser only.)
$node->safe_psql('owned', 'DROP EXTENSION IF EXISTS citus');
$stranger = session($node, 'regress_kv_stranger', dbname => 'owned');
$stranger->run('CREATE EXTENSION pgcrypto SCHEMA public');
$stranger->run('DROP SCHEMA public CASCADE', 'CREATE SCHEMA public');
outcome_is(session($node, undef, dbname => 'owned'), 'key_vault',
	"the database's owner drops schema public, where pgcrypto is: the vault stays", q{SELECT extname FROM pg_extension WHERE extname <> 'plpgsql'});
outcome_is(session($node, undef, dbname => 'owned'), 'AIza-in-owned', 'and all secrets', $get, 'user_a', 'gemini', 'default');

# The owner of the database owns nothing of ours
$stranger = session($node, 'regress_kv_stranger', dbname => 'owned');
for my $sql ('DROP EXTENSION key_vault', 'ALTER EXTENSION key_vault UPDATE', 'DROP SCHEMA key_vault CASCADE',
	'ALTER SCHEMA key_vault RENAME TO mine', 'ALTER SCHEMA key_vault OWNER TO regress_kv_stranger',
	'CREATE TABLE key_vault.mine (n int)', q{CREATE FUNCTION key_vault.get(u text, p text) RETURNS text LANGUAGE sql AS 'SELECT 1::text'},
	'ALTER TABLE key_vault_data.secrets DISABLE ROW LEVEL SECURITY', 'ALTER TABLE key_vault_data.secrets OWNER TO regress_kv_stranger',
	'DROP POLICY own_rows ON key_vault_data.secrets', 'CREATE POLICY mine ON key_vault_data.secrets USING (true)',
	'ALTER FUNCTION key_vault.current_user_id() OWNER TO regress_kv_stranger',
	'CREATE TRIGGER mine BEFORE INSERT ON key_vault_data.secrets EXECUTE FUNCTION suppress_redundant_updates_trigger()',
	'CREATE RULE mine AS ON SELECT TO key_vault_data.secrets DO INSTEAD SELECT 1', 'CREATE INDEX ON key_vault_data.secrets (trap.octet_length(user_id))',
	'TRUNCATE key_vault_data.secrets', 'UPDATE key_vault_data.root_key_registry SET retired_at = NULL', 'SELECT sealed FROM key_vault.inventory',
	'REASSIGN OWNED BY postgres TO regress_kv_stranger', q{GRANT ALL ON key_vault_data.secrets TO regress_kv_stranger})
{
	(my $name = $sql) =~ s/\(.*//;
	my $result = $stranger->query($sql);
	my $state = $result->{error}{state} // (@{ $result->{notices} } ? $result->{notices}[0]{state} : 'nothing');
	like($state, qr/^(42501|01007|42703|42704)$/, "the database's owner: $name");
}
outcome_is($stranger, '42501', 'the database\'s owner, at level user without an identity: get', $get, 'user_a', 'gemini', 'default');
outcome_is($stranger, 0, 'the database\'s owner: rows', 'SELECT count(*) FROM key_vault.secrets');

done_testing();
