# A keyring for each database: %d in the setting, KEY_VAULT_DATABASE for a command.  What was
# dumped from one database does not open in another, and a database under another name says
# which file it looks for, and why.
use strict;
use warnings;

use File::Copy qw(copy);
use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultCluster;
use CitusEverywhere not => 'its worker is connected to each database, and none could be renamed or copied';
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $folder = PostgreSQL::Test::Utils::tempdir;
my $pattern = "$folder/%d.keyring";
my $node = PostgreSQL::Test::Cluster->new('keyrings');
init_cluster($node, allows_streaming => 'logical');
$node->append_conf('postgresql.conf', "key_vault.keyring_file = '$pattern'\nkey_vault.keyring_command = ''\n");
$node->start;

sub path_of
{
	my ($database) = @_;
	return "$folder/$database.keyring";
}

sub ids_in
{
	my ($path) = @_;
	return [ slurp_file($path) =~ /^([0-9a-f]{16}) /mg ];
}

sub configure
{
	my ($setting, $value) = @_;
	(my $quoted = $value) =~ s/'/''/g;
	$node->adjust_conf('postgresql.conf', "key_vault.$setting", "'$quoted'");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT current_setting('key_vault.$setting') = '$quoted'")
	  or die 'the setting did not arrive';
	return;
}

sub in
{
	my ($database, $role) = @_;
	return session($node, $role, dbname => $database);
}

# The whole error of a statement, on one line
sub error_of
{
	my ($session, $sql, @parameters) = @_;
	my $error = $session->query($sql, @parameters)->{error} // return 'no error';
	return join(' ', map { $_ // '' } @$error{qw(state message detail hint)}) =~ s/\n/ /gr;
}

my $get = q{SELECT key_vault.get('user_a', 'gemini')};
my %id;
for my $database ('a', 'b')
{
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, 'CREATE EXTENSION key_vault');
	like(error_of(in($database), q{SELECT key_vault.activate_root_key('0123456789abcdef')}),
		qr/^F0000 could not open file "\Q$folder\E\/$database\.keyring": No such file or directory The setting key_vault.keyring_file is "\Q$pattern\E", and this database is named "$database"\. This database has no root key yet\. Make one, and the file with it: SELECT key_vault\.create_root_key\(\);$/,
		"database $database, before there is a root key");
	$id{$database} = $node->safe_psql($database, 'SELECT key_vault.create_root_key()');
	$node->safe_psql($database, qq{SELECT key_vault.set('user_a', 'gemini', 'AIza-of-$database')});
}
is_deeply([ map { ids_in(path_of($_)) } 'a', 'b' ], [ map { [ $id{$_} ] } 'a', 'b' ], 'each database has a keyring of its own');
like(slurp_file(path_of($_)), qr/^$id{$_} .* # database "$_" \[\d+\/\d+\/\d+\]$/m, "that of $_ names it") for 'a', 'b';
is_deeply([ sort map { s{.*/}{}r } glob "$folder/*" ], [qw(a.keyring a.keyring.lock b.keyring b.keyring.lock)], 'and there is nothing else');
is(in($_)->value(q{SELECT detail FROM key_vault.status() WHERE item = 'keyring'}), qq{1 root key, read from file "$folder/$_.keyring"}, "status names the file of $_") for 'a', 'b';

# --- A worker that has no client, and applies in b what is replicated from a

{
	$node->safe_psql('a', q{CREATE TABLE numbers (n int PRIMARY KEY); CREATE PUBLICATION numbers FOR TABLE numbers;
		SELECT pg_create_logical_replication_slot('numbers', 'pgoutput')});
	my $connection = $node->connstr('a') =~ s/'/''/gr;
	$node->safe_psql('b', q{CREATE TABLE numbers (n int PRIMARY KEY); CREATE TABLE seen (api_key text);
		CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen SELECT key_vault.get('user_a', 'gemini'); RETURN NEW; END $$;
		CREATE TRIGGER look AFTER INSERT ON numbers FOR EACH ROW EXECUTE FUNCTION look(); ALTER TABLE numbers ENABLE ALWAYS TRIGGER look});
	$node->safe_psql('b', "CREATE SUBSCRIPTION numbers CONNECTION '$connection' PUBLICATION numbers WITH (create_slot = false, copy_data = false)");
	$node->safe_psql('a', 'INSERT INTO numbers VALUES (1)');
	$node->poll_query_until('b', 'SELECT count(*) = 1 FROM seen') or die 'nothing was replicated';
	is($node->safe_psql('b', 'SELECT api_key FROM seen'), 'AIza-of-b', 'a worker reads the keyring of its database');
	$node->safe_psql('b', 'DROP SUBSCRIPTION numbers');
	$node->safe_psql('a', 'DROP PUBLICATION numbers; DROP TABLE numbers');
}

# --- Who writes tables in b, with a dump of a

{
	my $dump = PostgreSQL::Test::Utils::tempdir;
	command_ok([ 'pg_dump', '--no-sync', '--data-only', '--inserts', '-t', 'key_vault*.root_key_registry', '-t', 'key_vault*.secrets',
		'-f', "$dump/a.sql", '-d', $node->connstr('a') ], 'a dump of a');
	$node->safe_psql('b', q{CREATE ROLE regress_kv_thief LOGIN IN ROLE pg_write_all_data;
		SELECT key_vault.grant_access('regress_kv_thief', 'user');
		ALTER ROLE regress_kv_thief IN DATABASE b SET key_vault.user_id = 'user_a'});
	outcome_is(in('b', 'regress_kv_thief'), 'AIza-of-b', 'a tenant of b has its own key there', $get);
	# It writes as it likes where it stands: its own row goes away first
	$node->safe_psql('b', q{SELECT key_vault.delete('user_a', 'gemini')});
	my @inserts = grep { /^INSERT/ } split /\n/, slurp_file("$dump/a.sql");
	is(scalar(@inserts), 2, 'the dump has a root key\'s line and a secret');
	my $thief = in('b', 'regress_kv_thief');
	is($thief->query($_)->{error}, undef, 'who writes all data inserts: ' . substr($_, 0, 40)) for @inserts;

	my $told = error_of(in('b', 'regress_kv_thief'), $get);
	like($told, qr/^F0000 root key $id{a} is not in the keyring The keyring was read from file "\Q$folder\E\/b\.keyring"\. The setting key_vault\.keyring_file is "\Q$pattern\E", and this database is named "b"\./,
		'the key of a does not open in b');
	unlike($told, qr/AIza/, 'and nothing is told of it');
	outcome_is($thief, 'F0000', 'also in the session that inserted it', $get);
	outcome_is(in('a'), 'AIza-of-a', 'it opens in a', $get);

	# With one file for both it does: what the test is worth
	append_to_file("$folder/both", slurp_file(path_of('a')) . slurp_file(path_of('b')));
	chmod 0600, "$folder/both";
	configure('keyring_file', "$folder/both");
	outcome_is(in('b', 'regress_kv_thief'), 'AIza-of-a', 'one file for both: who inserts a dump\'s rows reads them', $get);
	configure('keyring_file', $pattern);
	outcome_is(in('b', 'regress_kv_thief'), 'F0000', 'a file for each: no longer', $get);
	$node->safe_psql('b', q{SET client_min_messages = warning; DROP EXTENSION key_vault; CREATE EXTENSION key_vault; SELECT key_vault.create_root_key();
		SELECT key_vault.set('user_a', 'gemini', 'AIza-of-b')});
	isnt($node->safe_psql('b', 'SELECT id FROM key_vault.root_keys'), $id{b}, 'an extension that is installed anew has another root key');
	$id{b} = $node->safe_psql('b', 'SELECT id FROM key_vault.root_keys');
}

# --- Under another name

my $other_name = qr/If the database was renamed, restored under another name, or copied, rename or copy the file of its other name to this path/;

sub looks_for
{
	my ($database, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $expected = qr/could not open file "\Q$folder\E\/$database\.keyring": No such file or directory:? The setting key_vault\.keyring_file is "\Q$pattern\E", and this database is named "$database"\. $other_name/;
	like(error_of(in($database), $get), qr/^F0000 $expected/, "$name: get says which file it looks for, and what to do");
	like(join(' ', @{ in($database)->query(q{SELECT detail, remedy FROM key_vault.status() WHERE item = 'keyring'})->{rows}[0] }), $expected, "$name: status, too");
	is(in($database)->value(q{SELECT string_agg(DISTINCT state, ' ') FROM key_vault.root_keys WHERE state <> 'retired'}), 'unknown', "$name: no root key is said to be missing");
	like(error_of(in($database), 'SELECT key_vault.create_root_key()'),
		qr/^F0000 root key $id{a} is not in the keyring .*is named "$database"\. Restore .* renamed, restored under another name, or copied, that is the file of its other name/,
		"$name: nothing is made over it");
	ok(!-e path_of($database), "$name: and no file appears");
	return;
}

$node->safe_psql('postgres', 'ALTER DATABASE a RENAME TO renamed');
looks_for('renamed', 'renamed');
rename path_of('a'), path_of('renamed');
outcome_is(in('renamed'), 'AIza-of-a', 'renamed: what the hint says helps', $get);
$node->safe_psql('renamed', q{SELECT key_vault.activate_root_key(key_vault.create_root_key())});
like(slurp_file(path_of('renamed')), qr/ # database "a" .*\n.* # database "renamed" /, 'renamed: a later line has the new name');
is(in('renamed')->value(q{SELECT state FROM key_vault.status() WHERE item = 'keyring'}) =~ /^(ok|warning)$/ ? 1 : 0, 1, 'renamed: the keyring can be read');
unlike(in('renamed')->value(q{SELECT detail FROM key_vault.status() WHERE item = 'keyring'}), qr/made/, 'renamed: and is not taken for another database\'s');
$node->safe_psql('postgres', 'ALTER DATABASE renamed RENAME TO a');
rename path_of('renamed'), path_of('a');
$node->safe_psql('a', "CALL key_vault.rotate_root_key(); SELECT key_vault.retire_root_key('$id{a}')");
$id{a} = $node->safe_psql('a', q{SELECT id FROM key_vault.root_keys WHERE state = 'active'});

{
	my $dump = PostgreSQL::Test::Utils::tempdir;
	command_ok([ 'pg_dump', '--no-sync', '-Fc', '-f', "$dump/a", '-d', $node->connstr('a') ], 'a dump of a');
	$node->safe_psql('postgres', 'CREATE DATABASE restored');
	command_ok([ 'pg_restore', '-d', $node->connstr('restored'), "$dump/a" ], 'a restore under another name');
	looks_for('restored', 'restored');
	copy(path_of('a'), path_of('restored'));
	chmod 0600, path_of('restored');
	outcome_is(in('restored'), 'AIza-of-a', 'restored: what the hint says helps', $get);
}

$node->safe_psql('postgres', 'CREATE DATABASE copied TEMPLATE a');
looks_for('copied', 'copied');
copy(path_of('a'), path_of('copied'));
chmod 0600, path_of('copied');
outcome_is(in('copied'), 'AIza-of-a', 'copied: what the hint says helps', $get);
is(in('copied')->value(q{SELECT state FROM key_vault.status() WHERE item = 'keyring'}), 'warning', 'copied: status warns');
like(in('copied')->value(q{SELECT detail FROM key_vault.status() WHERE item = 'keyring'}), qr/It holds root keys that database "a" made\. Who can write tables in one database opens there what was dumped from another\./,
	'copied: that two databases share root keys');
# In another cluster the numbers of databases are others'
(my $of_another_cluster = slurp_file(path_of('copied'))) =~ s/\[\d+\//[12345\//g;
unlink path_of('copied');
append_to_file(path_of('copied'), $of_another_cluster);
chmod 0600, path_of('copied');
unlike(in('copied')->value(q{SELECT detail FROM key_vault.status() WHERE item = 'keyring'}), qr/made/, 'copied from another cluster: nothing is said of the database that has that number here');
outcome_is(in('copied'), 'AIza-of-a', 'copied from another cluster: it opens', $get);

# Under the name of another database, whose keyring is there
$node->safe_psql('postgres', 'DROP DATABASE b');
$node->safe_psql('postgres', 'ALTER DATABASE restored RENAME TO b');
like(error_of(in('b'), $get), qr/^F0000 root key $id{a} is not in the keyring .*file "\Q$folder\E\/b\.keyring".* is named "b"\..*that is the file of its other name: rename or copy that file\. The view key_vault\.root_keys lists its root keys\.$/,
	'renamed to a name that another database had: the keyring is that one\'s');
is(in('b')->value(q{SELECT string_agg(DISTINCT state, ' ') FROM key_vault.root_keys}), 'missing retired', 'and it lacks the root key');

# --- Names that lead elsewhere

mkdir "$folder/sub";
for my $name ('x/y', '../' . 'a', '.', '..', '/')
{
	my $quoted = qq{"$name"};
	$node->safe_psql('postgres', "CREATE DATABASE $quoted TEMPLATE a");
	my $session = in($name);
	for my $where ($pattern, "$folder/sub/.%d/x", "$folder/sub/%d")
	{
		configure('keyring_file', $where);
		for my $call ($get, 'SELECT key_vault.create_root_key()')
		{
			like(error_of(in($name), $call), qr/^F0000 database "\Q$name\E" can have no keyring of its own under this name .*it must have no slash, and not be "\." or "\.\."\. Give the database another name/,
				"database $name, $where: $call");
		}
		is(in($name)->value(q{SELECT state FROM key_vault.status() WHERE item = 'keyring'}), 'error', "database $name, $where: status");
	}
	configure('keyring_command', qq{cat "$folder/a.keyring"});
	like(error_of(in($name), $get), qr/^F0000 database "\Q$name\E" can have no keyring of its own/, "database $name: with a command, too");
	configure('keyring_command', '');
	configure('keyring_file', path_of('a'));
	outcome_is(in($name), 'AIza-of-a', "database $name: a path without its name is none of its business", $get);
	configure('keyring_file', $pattern);
	$session->run('SELECT 1');
	undef $session;
	$node->poll_query_until('postgres', qq{SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = '$name'});
	$node->safe_psql('postgres', "DROP DATABASE $quoted");
}
is_deeply([ glob "$folder/sub/* $folder/sub/.[!.]*" ], [], 'nothing was written anywhere');

# Others are taken as they are
for my $name ('a b', q{it's}, '$(touch x)', '..a', 'a..', '%d', q{"q"}, '-n', "\xc3\xbc")
{
	(my $quoted = $name) =~ s/"/""/g;
	$node->safe_psql('postgres', qq{CREATE DATABASE "$quoted" TEMPLATE a});
	copy(path_of('a'), path_of($name));
	chmod 0600, path_of($name);
	outcome_is(in($name), 'AIza-of-a', "database $name", $get);
	configure('keyring_command', qq{cat -- "$folder/\${KEY_VAULT_DATABASE}.keyring"});
	outcome_is(in($name), 'AIza-of-a', "database $name, by a command", $get);
	rename path_of($name), "$folder/elsewhere";
	outcome_is(in($name), 'F0000', "database $name, by a command: it is its own keyring that is read", $get);
	configure('keyring_command', '');
	$node->poll_query_until('postgres', 'SELECT count(*) = 1 FROM pg_stat_activity WHERE datname IS NOT NULL');
	$node->safe_psql('postgres', qq{DROP DATABASE "$quoted"});
}

# --- Per cents

for my $case (
	[ "$folder/%%d.keyring", 'ok' ], [ "$folder/%%%d", 'ok' ], [ "$folder/%d/%d", 'ok' ], [ "$folder/x%%", 'ok' ], [ "$folder/x%", 'refused' ],
	[ "$folder/%x", 'refused' ], [ "$folder/%D", 'refused' ], [ "$folder/%%%", 'refused' ], [ "$folder/% d", 'refused' ], [ "$folder/%d%u", 'refused' ])
{
	my ($path, $expected) = @$case;
	my $session = in('a');
	$session->run(q{LOAD 'key_vault'});
	my $told = error_of($session, "ALTER SYSTEM SET key_vault.keyring_file = '$path'");
	like($told, $expected eq 'ok' ? qr/^no error$/ : qr/^22023 invalid value .* %d stands for the database's name, %% for a per cent; nothing else may follow a per cent\./,
		"$path is $expected");
	$session->run('ALTER SYSTEM RESET key_vault.keyring_file');
}
configure('keyring_file', "$folder/%%d-100%%-%d");
copy(path_of('a'), "$folder/%d-100%-a");
chmod 0600, "$folder/%d-100%-a";
outcome_is(in('a'), 'AIza-of-a', 'a path with per cents', $get);

# Set where nothing checks it, it is told of when it is used
$node->append_conf('postgresql.conf', "key_vault.keyring_file = '$folder/%x'\n");
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('key_vault.keyring_file') = '$folder/%x'") or die;
{
	my $result = in('a')->query($get);
	is($result->{error}{state}, 'F0000', 'a path that was never checked: no keyring');
	like($result->{notices}[0]{message}, qr/invalid value for parameter "key_vault.keyring_file": "\Q$folder\E\/%x"/, 'and why');
}
configure('keyring_file', $pattern);

# --- A session, and those that work for it

{
	my $session = in('a');
	outcome_is($session, 'AIza-of-a', 'a session', $get);
	rename path_of('a'), "$folder/moved-a";
	outcome_is($session, 'AIza-of-a', 'goes on with what it read', $get);
	configure('keyring_file', "$folder/moved-%d");
	for (1 .. 100)
	{
		last if $session->value(q{SELECT key_vault.get('user_a', 'gemini') IS NOT NULL AND current_setting('key_vault.keyring_file') LIKE '%moved%'}) eq 't';
		select undef, undef, undef, 0.1;
	}
	is($session->value(q{SELECT detail FROM key_vault.status() WHERE item = 'keyring'}), qq{2 root keys, read from file "$folder/moved-a"}, 'and with another pattern after a reload');
	rename "$folder/moved-a", path_of('a');
	configure('keyring_file', $pattern);

	# A parallel worker has no client, and reads the same file
	$session = in('a');
	my $forced = $node->pg_version >= 16 ? 'debug_parallel_query' : 'force_parallel_mode';
	$session->run(q{CREATE FUNCTION get_in_worker() RETURNS text LANGUAGE plpgsql PARALLEL SAFE AS $$ BEGIN RETURN key_vault.get('user_a', 'gemini')
		|| CASE WHEN pg_backend_pid() = current_setting('kv.leader')::int THEN '' ELSE ' in a worker' END; END $$},
		q{LOAD 'key_vault'}, q{SELECT set_config('kv.leader', pg_backend_pid()::text, false)}, "SET $forced = on", 'SET parallel_leader_participation = off');
	outcome_is($session, 'AIza-of-a in a worker', 'a parallel worker', 'SELECT get_in_worker()');
}

# --- One file for several databases: what can be seen of it

{
	$node->safe_psql('postgres', 'CREATE EXTENSION key_vault');
	configure('keyring_file', "$folder/one");
	copy(path_of('a'), "$folder/one");
	chmod 0600, "$folder/one";
	unlike(in('a')->value(q{SELECT detail FROM key_vault.status() WHERE item = 'keyring'}), qr/\. /, 'one file, one database: status finds nothing');
	$node->safe_psql('postgres', 'SELECT key_vault.create_root_key()');
	is_deeply(in('a')->query(q{SELECT state, detail ~ 'It holds root keys that database "postgres" made', remedy FROM key_vault.status() WHERE item = 'keyring'})->{rows}[0],
		[ 'warning', 't', 'Give each database a keyring of its own, with its own lines only: see "One keyring becomes several" in docs/operating.md.' ], 'one file, two databases: status warns');

	# Lines that say nothing of who made them
	(my $text = slurp_file("$folder/one")) =~ s/ #.*//mg;
	unlink "$folder/one";
	append_to_file("$folder/one", $text);
	chmod 0600, "$folder/one";
	is_deeply(in('a')->query(q{SELECT state, detail ~ 'It is one file for all databases, and holds 1 root key that this one has not registered' FROM key_vault.status() WHERE item = 'keyring'})->{rows}[0],
		[ 'warning', 't' ], 'without comments: it counts');
	configure('keyring_command', "cat $folder/one");
	unlike(in('a')->value(q{SELECT detail FROM key_vault.status() WHERE item = 'keyring'}), qr/one file/, 'a command may serve one database only');
	configure('keyring_command', '');
	configure('keyring_file', $pattern);
}

$node->stop;
done_testing();
