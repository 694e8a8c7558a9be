# Servers that log in every format, and the search for canaries in all that they say.
package KeyVaultLog;

use strict;
use warnings;

use Exporter 'import';
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(sleep);

our @EXPORT = qw(new_logging_vault canary log_position log_since shows shown_in_formats activity_of);

# new_logging_vault(name, conf =>, preload => how): stderr, CSV and JSON, through the collector.
sub new_logging_vault
{
	my ($name, %option) = @_;
	my $preload = $option{preload} // "shared_preload_libraries = 'key_vault'";
	my $node = new_vault($name, conf => <<"END" . ($option{conf} // ''));
$preload
logging_collector = on
log_destination = 'stderr,csvlog,jsonlog'
log_directory = 'log'
log_filename = 'all.log'
log_rotation_age = 0
log_rotation_size = 0
log_statement = none
END
	return $node;
}

# A key that looks like no provider's: letters and digits, no eight of them alike.
sub canary
{
	my ($length) = @_;
	return join '', map { ('a' .. 'z', 0 .. 9)[ rand 36 ] } 1 .. ($length // 24);
}

sub files_of
{
	my ($node) = @_;
	return map { $node->data_dir . "/log/all.$_" } qw(log csv json);
}

# Where the files end now.
sub log_position
{
	my ($node) = @_;
	return { map { $_ => -s $_ } files_of($node) };
}

my $marks = 0;

# What the files got since then, by format.  An entry of our own tells that the collector
# has written all that came before it; of digits, so that no search for keys finds it.
sub log_since
{
	my ($node, $position) = @_;
	my $mark = sprintf 'end of %d.%d', $$, ++$marks;
	$node->safe_psql('postgres', "SET log_min_messages = log; DO \$\$ BEGIN RAISE LOG '$mark'; END \$\$");
	my %since;
	for my $file (files_of($node))
	{
		my ($format) = $file =~ /\.(\w+)$/;
		for (1 .. 100 * $PostgreSQL::Test::Utils::timeout_default)
		{
			$since{$format} = slurp_file($file, $position->{$file} // 0);
			last if $since{$format} =~ /\Q$mark\E/;
			sleep 0.01;
		}
		die "$file has not got \"$mark\"\n" unless $since{$format} =~ /\Q$mark\E/;
	}
	return \%since;
}

# Whether a text shows a canary, or eight characters of it in a row; as numbers, too, which
# is how a tree has them.
sub shows
{
	my ($text, $canary) = @_;
	my $length = length $canary < 8 ? length $canary : 8;
	for my $at (0 .. length($canary) - $length)
	{
		my $part = substr($canary, $at, $length);
		my $numbers = join ' ', map { ord } split //, $part;
		return 1 if index($text, $part) >= 0 || index($text, $numbers) >= 0;
	}
	return 0;
}

# The formats of the log in which it stands.
sub shown_in_formats
{
	my ($since, $canary) = @_;
	return [ grep { shows($since->{$_}, $canary) } sort keys %$since ];
}

# What another session sees of one.
sub activity_of
{
	my ($observer, $session) = @_;
	return $observer->value('SELECT query FROM pg_stat_activity WHERE pid = $1::int', $session->pid);
}

1;
