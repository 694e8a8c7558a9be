# Who pays: the figures of a month with a developer and two testers.
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
append_to_file($dotenv, "DEBUG=true\nGEMINI_API_KEY=AIza-the-developer\n");
chmod 0600, $dotenv;

my $node = new_vault('who_pays', conf => "key_vault.dotenv_file = '$dotenv'\n");
add_role($node, 'app', 'service');
add_role($node, 'dba', 'admin');

# Writes blog posts, each at $0.05, with whoever's key the user's request takes.
sub write_posts
{
	my ($user, $count) = @_;
	my $app = session($node, 'app');
	my %paid_with;
	for (1 .. $count)
	{
		$app->run('BEGIN');
		$app->value(q(SELECT set_config('key_vault.user_id', $1, true)), $user);
		$paid_with{ $app->value(q(SELECT key_vault.require(NULL, 'gemini'))) }++;
		$app->value(q(SELECT key_vault.record_usage(NULL, 'gemini', tokens => 1200, cost => 0.05)));
		$app->run('COMMIT');
	}
	return join ' ', map { "$_ $paid_with{$_}" } sort keys %paid_with;
}

sub costs
{
	return $node->safe_psql('postgres', 'SELECT user_id, paid_by, requests, tokens, cost FROM key_vault.monthly_costs ORDER BY user_id COLLATE "C", paid_by COLLATE "C"', extra_params => [ '-U', 'dba' ]);
}

my $operator = q(SELECT coalesce(sum(cost), 0.00) FROM key_vault.monthly_costs WHERE paid_by = 'operator');

# --- Development: the developer's key is the one of the .env file

is(write_posts('developer', 100), 'AIza-the-developer 100', 'a developer writes 100 posts with the key of the .env file');
is(costs(), 'developer|operator|100|120000|5.00', 'and pays $5.00');
$node->safe_psql('postgres', q(SELECT key_vault.forget('developer')));

# --- Production: testers bring their own

unlink $dotenv;
append_to_file($dotenv, "DEBUG=false\nDEPLOY_ENV=render\nGEMINI_API_KEY=AIza-the-developer\n");
my $app = session($node, 'app');
$app->value(q(SELECT key_vault.set($1, 'gemini', $2)), @$_) for [ 'tester_a', 'AIza-tester-a' ], [ 'tester_b', 'AIza-tester-b' ];
is(write_posts('tester_a', 50), 'AIza-tester-a 50', 'tester A writes 50 posts with the own key');
is(write_posts('tester_b', 200), 'AIza-tester-b 200', 'tester B writes 200');
is(costs(), "tester_a|user|50|60000|2.50\ntester_b|user|200|240000|10.00", 'A pays $2.50, B pays $10.00');
is($node->safe_psql('postgres', $operator), '0.00', 'the operator pays $0.00');
outcome_is($app, 'P0002', 'a user without a key pays nothing on anybody\'s account', q(SELECT key_vault.require('tester_c', 'gemini')));

$app->run('BEGIN');
$app->value(q(SELECT set_config('key_vault.user_id', 'tester_a', true)));
is($app->value('SELECT sum(cost) FROM key_vault.monthly_costs'), '2.50', 'a tester sees the own costs');
$app->run('ROLLBACK');

# --- Thousandths of a cent do not get lost, as they would in floating point

$app->value(q(SELECT key_vault.record_usage('tester_d', 'exa', cost => 0.00001)) . ' FROM generate_series(1, 10000)');
is($node->safe_psql('postgres', q(SELECT cost = 0.1 FROM key_vault.monthly_costs WHERE user_id = 'tester_d')), 't', '10,000 times $0.00001 is $0.10');

# --- At the same time for the same user: none is lost

my @sessions = map { session($node, 'app') } 1 .. 4;
for (1 .. 50)
{
	$_->send(q(SELECT key_vault.record_usage('tester_e', 'exa', cost => 0.01))) for @sessions;
	$_->receive for @sessions;
}
is($node->safe_psql('postgres', q(SELECT requests || ' ' || cost FROM key_vault.monthly_costs WHERE user_id = 'tester_e')), '200 2.00', 'four sessions at once lose nothing');

done_testing();
