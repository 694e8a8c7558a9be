# A rotation of distributed keys writes each row what was sealed for it and no other, finds
# each shard, asks the policies, and goes on after a worker or the coordinator was killed.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultCitus;
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use Test::More;
use Time::HiRes qw(sleep);

citus_or_skip();

my ($coordinator, $workers) = new_cluster('rotation', conf => "restart_after_crash = on\n");
my $users = 1200;

sub sql { return $coordinator->safe_psql('postgres', @_); }

# Keys of many lengths, one in three with a version before it, one in five with more that is bound to it
sql("SELECT count(key_vault.set('user_' || i, 'exa', 'exa-first-of-user-' || i)) FROM generate_series(3, $users, 3) i");
sql("SELECT count(key_vault.set('user_' || i, 'exa', 'exa-key-of-user-' || i || repeat('x', i % 90), expires_at => CASE WHEN i % 5 = 0 THEN now() + '1 day' END,
	attributes => CASE WHEN i % 5 = 1 THEN jsonb_build_object('region', 'of user ' || i) END)) FROM generate_series(1, $users) i");
sql("SELECT count(key_vault.set('heavy', 'exa', 'exa-heavy-key-no-' || i, 'label_' || i)) FROM generate_series(1, 100) i");
sql('SELECT key_vault.distribute()');

sub activate_new_root_key { return sql('SELECT key_vault.activate_root_key(key_vault.create_root_key())'); }

sub everything_reads
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(sql("SELECT count(*) FILTER (WHERE key_vault.get('user_' || i, 'exa') = 'exa-key-of-user-' || i || repeat('x', i % 90)) FROM generate_series(1, $users) i"), $users, "$name: each user has the own key");
	is(sql("SELECT count(*) FILTER (WHERE key_vault.get('heavy', 'exa', 'label_' || i) = 'exa-heavy-key-no-' || i) FROM generate_series(1, 100) i"), 100, "$name: a user with many, too");
	return;
}

sub left { return sql("SELECT count(*) FROM key_vault_data.secrets WHERE root_key_id <> (SELECT id FROM key_vault.root_keys WHERE state = 'active')"); }

everything_reads('before');
for my $size (1000, 7, 1)
{
	activate_new_root_key();
	sql("CALL key_vault.rotate_root_key($size)");
	is(left(), 0, "$size a batch: none is left");
	everything_reads("$size a batch");
	last if $size == 7 && !$ENV{KV_LONG};
}
is(sql("SELECT count(*) FROM generate_series(3, $users, 3) i, key_vault.versions('user_' || i, 'exa')"), 2 * int($users / 3), 'older versions are there');
sql("SELECT key_vault.rollback('user_3', 'exa', 1)");
is(sql("SELECT key_vault.get('user_3', 'exa')"), 'exa-first-of-user-3', 'and open');
sql("SELECT key_vault.set('user_3', 'exa', 'exa-key-of-user-3xxx')");
is(sql("SELECT count(*) FROM generate_series(1, $users) i, key_vault.lookup('user_' || i, 'exa') l WHERE l.attributes = jsonb_build_object('region', 'of user ' || i)"), int(($users + 4) / 5), 'with what is bound to them');

# --- Shards of other sizes: of one hash, and without rows

activate_new_root_key();
sql("SELECT isolate_tenant_to_new_shard('key_vault_data.secrets', 'user_77', 'CASCADE', shard_transfer_mode => 'block_writes')");
sql('CALL key_vault.rotate_root_key(50)');
is(left(), 0, 'a shard of one hash is found');
everything_reads('isolated');

# --- What policies say

activate_new_root_key();
sql("CREATE POLICY stricter ON key_vault_data.secrets AS RESTRICTIVE FOR UPDATE USING (user_id <> 'user_8')");
like(scalar(session($coordinator)->outcome('CALL key_vault.rotate_root_key(5000)')), qr/^42501$/, 'a policy that refuses a row');
is(left(), sql('SELECT count(*) FROM key_vault_data.secrets'), 'and the batch is as it was');
sql('DROP POLICY stricter ON key_vault_data.secrets');

# --- Killed in the middle

# A backend that outlives its postmaster for a moment keeps the server from starting.
sub start_again
{
	my ($node) = @_;
	for (1 .. 600)
	{
		return if $node->start(fail_ok => 1);
		$node->{_pid} = undef;
		sleep 0.05;
	}
	BAIL_OUT('the server does not start');
}

for my $node (@$workers, $coordinator)
{
	my $name = $node->name;
	my $watcher = session($coordinator);
	my $rotating = session($coordinator);

	activate_new_root_key();

	$rotating->send('CALL key_vault.rotate_root_key(4)');
	for (1 .. 1000)
	{
		last if ($watcher->query('SELECT done FROM key_vault.rotation_progress WHERE state = $1', 'running')->{rows}[0][0] // 0) >= 100;
		sleep 0.005;
	}
	$node->kill9;
	kill 'KILL', $rotating->pid if $node == $coordinator;
	my $result = eval { $rotating->receive };
	like($result->{error}{state} // 'lost', qr/^(08006|57P01|57P02|lost)$/, "$name: the rotation ends");
	start_again($node);
	sql('SELECT recover_prepared_transactions()');
	cmp_ok(left(), '>', 0, "$name: some are left");
	everything_reads("$name was killed");
	sql('CALL key_vault.rotate_root_key(500)');
	is(left(), 0, "$name: the next rotation does the rest");
	everything_reads("$name: rotated");
}

# --- A worker that is down

activate_new_root_key();
$workers->[1]->stop('immediate');
like(scalar(session($coordinator)->outcome('CALL key_vault.rotate_root_key()')), qr/^08006$/, 'a worker that is down');
$workers->[1]->start;
sql('CALL key_vault.rotate_root_key()');
is(left(), 0, 'and when it is back, all are re-sealed');
everything_reads('in the end');

done_testing();
