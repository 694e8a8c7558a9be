# What a tenant of a database that Citus has distributed tries, on the coordinator and on the
# workers themselves: other users' rows stay where they are, and nobody waits.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultAttack qw(heard);
use KeyVaultCitus;
use KeyVaultTest;
use Test::More;

citus_or_skip();

my ($coordinator, $workers) = new_cluster('attacked');
my %node = (coordinator => $coordinator, map { ("worker $_" => $workers->[$_ - 1]) } 1 .. @$workers);

add_role($coordinator, 'regress_kv_tenant', 'user', 'user_a');
add_role($coordinator, 'regress_kv_service', 'service');
$coordinator->safe_psql('postgres', q{
	SELECT key_vault.set(u, 'gemini', 'AIza-of-' || u || repeat('-0123', 5) || '-' || u) FROM unnest('{user_a,user_b}'::text[]) u;
	SELECT key_vault.distribute();
	CREATE TABLE posts (user_id text, title text);
	SELECT create_distributed_table('posts', 'user_id');
	INSERT INTO posts VALUES ('user_a', 'one'), ('user_b', 'two');
	GRANT SELECT ON posts TO PUBLIC});

my $sealed = $coordinator->safe_psql('postgres', q{SELECT encode(sealed, 'hex') FROM key_vault_data.secrets WHERE user_id = 'user_b'});
my ($shard, $port) = split /\|/, $coordinator->safe_psql('postgres', q{
	SELECT shardid, nodeport FROM pg_dist_shard_placement WHERE shardid = get_shard_id_for_distribution_column('key_vault_data.secrets', 'user_b')});
my ($of_b) = grep { $node{$_}->port == $port } keys %node;
my $placement = "key_vault_data.secrets_$shard";

# What of user_b's key or row a text holds.
sub belongs_to_b
{
	my ($text) = @_;
	return $text =~ /(AIza-of-user_b|\Q$sealed\E|er_b"?[,|])/ ? $1 : undef;
}

# Everything that must not change.
sub state_of_b
{
	return join ';', on_each("SELECT md5(string_agg(s::text, ' ' ORDER BY s.version)) FROM $placement s WHERE user_id = 'user_b'", $node{$of_b}),
		on_each(q{SELECT string_agg(p::text, ' ' ORDER BY p.shardid) FROM pg_dist_placement p}, $coordinator);
}

my $read = "SELECT string_agg(s::text, chr(10)) FROM %s s";

# Each: where it is tried ('all' or where user_b's row is), its SQL, and what a superuser gets by it
# in the same place: user_b's row ('shows') or an end without an error ('done').  What has 'nothing'
# there is refused to the tenant, with an error.
my @attacks = (
	# calls, and calls that Citus pushes down
	[ 'all', q{SELECT key_vault.get('user_b', 'gemini')}, 'nothing' ],
	[ 'all', q{SELECT key_vault.get(user_id, 'gemini') FROM posts}, 'nothing' ],
	[ 'all', q{SELECT key_vault.set(user_id, 'gemini', 'AIza-of-the-attacker-0123') FROM posts WHERE user_id = 'user_b'}, 'nothing' ],
	[ 'all', q{SELECT set_config('key_vault.user_id', 'user_b', false); SELECT key_vault.get(NULL, 'gemini')}, 'nothing' ],
	[ 'all', q{SET application_name = 'citus_internal gpid=10000000001'; SELECT key_vault.get('user_b', 'gemini')}, 'nothing' ],
	[ 'all', q{SELECT key_vault.undistribute()}, 'nothing' ],
	[ 'all', q{SELECT * FROM key_vault.rows_in_shards('inventory') AS r (user_id text)}, 'nothing' ],

	# tables and shards by name
	[ 'all', sprintf($read, 'key_vault_data.secrets'), 'shows' ],
	[ 'all', sprintf($read, 'key_vault.secrets'), 'nothing' ],
	[ 'row', sprintf($read, $placement), 'shows' ],
	[ 'row', "SET citus.override_table_visibility = off; SET citus.show_shards_for_app_name_prefixes = '*'; " . sprintf($read, $placement), 'shows' ],
	[ 'row', "SET citus.enable_ddl_propagation = off; SET citus.enable_local_execution = on; " . sprintf($read, $placement), 'shows' ],
	[ 'row', "SET application_name = 'citus_internal gpid=10000000001'; " . sprintf($read, $placement), 'shows' ],
	[ 'row', "COPY $placement TO STDOUT", 'done' ],
	[ 'row', "UPDATE $placement SET hint = hint WHERE user_id = 'user_b'", 'done' ],
	[ 'row', "LOCK TABLE $placement IN ACCESS EXCLUSIVE MODE", 'nothing' ],
	[ 'all', "COPY key_vault_data.secrets TO STDOUT", 'done' ],

	# Citus' own functions
	[ 'all', q{SELECT * FROM run_command_on_workers($$} . sprintf($read, 'key_vault_data.secrets') . q{$$)}, 'shows' ],
	[ 'all', q{SELECT * FROM run_command_on_all_nodes($$} . sprintf($read, 'key_vault_data.secrets') . q{$$)}, 'shows' ],
	[ 'all', q{SELECT * FROM run_command_on_coordinator($$SELECT key_vault.get('user_b', 'gemini')$$)}, 'shows' ],
	[ 'all', q{SELECT * FROM run_command_on_shards('key_vault_data.secrets', $$} . sprintf($read, '%s') . q{$$)}, 'shows' ],
	[ 'all', q{SELECT * FROM run_command_on_placements('key_vault_data.secrets', $$} . sprintf($read, '%s') . q{$$)}, 'shows' ],
	[ 'all', q{SELECT * FROM master_get_table_ddl_events('key_vault_data.secrets')}, 'done' ],
	[ 'all', q{SELECT * FROM read_intermediate_result('secrets', 'text') AS r (a text)}, 'done' ],
	[ 'row', "SELECT * FROM worker_save_query_explain_analyze('" . sprintf($read, $placement) . q{', '{"verbose": true, "analyze": true}') AS r (a text)}, 'shows' ],
	[ 'row', "SELECT worker_apply_shard_ddl_command($shard, 'key_vault_data', 'ALTER TABLE key_vault_data.secrets DISABLE ROW LEVEL SECURITY')", 'nothing' ],
	[ 'row', "SELECT worker_copy_table_to_node('$placement', 2)", 'nothing' ],
	[ 'all', "SELECT citus_move_shard_placement($shard, '127.0.0.1', 1, '127.0.0.1', 2)", 'nothing' ],
	[ 'all', q{SELECT undistribute_table('key_vault_data.secrets')}, 'nothing' ],
	[ 'all', q{SELECT isolate_tenant_to_new_shard('key_vault_data.secrets', 'user_b')}, 'nothing' ],
	[ 'all', q{SELECT alter_distributed_table('key_vault_data.secrets', shard_count := 4)}, 'nothing' ],
	[ 'all', "SELECT citus_internal_delete_shard_metadata($shard)", 'nothing' ],
	[ 'all', "SELECT citus_internal_update_placement_metadata($shard, 1, 2)", 'nothing' ],
	[ 'all', q{SELECT citus_internal.execute_command_on_remote_nodes_as_user('SELECT 1', 'postgres')}, 'nothing' ],
	[ 'all', q{SELECT citus_remove_node('127.0.0.1', nodeport) FROM pg_dist_node}, 'nothing' ],
	[ 'all', q{SELECT citus_disable_node('127.0.0.1', nodeport) FROM pg_dist_node}, 'nothing' ],
	[ 'all', q{SELECT create_distributed_function('key_vault.get(text, text, text)')}, 'nothing' ],
	[ 'all', q{SELECT t::text FROM citus_stat_tenants t}, 'done' ],
	[ 'all', q{SELECT a::text FROM citus_stat_activity a}, 'done' ],
	[ 'all', "SELECT lock_shard_resources(7, ARRAY[$shard]::bigint[])", 'nothing' ],
	[ 'all', "SELECT lock_shard_metadata(7, ARRAY[$shard]::bigint[])", 'nothing' ],
	[ 'all', q{SELECT lock_relation_if_exists('key_vault_data.secrets', 'ACCESS EXCLUSIVE')}, 'nothing' ],
);

my $before = state_of_b();
my $service = session($coordinator, 'regress_kv_service', options => '-c statement_timeout=5s');
for my $attack (@attacks)
{
	my ($where, $sql, $control) = @$attack;
	for my $place ($where eq 'row' ? $of_b : sort keys %node)
	{
		my $name = "$place: $sql";
		if ($control ne 'nothing')
		{
			my $super = session($node{$place});
			$super->simple('BEGIN');
			my @came = ($super->simple($sql));
			if ($control eq 'shows') { ok(defined belongs_to_b(heard(@came)), "a superuser, $name") or diag(heard(@came)); }
			else { ok(!$came[-1]{error}, "a superuser, $name") or diag(heard(@came)); }
			$super->close;
		}
		my $tenant = session($node{$place}, 'regress_kv_tenant');
		$tenant->simple('BEGIN');
		my $came = $tenant->simple($sql);
		my $heard = heard($came);
		is(belongs_to_b($heard), undef, $name) or diag($heard);
		ok($came->{error}, 'is refused') or diag($heard) if $control eq 'nothing';
		# its transaction is open: whatever it holds
		is($service->value(q{SELECT length(key_vault.get('user_b', 'gemini'))}), 46, 'nobody waits for it') if $sql =~ /lock/i;
		ok($service->value(q{SELECT key_vault.set('user_c', 'gemini', 'AIza-of-user_c-0123456789')}), 'nor does a set') if $sql =~ /lock/i;
		$tenant->simple('COMMIT');
		$tenant->close;
	}
}
is(state_of_b(), $before, "user_b's row and the shards are as they were");

# For comparison: what is theirs
is(session($coordinator, 'regress_kv_tenant')->value(q{SELECT key_vault.get(NULL, 'gemini')}), 'AIza-of-user_a' . '-0123' x 5 . '-user_a', 'the tenant has their own');

done_testing();
