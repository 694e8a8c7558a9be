# Data directories for servers: initdb takes most of a short test's time, so it is run once for
# all files of a run, and what it made is copied.
#
#	init_cluster($node, allows_streaming => 1);		as $node->init, in UTF8 with locale C
package KeyVaultCluster;

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use Exporter 'import';
use Fcntl qw(:flock);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(init_cluster);

my $copied = 0;

# The data directory that such a call of initdb makes; it is called by the first test to ask.
sub template_of
{
	my @command = @_;
	my $template = "$PostgreSQL::Test::Utils::tmp_check/initdb-" . substr sha256_hex(join "\0", @command), 0, 16;
	open my $lock, '>', "$template.lock" or die "$template.lock: $!";
	flock $lock, LOCK_EX or die "$template.lock: $!";
	return $template if -d $template;
	PostgreSQL::Test::Utils::system_or_bail(map { $_ eq 'DATA' ? "$template.new" : $_ } @command);
	rename "$template.new", $template or die "$template: $!";
	return $template;
}

# In place of initdb.
sub copy_template
{
	my @command = @_;
	my ($at) = grep { $command[ $_ - 1 ] =~ /^(?:-D|--pgdata)$/ } 1 .. $#command or die "no data directory: @command";
	my $data = $command[$at];
	$command[$at] = 'DATA';
	note "copying what initdb made: $data";
	PostgreSQL::Test::Utils::system_or_bail('cp', '-a', template_of(@command), $data);
	return;
}

# A copy has its model's system identifier, so each further server of a test is made by initdb.
sub init_cluster
{
	my ($node, %option) = @_;
	my @extra = ('--encoding=UTF8', '--locale=C', @{ delete $option{extra} // [] });
	my $run = \&PostgreSQL::Test::Utils::system_or_bail;
	my $is_first = !$copied++;

	no warnings 'redefine';
	local *PostgreSQL::Test::Utils::system_or_bail = sub {
		return $run->(@_) unless $is_first && $_[0] eq 'initdb';
		local *PostgreSQL::Test::Utils::system_or_bail = $run;
		return copy_template(@_);
	};
	$node->init(%option, extra => \@extra);
	return;
}

1;
