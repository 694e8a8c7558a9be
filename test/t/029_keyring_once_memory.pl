# Where sessions share what keyring_command printed, it is locked in memory, in no core dump
# of a backend or of the postmaster, and gone when the server has stopped.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use CountedCommand;
use KeyVaultTest;
use MIME::Base64 qw(decode_base64);
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'this system tells nothing of processes in /proc' unless -r '/proc/self/smaps';

my $gcore = (grep { -x } map { "$_/gcore" } split /:/, $ENV{PATH})[0];
my $folder = PostgreSQL::Test::Utils::tempdir;
my $command = CountedCommand->new;
my $node = new_counted_vault('once_memory', $command, conf => "shared_buffers = 4MB\nlogging_collector = on\nrestart_after_crash = on\n");
my $get = q{SELECT key_vault.get('user_a', 'gemini')};
my $base64 = (split / /, root_key_line(1))[1];
my $key = decode_base64($base64);

sub postmaster
{
	return (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];
}

# The small mapping that a process shares with those that it forks, beside the server's
# shared memory: where it is, and its flags.
sub shared_mapping
{
	my ($pid) = @_;
	for my $mapping (slurp_file("/proc/$pid/smaps") =~ m{^([0-9a-f]+-[0-9a-f]+ rw-s \S+ \S+ \S+ +/dev/zero .*?^VmFlags:.*?)$}msg)
	{
		my ($flags) = $mapping =~ /^VmFlags: (.*)/m;
		my ($start, $end) = map { hex } $mapping =~ /^([0-9a-f]+)-([0-9a-f]+)/;
		return { start => $start, size => $end - $start, flags => " $flags " } if $end - $start <= 65536;
	}
	die 'there is no such mapping';
}

# What is in that mapping; undef when the system does not let us look.
sub content
{
	my ($pid, $mapping) = @_;
	my $bytes;
	open my $memory, '<:raw', "/proc/$pid/mem" or return;
	sysseek $memory, $mapping->{start}, 0;
	sysread($memory, $bytes, $mapping->{size}) == $mapping->{size} or return;
	return $bytes;
}

# A core dump of a process, or undef when the system does not let us take one.
sub core_of
{
	my ($pid) = @_;
	my $output = `gcore -o $folder/core $pid 2>&1`;
	note $output;
	return unless -s "$folder/core.$pid";
	my $core = slurp_file("$folder/core.$pid");
	unlink "$folder/core.$pid";
	return $core;
}

# Where parts of the root key stand in it.
sub parts_in
{
	my ($bytes) = @_;
	return [ (map { "bytes from $_" } grep { index($bytes, substr($key, $_, 8)) >= 0 } map { $_ * 8 } 0 .. 3),
		(map { "base64 from $_" } grep { index($bytes, substr($base64, $_, 12)) >= 0 } map { $_ * 4 } 0 .. 7) ];
}

# Processes come and go meanwhile.
sub is_child
{
	my ($pid, $parent, $title) = @_;
	return eval { slurp_file("/proc/$pid/status") =~ /^PPid:\s+$parent$/m && slurp_file("/proc/$pid/cmdline") =~ $title };
}

my $session = session($node);
outcome_is($session, 'AIza-of-user_a', 'a session opens a key', $get);
my $other = session($node);
outcome_is($other, 'AIza-of-user_a', 'and another one', $get);

# --- Locked

my ($limit) = slurp_file('/proc/' . postmaster() . '/limits') =~ /^Max locked memory\s+(\S+)/m;
my $mapping = shared_mapping(postmaster());
like($mapping->{flags}, qr/ dd /, 'the postmaster leaves it out of core dumps');
SKIP:
{
	skip 'the system allows less than 64 kB of locked memory', 2 if $limit ne 'unlimited' && $limit < 65536;
	like($mapping->{flags}, qr/ lo /, 'it is locked');
	outcome_is($session, 'ok', 'status() has nothing against that', q{SELECT state FROM key_vault.status() WHERE item = 'keyring'});
}
like(shared_mapping($session->pid)->{flags}, qr/ dd /, 'a backend leaves it out of core dumps, too');

# --- Not in core dumps

SKIP:
{
	skip 'gcore, of gdb, is not installed', 1 unless defined $gcore;
	skip 'the system does not let gcore look at a process', 1 unless defined core_of($session->pid);
	$session->query(q{SET application_name = 'canary 5e1fbd'});
	my $core = core_of($session->pid);
	ok(index($core, 'canary 5e1fbd') >= 0, 'a core dump of a backend');
	is_deeply(parts_in($core), [], 'holds no part of the root key');
	$core = core_of(postmaster());
	ok(index($core, $node->data_dir) >= 0, 'a core dump of the postmaster');
	is_deeply(parts_in($core), [], 'holds no part of the root key');
}

# --- Wiped

SKIP:
{
	my $content = content(postmaster(), $mapping);
	skip 'the system does not let us look into a process', 1 unless defined $content;
	ok(@{ parts_in($content) } > 0, 'the root key is in that memory');

	# What a reload made stale goes when anybody next looks
	$command->put('postgres', 1, 2);
	$node->safe_psql('postgres', q{SELECT key_vault.activate_root_key('} . root_key_id(2) . q{')});
	my $second = substr(decode_base64((split / /, root_key_line(2))[1]), 0, 8);
	ok(index(content(postmaster(), $mapping), $second) >= 0, 'a second root key');
	append_to_file("$folder/keyring", root_key_line(1));
	chmod 0600, "$folder/keyring";
	$node->adjust_conf('postgresql.conf', 'key_vault.keyring_command', q{''});
	$node->append_conf('postgresql.conf', "key_vault.keyring_file = '$folder/keyring'\n");
	reload_settings($node);
	outcome_is($session, 'AIza-of-user_a', 'a keyring file instead', $get);
	is_deeply(parts_in(content(postmaster(), $mapping)), [], 'and what the command printed is wiped');
	$node->adjust_conf('postgresql.conf', 'key_vault.keyring_command', "'" . $command->text . "'");
	reload_settings($node);

	# A crash
	outcome_is($session, 'AIza-of-user_a', 'the command again', $get);
	ok(@{ parts_in(content(postmaster(), $mapping)) } > 0, 'before a crash');
	kill 'KILL', $session->pid;
	wait_until(sub { $other->query('SELECT 1')->{error} });
	wait_for_server($node);
	is_deeply(parts_in(content(postmaster(), $mapping)), [], 'a crash: the memory is wiped');
	outcome_is(session($node), 'AIza-of-user_a', 'after the crash', $get);

	# The process that writes the log outlives the postmaster, and shares the memory
	my $postmaster = postmaster();
	my ($logger) = grep { is_child($_, $postmaster, qr/logger/) } map { m{^/proc/(\d+)$} } glob '/proc/*';
	kill 'STOP', $logger;
	ok(@{ parts_in(content($logger, $mapping)) } > 0, 'before the server stops');
	$node->stop('fast');
	is(content($logger, $mapping), "\0" x $mapping->{size}, 'the server has stopped: the memory is all zero');
	kill 'CONT', $logger;
}

# --- Without locked memory

SKIP:
{
	$node->stop('fast') if defined $node->{_pid};
	skip 'prlimit cannot change a process', 1 if system('prlimit', '--memlock=0:', '--pid', $$) != 0;
	$node->start;
	$command->calls;
	outcome_is(session($node), 'AIza-of-user_a', 'a key opens where no memory can be locked', $get) for 1 .. 3;
	is($command->calls, 1, 'with one call');
	unlike(shared_mapping(postmaster())->{flags}, qr/ lo /, 'the memory is not locked');
	outcome_is(session($node), 'warning', 'which status() tells', q{SELECT state FROM key_vault.status() WHERE item = 'keyring'});
	$node->stop;
}

done_testing();
