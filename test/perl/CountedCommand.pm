# A keyring_command that notes each of its calls, and that a test can hold up or let fail;
# and servers that use it.  The keyring of database X is the file X in its folder.
package CountedCommand;

use strict;
use warnings;

use Digest::SHA qw(sha256);
use Exporter 'import';
use KeyVaultCluster;
use KeyVaultTest;
use MIME::Base64 qw(encode_base64);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(sleep);

our @EXPORT = qw(root_key_line root_key_id new_counted_vault reload_settings wait_until wait_for_server waiting_sessions);

my $script = <<'END';
keyring=$(cat "$0.of/$KEY_VAULT_DATABASE")
echo "$KEY_VAULT_DATABASE" >>"$0.calls"
while [ -e "$0.gate" ]; do sleep 0.02; done
[ ! -e "$0.fail" ] || exit 3
printf '%s\n' "$keyring"
END

# The root key number so and so: its line, and its id.
sub root_key_line
{
	my ($number) = @_;
	my $key = pack('N8', (1_000_000 + $number) x 8);
	return root_key_id($number) . ' ' . encode_base64($key, '') . " 2026-01-31T23:59:59Z\n";
}

sub root_key_id
{
	my ($number) = @_;
	return unpack('H16', sha256('key_vault root key v1' . pack('N8', (1_000_000 + $number) x 8)));
}

sub new
{
	my ($class) = @_;
	my $path = PostgreSQL::Test::Utils::tempdir . '/command';
	append_to_file($path, $script);
	mkdir "$path.of" or die $!;
	return bless { path => $path }, $class;
}

sub text
{
	my ($self) = @_;
	return "sh $self->{path}";
}

# The keyring of a database becomes that of these root keys.
sub put
{
	my ($self, $dbname, @numbers) = @_;
	my $path = "$self->{path}.of/$dbname";
	append_to_file("$path.new", join '', map { root_key_line($_) } @numbers);
	rename "$path.new", $path or die $!;
	return;
}

# How often it was called since the last time that this was asked, of one database or of all.
sub calls
{
	my ($self, $dbname) = @_;
	my @calls = grep { !defined $dbname || $_ eq $dbname } $self->peek;
	unlink "$self->{path}.calls";
	return scalar @calls;
}

sub peek
{
	my ($self) = @_;
	return -e "$self->{path}.calls" ? split /\n/, slurp_file("$self->{path}.calls") : ();
}

# gate: it does not end; fail: it ends badly.
sub set
{
	my ($self, $what) = @_;
	append_to_file("$self->{path}.$what", '');
	return;
}

sub unset
{
	my ($self, $what) = @_;
	unlink "$self->{path}.$what";
	return;
}

# Waits until it was called so often since calls().
sub wait_for_calls
{
	my ($self, $count) = @_;
	return wait_until(sub { $self->peek >= $count });
}

sub wait_until
{
	my ($condition) = @_;
	for (1 .. 50 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1 if $condition->();
		sleep 0.02;
	}
	die 'timed out waiting';
}

# Waits until the server takes sessions again.
sub wait_for_server
{
	my ($node) = @_;
	return wait_until(sub { eval { session($node)->value('SELECT true') } });
}

# new_counted_vault(name, command, conf => ..., init => ...): a running server with the
# extension in database postgres, root key 1, and a key of user_a that it seals.
sub new_counted_vault
{
	my ($name, $command, %option) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$command->put('postgres', 1);
	init_cluster($node, @{ $option{init} // [] });
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'key_vault'\nkey_vault.purge_after = 1\nkey_vault.keyring_command_timeout = 3min\n"
		. "key_vault.keyring_command = '" . $command->text . "'\n" . ($option{conf} // ''));
	$node->start;
	$node->safe_psql('postgres', q{CREATE EXTENSION key_vault; SELECT key_vault.activate_root_key('} . root_key_id(1) . q{');
		SELECT key_vault.set('user_a', 'gemini', 'AIza-of-user_a')});
	$command->calls;
	return $node;
}

# Reloads the configuration, and returns when the postmaster has done so.
my $reloads = 1;

sub reload_settings
{
	my ($node) = @_;
	$reloads++;
	$node->adjust_conf('postgresql.conf', 'key_vault.purge_after', $reloads);
	$node->reload;
	$node->poll_query_until('postgres', "SELECT setting = '$reloads' FROM pg_settings WHERE name = 'key_vault.purge_after'")
	  or die 'the reload did not arrive';
	return;
}

# Waits until so many of the sessions wait for their own or another one's command.
sub waiting_sessions
{
	my ($watcher, $count, @sessions) = @_;
	my $pids = '{' . join(',', map { $_->pid } @sessions) . '}';
	return wait_until(sub {
		$watcher->value(q{SELECT count(*) FROM pg_stat_activity WHERE pid = ANY ($1) AND wait_event_type = 'Extension'}, $pids) == $count });
}

1;
