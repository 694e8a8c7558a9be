# What TAP tests share: a server that has key_vault, roles with levels, sessions.
package KeyVaultTest;

use strict;
use warnings;

use CitusEverywhere;
use Exporter 'import';
use File::Basename qw(dirname);
use FindBin;
use IO::Socket::UNIX;
use IPC::Run;
use KeyVaultClient;
use KeyVaultCluster;
use KeyVaultDocs;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(copy_of_server bare_server new_vault keyring_path install_vault add_role session outcome_is warned listens_soon is_up_again operating_blocks run_operating_block);

my %keyrings;

# A copy of the server's files, which finds its own by where it is: its folder, and in it
# the folders of extensions and of libraries.
sub copy_of_server
{
	my $root = PostgreSQL::Test::Utils::tempdir;
	my ($bin, $share, $libraries) = map { chomp(my $d = `pg_config $_`); $d } qw(--bindir --sharedir --pkglibdir);

	for my $folder (dirname($bin), $share)
	{
		my $target = $root . dirname($folder);
		system('mkdir', '-p', $target) == 0 && system('cp', '-a', $folder, $target) == 0
			or die "could not copy $folder";
	}
	return ($root . dirname($bin), "$root$share/extension", "$root$libraries");
}

# bare_server(name, conf => further settings, init => [arguments of init]): a running
# server with a place for a keyring, and no extension.
sub bare_server
{
	my ($name, %option) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	my $path = $keyrings{ $node->name } = PostgreSQL::Test::Utils::tempdir . '/keyring';

	init_cluster($node, @{ $option{init} // [] });
	$node->append_conf('postgresql.conf', "key_vault.keyring_file = '$path'\n" . ($option{conf} // ''));
	$node->start;
	return $node;
}

# The same with the extension and a root key in database postgres.
sub new_vault
{
	my $node = bare_server(@_);
	install_vault($node, 'postgres');
	return $node;
}

# Whether the server takes connections within a minute.  poll_query_until() may die meanwhile: a psql
# that finds no server ends before it has read the query.
sub is_up_again
{
	my ($node, $database) = @_;
	for (1 .. 600)
	{
		return 1 if eval { $node->psql($database // 'postgres', 'SELECT true') == 0 };
		select undef, undef, undef, 0.1;
	}
	return 0;
}

# Whether something listens on a socket of this name within ten seconds: the name is there a moment earlier.
sub listens_soon
{
	my ($path) = @_;
	for (1 .. 100)
	{
		return 1 if IO::Socket::UNIX->new(Peer => $path);
		select undef, undef, undef, 0.1;
	}
	return 0;
}

sub keyring_path
{
	my ($node) = @_;
	return $keyrings{ $node->name };
}

# The extension and its first root key.
sub install_vault
{
	my ($node, $dbname) = @_;
	$node->safe_psql($dbname, 'CREATE EXTENSION key_vault');
	return $node->safe_psql($dbname, 'SELECT key_vault.create_root_key()');
}

# add_role(node, role, level or undef, identity or undef)
sub add_role
{
	my ($node, $role, $level, $identity) = @_;
	my $sql = "CREATE ROLE $role LOGIN;";
	$sql .= "SELECT key_vault.grant_access('$role', '$level');" if defined $level;
	$sql .= "ALTER ROLE $role SET key_vault.user_id = '$identity';" if defined $identity;
	$node->safe_psql('postgres', $sql);
	return;
}

# session(node, role, options => PGOPTIONS, dbname => ...): a fresh session.
sub session
{
	my ($node, $role, %option) = @_;
	return KeyVaultClient->connect(
		host => $node->host,
		port => $node->port,
		user => $role // superuser_of($node),
		dbname => 'postgres',
		%option);
}

# The server's superuser is who ran initdb.
sub superuser_of
{
	my ($node) = @_;
	return $node->{key_vault_superuser} //= $node->safe_psql('postgres', 'SELECT current_user');
}

# outcome_is(session, expected, name, sql, parameters): expected is a SQLSTATE or the
# first value of the first row; NULL as a word.
sub outcome_is
{
	my ($session, $expected, $name, $sql, @parameters) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is($session->outcome($sql, @parameters), $expected, $name);
}

# How many messages with the SQLSTATE a result brought.
sub warned
{
	my ($result, $state) = @_;
	return scalar grep { $_->{severity} eq 'WARNING' && $_->{state} eq $state } @{ $result->{notices} };
}

# The blocks of docs/operating.md that name a server, in order: on which server each is run,
# its language and its text.
sub operating_blocks
{
	my @blocks = grep { defined $_->{on} } doc_blocks('docs/operating.md');
	cmp_ok(scalar @blocks, '>', 30, 'docs/operating.md has blocks for servers') or die 'blocks would not be run';
	return @blocks;
}

# run_operating_block(block, node, folder to be in, what stands for what): what it prints.
# SQL goes to the database app, or to the block's own.
sub run_operating_block
{
	my ($block, $node, $folder, %instead) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $text = $block->{text};
	for my $name (sort { length $b <=> length $a } keys %instead)
	{
		$text =~ s/\Q$name\E/$instead{$name}/g;
	}
	local @ENV{qw(PGHOST PGPORT PGDATABASE)} = ($node->host, $node->port, 'postgres');
	my @command = $block->{language} eq 'sql' ? (qw(psql -X -A -t -v ON_ERROR_STOP=1 -f - -d), $block->{dbname} // 'app') : qw(bash -e -s);
	my ($out, $err) = ('', '');
	my $ok = IPC::Run::run(\@command, '<', \$text, '>', \$out, '2>', \$err, init => sub { chdir $folder or die });
	my ($name) = $block->{text} =~ /^(.{1,60})/;
	ok($ok, "on $block->{on}: $name") or diag("$out\n$err");
	note $err if $err ne '';
	return $out;
}

1;
