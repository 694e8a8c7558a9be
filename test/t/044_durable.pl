# A keyring and a .env file are on disk before they take the old one's place, and the change
# of the folder is, too: seen from the system calls of the backend that writes them.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $strace = (grep { -x } map { "$_/strace" } split /:/, $ENV{PATH})[0];
plan skip_all => 'strace is not installed' unless defined $strace;

my $folder = PostgreSQL::Test::Utils::tempdir;
delete @ENV{qw(DEBUG DEPLOY_ENV)};
append_to_file("$folder/.env", "DEBUG=true\n");
my $node = new_vault('durable', conf => "key_vault.dotenv_file = '$folder/.env'\n");
my $session = session($node);

# The calls that a statement makes, as strace tells them
sub calls_of
{
	my ($sql) = @_;
	my ($log, $said) = ("$folder/strace", '');
	unlink $log;
	my $tracer = IPC::Run::start([ $strace, '-y', '-e', 'trace=fsync,fdatasync,rename,renameat,renameat2', '-o', $log, '-p', $session->pid ],
		'<', \undef, '>', \$said, '2>&1');
	for (1 .. 500)
	{
		$tracer->pump_nb;
		last if $said =~ /attached|not permitted|denied/i;
		sleep 0.02;
	}
	if ($said !~ /attached/)
	{
		$tracer->kill_kill;
		plan skip_all => "strace may not watch a backend here: $said";
	}
	$session->run($sql);
	sleep 0.2;
	$tracer->signal('INT');
	$tracer->finish;
	return slurp_file($log);
}

my $ring = keyring_path($node);
my ($ring_folder) = $ring =~ m{^(.*)/};
my %written = (
	'create_root_key' => [ 'SELECT key_vault.create_root_key()', $ring, $ring_folder ],
	'set in development' => [ q{SELECT key_vault.set('user_a', 'gemini', 'AIza-' || repeat('x', 30))}, "$folder/.env", $folder ]);

for my $name (sort keys %written)
{
	my ($sql, $path, $in) = @{ $written{$name} };
	my $calls = calls_of($sql);
	my ($new) = $calls =~ /^rename\w*\([^"]*"([^"]+)", [^"]*"\Q$path\E"/m;
	ok(defined $new, "$name: a new file takes the old one's place") or diag($calls);
	$new //= 'none';
	like($calls, qr/^f(?:data)?sync\(\d+<\Q$new\E>\) += 0\n(?:.*\n)*?rename\w*\([^"]*"\Q$new\E"/m, "$name: it is on disk before that") or diag($calls);
	like($calls, qr/^rename\w*\([^"]*"\Q$new\E".*\n(?:.*\n)*?fsync\(\d+<\Q$in\E>\) += 0$/m, "$name: the folder is after it") or diag($calls);
}

done_testing();
