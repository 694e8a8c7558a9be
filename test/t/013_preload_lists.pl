# A list of libraries to preload: what status() says adds ours to the list that is there,
# wherever it comes from.  And when a list keeps sessions or the server from starting, what
# docs/troubleshooting.md says undoes it.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultCluster;
use KeyVaultDocs;
use CitusEverywhere not => 'lists of libraries are compared as a whole';
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($install, $extension, $libraries) = copy_of_server();
my $folder = PostgreSQL::Test::Utils::tempdir;
my $node = PostgreSQL::Test::Cluster->new('lists', install_path => $install);
init_cluster($node);
$node->append_conf('postgresql.conf', "key_vault.keyring_file = '$folder/keyring'\n");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE app');
$node->safe_psql('app', q{CREATE EXTENSION key_vault; SELECT key_vault.create_root_key();
	CREATE ROLE regress_kv_app LOGIN; SELECT key_vault.grant_access('regress_kv_app', 'service')});

sub preload
{
	my $row = session($node, undef, dbname => 'app')->query(q{SELECT state, detail, remedy FROM key_vault.status() WHERE item = 'preload'})->{rows}[0];
	return @$row;
}

sub shared { return $node->safe_psql('app', 'SHOW shared_preload_libraries') }

# Pastes what status() says and restarts.
sub is_added
{
	my ($name, $expected) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($state, undef, $remedy) = preload();
	is($state, 'warning', "$name: warned of");
	$node->safe_psql('app', $remedy);
	(undef, my $detail, $remedy) = preload();
	like($detail, qr/has not been restarted since/, "$name: before the restart that is what is left to do");
	is($remedy, 'Restart the server.', "$name: and what is said");
	$node->restart;
	is(shared(), $expected, "$name: the list");
	is((preload())[0], 'ok', "$name: ok afterwards");
	$node->safe_psql('app', 'ALTER SYSTEM RESET shared_preload_libraries');
	return;
}

# --- The list that is there stays

is_added('no list', 'key_vault');
$node->restart;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'auto_explain,pg_stat_statements'\n");
$node->restart;
is_added('postgresql.conf', 'auto_explain, pg_stat_statements, key_vault');
$node->safe_psql('app', q{ALTER SYSTEM SET shared_preload_libraries = 'auto_explain', 'auth_delay'});
$node->restart;
is_added('ALTER SYSTEM', 'auto_explain, auth_delay, key_vault');
$node->restart;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'auth_delay'\n");
is_added('postgresql.conf, not in force yet', 'auth_delay, key_vault');
my $odd = "$folder/a, 'b'";
mkdir $odd or die;
system('cp', "$libraries/auth_delay.so", "$odd/auth delay.so") == 0 or die;
(my $quoted = "$odd/auth delay.so") =~ s/'/''/g;
$node->append_conf('postgresql.conf', qq{shared_preload_libraries = '"$quoted", auto_explain'\n});
$node->restart;
is_added('a path with a comma and a quote', qq{"$odd/auth delay.so", auto_explain, key_vault});
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->restart;

# On the command line, which wins over ALTER SYSTEM
sub restart_with
{
	my ($options) = @_;
	$node->stop;
	system_or_bail("$install/bin/pg_ctl", '-D', $node->data_dir, '-l', $node->logfile, '-o', "--cluster-name=lists $options", '-w', 'start');
	$node->_update_pid(1);
	return;
}
restart_with('-c shared_preload_libraries=auto_explain,auth_delay');
my ($state, undef, $remedy) = preload();
is($state, 'warning', 'command line: warned of');
my ($option) = $remedy =~ /(-c shared_preload_libraries='\S+( \S+)*')/;
restart_with($option);
is(shared(), 'auto_explain, auth_delay, key_vault', 'command line: the list');
is((preload())[0], 'ok', 'command line: ok afterwards');
# a restart would keep the options
$node->stop;
$node->start;
is(shared(), '', 'there is none again');

# In sessions, the list that says most about a session is the only one that counts
sub judged
{
	my ($name, $expected, @sql) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->safe_psql('app', $_) for @sql;
	my $loads = session($node, 'regress_kv_app', dbname => 'app')->outcome('SHOW key_vault.hint') eq 'last4' ? 'ok' : 'warning';
	is($loads, $expected, "$name: a session of the role");
	my ($found, $detail) = preload();
	is($found, $expected, "$name: status()");
	like($detail, qr/regress_kv_app/, "$name: names the role") if $expected eq 'warning';
	return;
}
judged('the database', 'ok', q{ALTER DATABASE app SET session_preload_libraries = 'auto_explain', 'key_vault'});
judged('the role has another list', 'warning', q{ALTER ROLE regress_kv_app SET session_preload_libraries = 'auto_explain'});
judged('the role in the database', 'ok', q{ALTER ROLE regress_kv_app IN DATABASE app SET session_preload_libraries = 'auto_explain', '$libdir/key_vault'});
judged('none but the role', 'ok', 'ALTER DATABASE app RESET session_preload_libraries', 'ALTER ROLE regress_kv_app RESET session_preload_libraries');
judged('no more', 'warning', 'ALTER ROLE regress_kv_app IN DATABASE app RESET session_preload_libraries');
judged('the superuser alone', 'warning', q{DO $$ BEGIN EXECUTE format('ALTER ROLE %I SET session_preload_libraries = key_vault', current_user); END $$});
$node->safe_psql('app', q{DO $$ BEGIN EXECUTE format('ALTER ROLE %I RESET session_preload_libraries', current_user); END $$});

# --- Locked out, and back by what docs/troubleshooting.md says

my @blocks = map { $_->{text} } blocks_by('013_preload_lists.pl');
is(scalar @blocks, 2, 'two ways back');

sub is_locked_out
{
	my ($name, @option) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $client = KeyVaultClient->attempt(host => $node->host, port => $node->port, user => $node->safe_psql('template1', 'SELECT current_user'), dbname => 'app', @option);
	ok($client->{closed}, "$name: nobody gets in");
	like($client->{greeting}{error}{message}, qr/could not access file/, "$name: and why");
	return;
}

# Types a block of shell, for this server.
sub type
{
	my ($name, $block, %instead) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	local @ENV{qw(PATH PGHOST PGPORT PGDATABASE)} = ("$install/bin:$ENV{PATH}", $node->host, $node->port, 'postgres');
	my $control = sprintf 'pg_ctl -D %s -l %s -w', $node->data_dir, $node->logfile;
	$block =~ s/pg_ctlcluster 15 main/$control/g;
	$block =~ s/\Q$_\E/$instead{$_}/g or die "no $_ in the block" for keys %instead;
	my ($out, $err) = ('', '');
	ok(IPC::Run::run([ qw(bash -e -s) ], '<', \$block, '>', \$out, '2>', \$err), "$name: what the page says runs") or diag("$block\n$out\n$err");
	return;
}

sub is_in
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	outcome_is(session($node, 'regress_kv_app', dbname => 'app'), '1', "$name: sessions start again", 'SELECT 1');
	return;
}

my $undo = 'ALTER DATABASE app RESET session_preload_libraries';
$node->safe_psql('app', q{ALTER DATABASE app SET session_preload_libraries = 'auto_explain, key_vault'});
is_locked_out('two in one pair of quotes, for a database');
type('for a database', $blocks[0]);
is_in('for a database');

$node->safe_psql('app', q{ALTER SYSTEM SET session_preload_libraries = 'auto_explain,key_vault'; SELECT pg_reload_conf()});
ok(wait_for_lock_out(), 'two in one pair of quotes, for all: nobody gets in');
type('for all', $blocks[0], $undo => 'ALTER SYSTEM RESET session_preload_libraries" -c "SELECT pg_reload_conf()');
ok(is_up_again($node, 'app'), 'for all: sessions start again');

$node->safe_psql('app', q{DO $$ BEGIN EXECUTE format('ALTER ROLE %I SET session_preload_libraries = ''a,b''', current_user); END $$});
is_locked_out_everywhere('two in one pair of quotes, for the superuser');
type('for the superuser', $blocks[0], $undo => 'ALTER ROLE CURRENT_USER RESET session_preload_libraries');
is_in('for the superuser');

$node->safe_psql('app', q{ALTER SYSTEM SET shared_preload_libraries = 'auto_explain, key_vault'});
$node->stop;
is($node->start(fail_ok => 1), 0, 'two in one pair of quotes, for the server: it does not start');
type('for the server', $blocks[1]);
$node->_update_pid(1);
is(shared(), 'auto_explain, key_vault', 'for the server: it has the list that was meant');
is_in('for the server');

# The library is gone before it was taken out of the lists
$node->safe_psql('app', q{ALTER DATABASE app SET session_preload_libraries = 'key_vault'});
$node->stop;
rename "$libraries/key_vault.so", "$folder/key_vault.so" or die;
is($node->start(fail_ok => 1), 0, 'the library is gone: the server does not start');
my $without = $blocks[1] =~ s/ALTER SYSTEM SET shared_preload_libraries = [^"]*/ALTER SYSTEM RESET shared_preload_libraries/r;
type('the library is gone', $without =~ s/psql /PGOPTIONS='-c session_preload_libraries=' psql /r);
$node->_update_pid(1);
is_locked_out('the library is gone');
type('the library is gone', $blocks[0]);
is_in('the library is gone');
rename "$folder/key_vault.so", "$libraries/key_vault.so" or die;
is(session($node, undef, dbname => 'app')->value(q{SELECT state FROM key_vault.status() WHERE item = 'root_key'}), 'ok', 'and all is there when it is back');

$node->stop;
done_testing();

# A reload reaches the postmaster some time later.
sub wait_for_lock_out
{
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1 if KeyVaultClient->attempt(host => $node->host, port => $node->port, user => 'regress_kv_app', dbname => 'app')->{closed};
		select undef, undef, undef, 0.1;
	}
	return 0;
}

sub is_locked_out_everywhere
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	for my $dbname (qw(app template1))
	{
		isnt($node->psql($dbname, 'SELECT 1'), 0, "$name: not into $dbname");
	}
	return;
}
