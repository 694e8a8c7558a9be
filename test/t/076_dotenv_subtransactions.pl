# The .env file and subtransactions: what get sees follows any sequence of savepoints, and
# each set costs the same, however many subtransactions there were before.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

delete @ENV{qw(DEBUG DEPLOY_ENV)};

my $dotenv = PostgreSQL::Test::Utils::tempdir . '/.env';
my @providers = qw(exa gemini openai);
my %variable = map { $_ => uc($_) . '_API_KEY' } @providers;

sub write_dotenv
{
	my ($text) = @_;
	unlink $dotenv;
	append_to_file($dotenv, $text);
	chmod 0600, $dotenv;
	return;
}

my $initial = "DEBUG=true\nEXA_API_KEY=exa-0\n";
write_dotenv($initial);
my $node = new_vault('dotenv_subtransactions', conf => "key_vault.dotenv_file = '$dotenv'\n");
add_role($node, 'app', 'service');
my $app = session($node, 'app', options => '-c client_min_messages=error');

# --- Any sequence of savepoints

# What the file assigns.
sub on_disk
{
	return { map { /^(\w+)=['"]?(.*?)['"]?$/ ? ($1, $2) : () } split /\n/, slurp_file($dotenv) };
}

# One transaction of random steps.  @levels holds what each open savepoint goes back to, the
# transaction itself first.
sub play
{
	my ($round, $steps) = @_;
	my %now = map { $_ => on_disk()->{ $variable{$_} } } @providers;
	my @levels = ({%now});
	my @story;

	$app->run('BEGIN');
	for my $step (1 .. $steps)
	{
		my $provider = $providers[ rand @providers ];
		my $what = rand;
		if ($what < 0.35)
		{
			$now{$provider} = "$provider-$round-$step";
			push @story, "set $now{$provider}";
			$app->value(q(SELECT key_vault.set('dev', $1, $2)), $provider, $now{$provider});
		}
		elsif ($what < 0.42)
		{
			$now{$provider} = undef;
			push @story, "delete $provider";
			$app->value(q(SELECT key_vault.delete('dev', $1)), $provider);
		}
		elsif ($what < 0.7)
		{
			push @levels, {%now};
			push @story, 'savepoint';
			$app->run("SAVEPOINT s$#levels");
		}
		elsif (@levels > 1)
		{
			my $level = $#levels - int rand 2;
			$level = 1 if $level < 1;
			my $back = $what < 0.85;
			push @story, ($back ? 'back to ' : 'release ') . $level;
			$app->run(($back ? 'ROLLBACK TO' : 'RELEASE') . " s$level");
			%now = %{ $levels[$level] } if $back;
			$#levels = $back ? $level : $level - 1;
		}
		my %seen = map { $_ => $app->value(q(SELECT key_vault.get('dev', $1)), $_) } @providers;
		is_deeply(\%seen, \%now, "round $round, step $step") or BAIL_OUT(join '; ', @story);
	}
	my $commit = rand() < 0.8;
	$app->run($commit ? 'COMMIT' : 'ROLLBACK');
	%now = %{ $levels[0] } unless $commit;

	my $disk = on_disk();
	is_deeply({ map { $_ => $disk->{ $variable{$_} } } @providers }, \%now, "round $round: the file after its " . ($commit ? 'commit' : 'rollback'))
	  or diag(join '; ', @story);
	is($disk->{DEBUG}, 'true', '... and nothing else of it has changed');
	return;
}

my $seed = 20260204;
srand $seed;
play($_, 80) for 1 .. 8;

# --- Many subtransactions

# The CPU time of the server's process so far, in ns, or undef where the system does not tell.
sub cpu_time
{
	my ($pid) = @_;
	open my $handle, '<', "/proc/$pid/schedstat" or return undef;
	my ($ns) = split ' ', <$handle>;
	return $ns;
}

# Each for a user of its own, so that no table holds more than one version of anything.
my $users = 0;

# What it takes to set the same variable n times, each time in a subtransaction: of a loop
# that handles exceptions, or of one that is inside all those before it.
my %way = (
	'one after the other' => sub {
		my ($n) = @_;
		$app->run(<<"END");
DO \$\$
BEGIN
	FOR i IN 1 .. $n LOOP
		BEGIN
			PERFORM key_vault.set('user_' || i + $users, 'exa', 'exa-' || repeat('x', 20) || i);
		EXCEPTION WHEN division_by_zero THEN
			NULL;
		END;
	END LOOP;
END \$\$
END
		return;
	},
	'within each other' => sub {
		my ($n) = @_;
		$app->simple(join '', map { "SAVEPOINT s; SELECT key_vault.set('user_@{[$users + $_]}', 'exa', 'exa-' || repeat('x', 20) || $_);" } 1 .. $n);
		return;
	});

sub cost
{
	my ($way, $n) = @_;
	my $least;
	for (1 .. 2)
	{
		write_dotenv($initial);
		$app->run('BEGIN');
		my $before = cpu_time($app->pid);
		$way{$way}->($n);
		my $cost = cpu_time($app->pid) - $before;
		$app->run('COMMIT');
		is(on_disk()->{EXA_API_KEY}, 'exa-' . 'x' x 20 . $n, "$n subtransactions $way: the last counts");
		$users += $n;
		$least = $cost if !defined $least || $cost < $least;
	}
	return $least;
}

SKIP:
{
	skip 'this system does not tell the CPU time of a process (/proc/PID/schedstat)', 2 unless cpu_time($app->pid);
	for my $way (sort keys %way)
	{
		cost($way, 10);
		my ($few, $many) = map { cost($way, $_) } 300, 2100;
		note sprintf '%s: %.0f ms, %.0f ms', $way, $few / 1e6, $many / 1e6;
		cmp_ok($many / $few, '<', 18, "seven times as many subtransactions $way cost about seven times as much, not 49 times");
	}
}

done_testing();
