# With KV_CITUS=1 in the environment, every server that a test starts preloads Citus, and
# each of its databases has the extension: what a test says holds there, too.  A test that Citus
# itself is in the way of says so on top, and why:
#
#	use CitusEverywhere not => 'its worker is connected to each database, and none could be renamed';
package CitusEverywhere;

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $wanted = $ENV{KV_CITUS};
my %original = map { $_ => PostgreSQL::Test::Cluster->can($_) } qw(init start restart);

sub import
{
	my (undef, %option) = @_;
	return unless $wanted && $option{not};
	note "without Citus: $option{not}";
	$wanted = 0;
	return;
}

# Citus comes first in shared_preload_libraries; what a test asks for comes after it.
sub preload_citus
{
	my ($node) = @_;
	my $conf = $node->data_dir . '/postgresql.conf';
	my ($libraries) = reverse slurp_file($conf) =~ /^\s*shared_preload_libraries\s*=\s*'?([^'\n#]*)/mg;
	return if ($libraries // '') =~ /^citus\b/;
	$node->append_conf('postgresql.conf', "shared_preload_libraries = '" . join(', ', 'citus', grep { length } $libraries // '') . "'\n");
	return;
}

# By a server in single-user mode, which leaves no worker of Citus's in a template.
sub create_citus
{
	my ($node, $dbname) = @_;
	my $said = '';
	IPC::Run::run([ 'postgres', '--single', '-D', $node->data_dir, $dbname ], '<', \'CREATE EXTENSION citus', '>&', \$said)
		and $said !~ /ERROR|FATAL/ or die "no Citus in $dbname: $said";
	return;
}

sub init
{
	my ($node, @rest) = @_;
	$original{init}->($node, @rest);
	return unless $wanted;
	$node->append_conf('postgresql.conf', "citus.node_conninfo = 'sslmode=disable'\ncitus.enable_statistics_collection = off\n");
	$node->append_conf('postgresql.conf', "max_worker_processes = 32\n");    # one of Citus's for each database
	preload_citus($node);
	create_citus($node, $_) for qw(template1 postgres);
	return;
}

if ($wanted)
{
	no warnings 'redefine';
	*PostgreSQL::Test::Cluster::init = \&init;
	*PostgreSQL::Test::Cluster::start = sub { preload_citus($_[0]) if $wanted; goto &{ $original{start} } };
	*PostgreSQL::Test::Cluster::restart = sub { preload_citus($_[0]) if $wanted; goto &{ $original{restart} } };
}

1;
