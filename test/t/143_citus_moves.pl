# A cluster that changes while it is used: shards that move, a worker that comes, a rebalance
# under clients that set and get, a worker that is down.  No answer is wrong, and no set is lost.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use IPC::Run;
use KeyVaultCitus;
use KeyVaultTest;
use PostgreSQL::Test::Utils;
use Test::More;

citus_or_skip();

my ($coordinator, $workers) = new_cluster('moves', conf => "max_connections = 200\n");
my ($first, $second) = @$workers;
my $users = 40;

sub sql { return $coordinator->safe_psql('postgres', @_); }

add_role($coordinator, 'regress_kv_service', 'service');
sql("SELECT key_vault.set('user_' || i, 'gemini', 'AIza-of-user_' || i || '-0123456789') FROM generate_series(1, $users) i");
sql('SELECT key_vault.distribute()');

# Which users' rows are on a node.
sub users_on
{
	my ($node) = @_;
	return split /\n/, sql("SELECT 'user_' || i FROM generate_series(1, $users) i
		JOIN pg_dist_shard_placement p ON p.shardid = get_shard_id_for_distribution_column('key_vault_data.secrets', 'user_' || i) WHERE nodeport = " . $node->port);
}

sub wrong_answers
{
	return sql("SELECT count(*) FROM generate_series(1, $users) i WHERE key_vault.get('user_' || i, 'gemini') NOT LIKE 'AIza-of-user_' || i || '-%'
		OR key_vault.get('user_' || i, 'gemini') IS NULL");
}

# --- A shard that moves, and a session that knew where it was

my ($traveller) = users_on($first);
my $session = session($coordinator, 'regress_kv_service');
my $get = "SELECT key_vault.get('$traveller', 'gemini')";
outcome_is($session, "AIza-of-$traveller-0123456789", 'get before the move', $get) for 1 .. 6;    # the plan is a generic one
sql("SELECT citus_move_shard_placement(get_shard_id_for_distribution_column('key_vault_data.secrets', '$traveller'), '127.0.0.1', "
	. $first->port . ", '127.0.0.1', " . $second->port . ')');
ok(scalar(grep { $_ eq $traveller } users_on($second)), 'the shard has moved');
outcome_is($session, "AIza-of-$traveller-0123456789", 'get after it', $get);
outcome_is($session, '2', 'set after it', "SELECT key_vault.set('$traveller', 'gemini', 'AIza-of-$traveller-9876543210')");
outcome_is($session, "AIza-of-$traveller-9876543210", 'and get of that', $get);

# --- A worker that comes, and a rebalance under sixteen clients

my $third = new_worker('moves_worker_3', conf => "max_connections = 200\n");
add_worker($coordinator, $third);
is(wrong_answers(), 0, 'with a new worker');

# Each transaction sets a user's key and gets another user's; what is not that user's ends the client
my $folder = PostgreSQL::Test::Utils::tempdir;
append_to_file("$folder/script.sql", <<"END");
\\set mine random(1, $users)
\\set other random(1, $users)
SELECT key_vault.set('user_' || :mine, 'gemini', 'AIza-of-user_' || :mine || '-0123456789');
SELECT 1 / coalesce(key_vault.get('user_' || :other, 'gemini') LIKE 'AIza-of-user_' || :other || '-%', false)::int;
END
my $versions = "SELECT sum((SELECT max(version) FROM key_vault.versions('user_' || i, 'gemini'))) FROM generate_series(1, $users) i";
my $before = sql($versions);
my $said = '';
my $clients = IPC::Run::start([ 'pgbench', '-n', '-c', 16, '-j', 2, '-T', $ENV{KV_LONG} ? 40 : 10, '-M', 'prepared', '-f', "$folder/script.sql",
		'-h', $coordinator->host, '-p', $coordinator->port, '-U', 'regress_kv_service', 'postgres' ], '>&', \$said);
sql("SELECT citus_rebalance_start(shard_transfer_mode => 'block_writes')");
sql('SELECT citus_rebalance_wait()');
$clients->finish;
my ($done) = $said =~ /transactions actually processed: (\d+)/;
unlike($said, qr/ERROR|aborted/, 'no client had an error') or diag($said);
cmp_ok($done // 0, '>', 100, 'clients had something to do');
is(sql($versions) - $before, $done, 'no set is lost');
is(wrong_answers(), 0, 'no answer is wrong');
cmp_ok(scalar(users_on($third)), '>', 0, 'the new worker has users');

# --- A worker that is down

my ($away) = users_on($third);
my ($here) = users_on($second);
my $key_here = $session->value("SELECT key_vault.get('$here', 'gemini')");
$third->stop('immediate');
for my $knows ('a session that was connected', 'a new one')
{
	$session = session($coordinator, 'regress_kv_service') if $knows eq 'a new one';
	for my $call ("get('$away', 'gemini')", "require('$away', 'gemini')", "get_all('$away')", "set('$away', 'gemini', 'AIza-of-$away-5555555555')", "delete('$away', 'gemini')", "forget('$away')")
	{
		like($session->outcome("SELECT key_vault.$call"), qr/^(08006|57P01)$/, "$knows: $call fails");
	}
	outcome_is($session, $key_here, "$knows: others are served", "SELECT key_vault.get('$here', 'gemini')");
}
$third->start;
$session = session($coordinator, 'regress_kv_service');
like($session->outcome("SELECT key_vault.get('$away', 'gemini')"), qr/^AIza-of-$away-/, 'and when it is back, all are');
is(wrong_answers(), 0, 'with what they had');

done_testing();
