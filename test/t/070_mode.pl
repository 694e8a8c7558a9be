# Development or production: every combination of DEBUG and DEPLOY_ENV, in the server's
# environment and in the .env file, and who may not change it.
use strict;
use warnings;

use Fcntl;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

delete @ENV{qw(DEBUG DEPLOY_ENV)};

my $dotenv = PostgreSQL::Test::Utils::tempdir . '/.env';
my @debug = (undef, 'true', 'TRUE', ' true', '1', '');
my @deploy_env = (undef, '', 'local', 'render', 'railway');
my $mode = 'SELECT mode FROM key_vault.mode()';
my $get = q(SELECT key_vault.get('user_a', 'gemini'));

# --- The rule, once more, as it is documented

sub expected_mode
{
	my ($debug, $deploy_env) = @_;
	return 'development' if defined $debug && lc $debug eq 'true';
	return 'development' unless defined $deploy_env;
	return 'production';
}

# --- Helpers

sub write_dotenv
{
	my (%variable) = @_;
	my $text = "# the backend's\nGEMINI_API_KEY=from-the-file\n";
	$text .= defined $variable{$_} ? "$_='$variable{$_}'\n" : '' for qw(DEBUG DEPLOY_ENV);
	unlink $dotenv;
	append_to_file($dotenv, $text);
	chmod 0600, $dotenv;
	return;
}

# Restarts the server with these variables in its environment.
sub restart_with
{
	my ($node, %variable) = @_;
	$node->stop('immediate');
	local %ENV = %ENV;
	defined $variable{$_} ? ($ENV{$_} = $variable{$_}) : delete $ENV{$_} for qw(DEBUG DEPLOY_ENV);
	$node->start;
	return session($node);
}

# Changes a setting while the server runs, and waits until the session has it.
sub configure
{
	my ($node, $session, %setting) = @_;
	for my $name (keys %setting)
	{
		$node->adjust_conf('postgresql.conf', "key_vault.$name", "'$setting{$name}'");
	}
	$node->reload;
	for my $name (keys %setting)
	{
		for (1 .. 1000)
		{
			last if $session->value("SELECT current_setting('key_vault.$name')") eq $setting{$name};
			select undef, undef, undef, 0.01;
		}
	}
	return;
}

# What of all that might open the .env file does, or fails: the kernel tells who holds a
# lease on a file of each attempt to open it, also of one that comes to nothing.
sub openers
{
	my ($session) = @_;
	my ($get_lease, $set_lease) = (1025, 1024);    # F_GETLEASE, F_SETLEASE
	my @found;
	local $SIG{IO} = sub { };
	open my $handle, '<', $dotenv or die "$dotenv: $!";
	for my $sql (
		$mode, $get, q(SELECT key_vault.get_all('user_a')), q(SELECT key_vault.source('user_a', 'gemini')), q(SELECT key_vault.require('user_a', 'gemini')),
		q(SELECT count(*) FROM key_vault.onboarding('user_a')), q(SELECT count(*) FROM key_vault.status()), q(SELECT count(*) FROM key_vault.list('user_a')),
		q(SELECT key_vault.set('user_o', 'gemini', 'AIza' || 'one')), q(SELECT key_vault.set('user_o', 'gemini', 'AIza' || 'two')),
		q(SELECT key_vault.rollback('user_o', 'gemini', 1)), q(SELECT key_vault.record_usage('user_o', 'gemini')),
		q(SELECT count(*) FROM key_vault.import_dotenv('user_o', 'EXA_API_KEY=' || 'exa-one')), q(SELECT key_vault.delete('user_o', 'gemini')), q(SELECT key_vault.forget('user_o')))
	{
		fcntl $handle, $set_lease, F_WRLCK or die "no lease on $dotenv: $!";
		my $error = $session->query($sql)->{error};
		push @found, "$sql opens the file" if fcntl($handle, $get_lease, 0) != F_WRLCK;
		push @found, "$sql fails: $error->{message}" if $error;
		fcntl $handle, $set_lease, F_UNLCK;
	}
	return \@found;
}

sub shown { return join ' ', map { defined $_ ? "'$_'" : 'unset' } @_; }

my $reason = "SELECT mode || ': ' || reason FROM key_vault.mode()";

my $node = new_vault('mode', conf => "key_vault.dotenv_file = ''\nkey_vault.mode = 'auto'\n");
write_dotenv();
session($node)->run("SELECT key_vault.set('user_a', 'gemini', 'AIza' || 'from-the-row')");

# --- The truth table.  A restart for each environment; all files under each of them.

my @environments = map { my $d = $_; map { [ $d, $_ ] } @deploy_env } @debug;
if (!$ENV{KV_LONG})
{
	# each value on either side, without all the products
	@environments = grep {
		my ($d, $e) = map { $_ // 'unset' } @$_;
		($d eq 'unset' && $e =~ /^(unset|render|)$/) || ($d eq 'TRUE' && $e eq 'render') || "$d,$e" =~ /^(1,unset| true,local|,railway)$/
	} @environments;
}
my $checked = 0;
my @wrong;

for my $environment (@environments)
{
	my ($debug, $deploy_env) = @$environment;
	my $session = restart_with($node, DEBUG => $debug, DEPLOY_ENV => $deploy_env);
	push @wrong, shown(@$environment) . ' without a .env file' unless $session->value($mode) eq 'production';
	$checked++;

	configure($node, $session, dotenv_file => $dotenv);
	for my $in_file (map { my $d = $_; map { [ $d, $_ ] } @deploy_env } @debug)
	{
		write_dotenv(DEBUG => $in_file->[0], DEPLOY_ENV => $in_file->[1]);
		my $want = expected_mode($debug // $in_file->[0], $deploy_env // $in_file->[1]);
		my $answer = $session->value($mode);
		my $key = $session->value($get);
		push @wrong, shown(@$environment) . ' in the environment, ' . shown(@$in_file) . " in the file: $answer, $key"
		  unless $answer eq $want && $key eq ($want eq 'development' ? 'from-the-file' : 'AIzafrom-the-row');
		$checked++;
	}
	configure($node, $session, dotenv_file => '');
}
is_deeply(\@wrong, [], "$checked combinations of DEBUG and DEPLOY_ENV, in the environment and in the file");

# --- Reasons, and the file that is not opened

my $session = restart_with($node);
configure($node, $session, dotenv_file => $dotenv);
write_dotenv();
is($session->value($reason), 'development: DEPLOY_ENV is not set', 'nothing set');
is($session->value("SELECT state FROM key_vault.status() WHERE item = 'mode'"), 'warning', 'status() warns of development by absence');
write_dotenv(DEBUG => 'true', DEPLOY_ENV => 'render');
is($session->value($reason), 'development: DEBUG is true in the .env file', 'DEBUG in the file');
is($session->value("SELECT state FROM key_vault.status() WHERE item = 'mode'"), 'ok', 'which is meant');
write_dotenv(DEPLOY_ENV => 'render');
is($session->value($reason), 'production: DEBUG is not true, and DEPLOY_ENV is set in the .env file', 'DEPLOY_ENV in the file');

like(openers($session)->[0], qr/opens the file/, '... for which the file is opened');

configure($node, $session, mode => 'production');
is($session->value($reason), 'production: key_vault.mode is production', 'production by the setting');
is_deeply(openers($session), [], '... in which nothing opens the file');
unlink $dotenv;
is($session->outcome($get), 'AIzafrom-the-row', 'which does not open the file: it is missing');
configure($node, $session, mode => 'development');
is($session->value($reason), 'development: key_vault.mode is development', 'development by the setting');
outcome_is($session, 'F0000', 'in which a missing file is an error, never "no key"', $get);
configure($node, $session, mode => 'auto');
outcome_is($session, 'F0000', 'as when the file has to decide', $get);
outcome_is($session, 'F0000', 'for mode() as well', $mode);
is($session->value("SELECT state FROM key_vault.status() WHERE item = 'mode'"), 'error', 'and status() says so');

configure($node, $session, dotenv_file => '', mode => 'development');
is($session->value($reason), 'production: key_vault.mode is development, but key_vault.dotenv_file is not set', 'without a .env file there is no development mode');
outcome_is($session, '22004', 'so a call without a user is an error', q(SELECT key_vault.get(NULL, 'gemini')));
configure($node, $session, dotenv_file => $dotenv, mode => 'auto');

$session = restart_with($node, DEBUG => 'false', DEPLOY_ENV => 'render');
is($session->value($reason), q(production: DEBUG is not true, and DEPLOY_ENV is set in the server's environment), 'the environment alone decides');
is($session->outcome($get), 'AIzafrom-the-row', 'and a missing file is not missed');
write_dotenv();
is_deeply(openers($session), [], 'nor is one that is there opened');
unlink $dotenv;
$session = restart_with($node, DEBUG => 'true', DEPLOY_ENV => 'render');
is($session->value($reason), q(development: DEBUG is true in the server's environment), 'DEBUG in the environment');
outcome_is($session, 'F0000', 'in which a missing file is an error', $get);

# --- No session can switch

write_dotenv(DEPLOY_ENV => 'render');
add_role($node, 'app', 'service');
add_role($node, 'app_of_mallory', 'service');
$session = restart_with($node);
for my $name (qw(mode dotenv_file))
{
	my $value = $name eq 'mode' ? 'development' : '/etc/hostname';
	for my $role (undef, 'app')
	{
		my $who = $role // 'a superuser';
		my $try = session($node, $role);
		$try->value('SELECT mode FROM key_vault.mode()');
		outcome_is($try, '55P02', "$who cannot SET key_vault.$name", "SET key_vault.$name = '$value'");
		outcome_is($try, '55P02', '... nor SET LOCAL it', "SET LOCAL key_vault.$name = '$value'");
		outcome_is($try, '55P02', '... nor by set_config()', "SELECT set_config('key_vault.$name', '$value', true)");
		is($try->value($mode), 'production', '... and the mode stays');
	}
	my $early = session($node, 'app');
	$early->query("SET key_vault.$name = '$value'");
	is($early->value($mode), 'production', "key_vault.$name set before the library is loaded has no effect");
	my $started = KeyVaultClient->attempt(host => $node->host, port => $node->port, user => 'app',
		dbname => 'postgres', options => "-c key_vault.$name=$value");
	ok($started->{closed} || $started->value($mode) eq 'production', '... nor has it in PGOPTIONS');
	my $role = session($node, 'app_of_mallory');
	$role->query("ALTER ROLE app_of_mallory SET key_vault.$name = '$value'");
	is(session($node, 'app_of_mallory')->outcome($mode), 'production', '... nor for the role');
}
is(session($node, 'app')->value($get), 'AIzafrom-the-row', 'the key is the row\'s all the while');

# What a caller stores cannot decide either: only variables that hold keys are written.
outcome_is($session, '22023', 'no provider has the variable DEBUG', q(SELECT key_vault.add_provider('debug', env_var => 'DEBUG')));

done_testing();
