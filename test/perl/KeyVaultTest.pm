# What TAP tests share: a server that has key_vault, roles with levels, sessions.
package KeyVaultTest;

use strict;
use warnings;

use Exporter 'import';
use KeyVaultClient;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(new_vault keyring_path install_vault add_role session outcome_is warned);

my %keyrings;

# new_vault(name, conf => further settings, init => [arguments of init]): a running
# server with the extension and a root key in database postgres.
sub new_vault
{
	my ($name, %option) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	my $path = $keyrings{ $node->name } = PostgreSQL::Test::Utils::tempdir . '/keyring';

	$node->init(extra => [ '--encoding=UTF8', '--locale=C' ], @{ $option{init} // [] });
	$node->append_conf('postgresql.conf', "key_vault.keyring_file = '$path'\n" . ($option{conf} // ''));
	$node->start;
	install_vault($node, 'postgres');
	return $node;
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
	$node->safe_psql($dbname, 'CREATE EXTENSION key_vault CASCADE');
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

1;
