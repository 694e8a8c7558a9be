# A cluster for tests: a coordinator and workers that have Citus and key_vault, on this
# machine alone.  Where Citus is not installed, whoever asks for one skips all of its tests.
package KeyVaultCitus;

use strict;
use warnings;

use Exporter 'import';
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(citus_or_skip new_cluster new_worker add_worker on_each);

# Ends the test, saying why, where there is no Citus for the server that is tested.
sub citus_or_skip
{
	chomp(my $share = `pg_config --sharedir`);
	plan skip_all => 'Citus is not installed' unless -e "$share/extension/citus.control";
	return;
}

# new_cluster(name, workers => how many, conf => further settings of each node): the
# coordinator and the workers, as (coordinator, [workers]).  key_vault is in database
# postgres of each, and all have the same root key, each in a keyring of its own.
sub new_cluster
{
	my ($name, %option) = @_;
	my $coordinator = new_node("${name}_coordinator", %option);
	my @workers = map { new_node("${name}_worker_$_", %option) } 1 .. $option{workers} // 2;

	$coordinator->safe_psql('postgres', "SELECT citus_set_coordinator_host('127.0.0.1', " . $coordinator->port . ')');
	install_vault($coordinator, 'postgres');
	add_worker($coordinator, $_) for @workers;
	return ($coordinator, \@workers);
}

# A server that has Citus and is part of no cluster yet.
sub new_node
{
	my ($name, %option) = @_;
	my $node = bare_server($name, conf => <<"END" . ($option{conf} // ''));
shared_preload_libraries = 'citus, key_vault'
listen_addresses = '127.0.0.1'
wal_level = logical
max_wal_senders = 10
max_replication_slots = 10
max_prepared_transactions = 100
citus.node_conninfo = 'sslmode=disable'
citus.local_hostname = '127.0.0.1'
citus.shard_count = 8
citus.enable_statistics_collection = off
END
	$node->safe_psql('postgres', 'CREATE EXTENSION IF NOT EXISTS citus');
	return $node;
}

# new_worker(name, conf =>): a server that add_worker can take.
sub new_worker { return new_node(@_); }

# The worker gets the coordinator's keyring, and becomes part of the cluster: Citus makes
# the extension there.
sub add_worker
{
	my ($coordinator, $worker) = @_;
	share_keyring($coordinator, $worker);
	$coordinator->safe_psql('postgres', "SELECT citus_add_node('127.0.0.1', " . $worker->port . ')');
	return;
}

sub share_keyring
{
	my ($from, $to) = @_;
	append_to_file(keyring_path($to), slurp_file(keyring_path($from)));
	chmod 0600, keyring_path($to) or die "chmod: $!";
	return;
}

# What a statement returns on each node.
sub on_each
{
	my ($sql, @nodes) = @_;
	return map { $_->safe_psql('postgres', $sql) } @nodes;
}

1;
