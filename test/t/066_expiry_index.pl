# The index on expiry holds what expires and nothing else, whatever is done to it and to the
# table while sessions set keys that expire and keys that do not; and comes back with a dump.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use IO::Select;
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rounds = $ENV{KV_LONG} ? 20 : 2;
my $node = new_vault('expiry_index', conf => "key_vault.purge_after = 0\n");
$node->safe_psql('postgres', q{CREATE EXTENSION amcheck;
	SELECT count(key_vault.set('user_' || n, 'exa', 'exa-key-of-user-' || n, expires_at => CASE WHEN n % 2 = 0 THEN now() + interval '1 hour' END))
	FROM generate_series(1, 500) n});
my $super = session($node);
my $admin = session($node);

# Each takes users of its own, and some in turn: a key that expires over one that does not, and so on
my @writers = map { [ session($node), $_, 0 ] } 0 .. 1;

sub next_set
{
	my ($writer) = @_;
	my ($session, $number, $count) = @$writer;
	my $n = 1 + ($count * 7 + $number) % 500;
	my $expires = ($count + $number) % 3 == 0 ? q{now() + interval '1 hour'} : 'NULL';
	$writer->[2]++;
	$session->send("SELECT key_vault.set('user_$n', 'exa', 'exa-key-of-user-$n', expires_at => $expires)");
	return;
}

# Runs a statement while the writers write; what went wrong.
sub write_during
{
	my ($statement) = @_;
	my @wrong;
	my $select = IO::Select->new($super->socket, map { $_->[0]->socket } @writers);
	my ($finished, $written, %busy) = (0, 0, map { $_->[0] => 1 } @writers);
	next_set($_) for @writers;
	$super->send($statement);
	until ($finished && !grep { $_ } values %busy)
	{
		$select->can_read(60) or die "nothing comes any more during $statement";
		if (!$finished && (my $result = $super->ready))
		{
			push @wrong, "the statement: $result->{error}{message}" if $result->{error};
			$finished = 1;
		}
		for my $writer (grep { $busy{ $_->[0] } } @writers)
		{
			my $result = $writer->[0]->ready or next;
			$written++;
			push @wrong, $result->{error}{message} if $result->{error};
			$busy{ $writer->[0] } = !$finished;
			next_set($writer) if !$finished;
		}
	}
	return ($written, @wrong);
}

# Every row that should be in an index is, and no row more often or in another place.
sub indexes_hold
{
	my ($name, $session) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$session //= $admin;
	outcome_is($session, '', "$name: the primary key", q{SELECT bt_index_parent_check('key_vault_data.secrets_pkey', true, true)});
	outcome_is($session, '', "$name: the index on expiry", q{SELECT bt_index_parent_check('key_vault_data.secrets_expiry', true, true)});
	$session->run('BEGIN', 'SET LOCAL enable_seqscan = off');
	my $by_index = $session->value('SELECT count(*) FROM key_vault_data.secrets WHERE expires_at IS NOT NULL');
	$session->run('SET LOCAL enable_seqscan = on', 'SET LOCAL enable_indexscan = off', 'SET LOCAL enable_indexonlyscan = off', 'SET LOCAL enable_bitmapscan = off');
	is($by_index, $session->value('SELECT count(*) FROM key_vault_data.secrets WHERE expires_at IS NOT NULL'), "$name: as many by index as without");
	$session->run('COMMIT');
	for my $extra ($session->value(q{SELECT to_regclass('key_vault_data.extra')}) // ())
	{
		outcome_is($session, '', "$name: another index", 'SELECT bt_index_parent_check($1, true, true)', $extra);
	}
	return;
}

for my $statement ('REINDEX INDEX CONCURRENTLY key_vault_data.secrets_expiry', 'REINDEX TABLE CONCURRENTLY key_vault_data.secrets',
	'REINDEX INDEX CONCURRENTLY key_vault_data.secrets_pkey', 'REINDEX TABLE key_vault_data.secrets', 'VACUUM FULL key_vault_data.secrets',
	'CLUSTER key_vault_data.secrets USING secrets_pkey', 'CREATE INDEX CONCURRENTLY extra ON key_vault_data.secrets (expires_at)',
	'ANALYZE key_vault_data.secrets', 'DROP INDEX CONCURRENTLY key_vault_data.extra', 'SELECT key_vault.activate_root_key(key_vault.create_root_key())',
	'CALL key_vault.rotate_root_key(50)', 'VACUUM key_vault_data.secrets')
{
	my ($written, @wrong);
	for (1 .. ($statement =~ /^(REINDEX|VACUUM|CLUSTER)/ ? $rounds : 1))
	{
		my ($count, @errors) = write_during($statement);
		$written += $count;
		push @wrong, @errors;
	}
	is_deeply(\@wrong, [], "sets during: $statement");
	indexes_hold("after $statement");
}

# By the planner's way, too: an auditor hooks in, or a trigger is there
$super->run(q{CREATE TRIGGER extra BEFORE INSERT ON key_vault_data.secrets FOR EACH ROW WHEN (NEW.version < 0) EXECUTE FUNCTION suppress_redundant_updates_trigger()});
is_deeply([ (write_during('SELECT pg_sleep(0.2)'))[ 1 .. 100 ] ], [ (undef) x 100 ], 'sets by the planner\'s way');
indexes_hold('the planner\'s way');
$super->run('DROP TRIGGER extra ON key_vault_data.secrets');

# A purge takes what expired, and no more
$super->run(q{SELECT key_vault.set('user_' || n, 'serper', 'serper-key-of-user-' || n, expires_at => clock_timestamp() + interval '300 ms') FROM generate_series(1, 50) n});
$super->run('SELECT pg_sleep(0.4)');
my $current = q{SELECT count(*) FROM key_vault.inventory WHERE is_current};
my $before = $super->value($current);
is_deeply([ (write_during('CALL key_vault.purge(20)'))[ 1 .. 100 ] ], [ (undef) x 100 ], 'sets during a purge');
is($super->value($current), $before - 50, 'which removes 50 secrets of 50 users');
indexes_hold('after the purge');

# --- A dump

my $file = PostgreSQL::Test::Utils::tempdir . '/dump';
my $expiring = q{SELECT string_agg(concat_ws(' ', user_id, provider, label, version, expires_at), ',') FROM key_vault.expiring('1 day')};
my $all = $super->value($expiring);
like($all, qr/^user_.*user_/, 'some expire');
command_ok([ 'pg_dump', '-Fc', '-f', $file, $node->connstr('postgres') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('restored'), $file ], 'pg_restore');
my $restored = session($node, undef, dbname => 'restored');
is($restored->value($expiring), $all, 'what expires, in the restored database');
indexes_hold('restored', $restored);
$restored->run('SELECT pg_stat_force_next_flush()', 'BEGIN');
$restored->value($expiring);
is($restored->value(q{SELECT seq_scan FROM pg_stat_xact_all_tables WHERE relid = 'key_vault_data.secrets'::regclass}), '0', 'found without reading the table');
$restored->run('COMMIT');

# The plans: by the index, and run as they are
$restored->run(q{LOAD 'auto_explain'}, q{SET auto_explain.log_level = 'notice'}, 'SET auto_explain.log_min_duration = 0',
	'SET auto_explain.log_nested_statements = on', 'SET auto_explain.log_analyze = on', 'SET client_min_messages = notice',
	'SET jit = on', 'SET jit_above_cost = 0');
for my $statement ($expiring, 'CALL key_vault.purge()')
{
	for my $cache ('force_custom_plan', 'force_generic_plan')
	{
		$restored->run("SET plan_cache_mode = $cache", 'DISCARD PLANS');
		my @plans = grep { /secrets_expiry|Scan.* on secrets s/ } map { $_->{message} } @{ $restored->query($statement)->{notices} };
		(my $name = $statement) =~ s/.*(purge|expiring).*/$1, $cache/;
		cmp_ok(scalar @plans, '>', 0, "$name: a plan");
		like(join("\n", @plans), qr/Index .*Scan using secrets_expiry/, "$name: by the index");
		unlike(join("\n", @plans), qr/Seq Scan|Sort|JIT/, "$name: no more than that");
	}
}

done_testing();
