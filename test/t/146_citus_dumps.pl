# From a coordinator into a database without Citus, by dump, and from there into another
# coordinator, which distributes again; what a caller has set of Citus stays so.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultCitus;
use KeyVaultTest;
use PostgreSQL::Test::Utils;
use Test::More;

citus_or_skip();

my ($coordinator, $workers) = new_cluster('dumped');
my $folder = PostgreSQL::Test::Utils::tempdir;
my $root_key = $coordinator->safe_psql('postgres', 'SELECT id FROM key_vault.root_keys');

add_role($coordinator, 'regress_kv_service', 'service');
$coordinator->safe_psql('postgres', $_) for q{SELECT key_vault.set('user_' || i, 'exa', 'exa-0123456789-of-' || i, attributes => jsonb_build_object('number', i)) FROM generate_series(1, 30) i},
	q{SELECT key_vault.set('user_1', 'exa', 'exa-0123456789-newer', expires_at => clock_timestamp() + '1 day')}, q{SELECT key_vault.record_usage('user_1', 'exa', 3, 5, 0.5)},
	q{SELECT key_vault.record_outcome('user_2', 'exa', 'quota')}, q{SELECT key_vault.add_provider('acme', key_prefixes => '{acme-}')};

# Everything that a dump is to bring, and whether keys open.
my $of_all = q{SELECT (SELECT md5(string_agg(s::text, '|' ORDER BY user_id, provider, label, version)) FROM key_vault_data.secrets s), (SELECT string_agg(u::text, '|') FROM key_vault_data.usage u),
	(SELECT string_agg(o::text, '|') FROM key_vault_data.outcomes o), (SELECT string_agg(id || state || secrets, '|') FROM key_vault.root_keys), (SELECT count(*) FROM key_vault.providers WHERE name = 'acme'),
	(SELECT string_agg(user_id || key_vault.get(user_id, 'exa'), '|' ORDER BY user_id) FROM key_vault.inventory WHERE is_current), (SELECT l.attributes FROM key_vault.lookup('user_7', 'exa') l)};
my $whole = $coordinator->safe_psql('postgres', $of_all);

# What is asked of a distributed one cannot be one statement
sub all_of
{
	my ($node, $dbname) = @_;
	my ($shape) = $of_all =~ /^SELECT (.*)/s;
	return join '|', map { $node->safe_psql($dbname, "SELECT $_") } split /,\s+(?=\(SELECT)/, $shape;
}
is(all_of($coordinator, 'postgres'), $whole, 'the same in parts');

# --- Settings of the caller

for my $before (qw(on off))
{
	for my $call (qw(distribute undistribute distribute))
	{
		is($coordinator->safe_psql('postgres', "BEGIN; SET LOCAL citus.enable_ddl_propagation = $before; SELECT key_vault.$call(); SHOW citus.enable_ddl_propagation; COMMIT; SHOW citus.enable_ddl_propagation"),
			"\n$before\non", "$call() leaves the propagation of DDL $before");
	}
}
is(all_of($coordinator, 'postgres'), $whole, 'distributed, everything is there');
is(join(',', on_each(q{SELECT count(*) FROM pg_dist_partition WHERE logicalrelid::text LIKE 'key_vault%'}, @$workers)), '2,2', 'and workers know of it');

# --- Into a database without Citus

my @what = qw(--extension=key_vault --schema=key_vault --schema=key_vault_data);
command_ok([ 'pg_dump', @what, '-Fc', '-f', "$folder/of_coordinator", '-d', $coordinator->connstr('postgres') ], 'a dump of the coordinator');
my $plain = bare_server('plain', conf => "shared_preload_libraries = 'key_vault'\n");
append_to_file(keyring_path($plain), slurp_file(keyring_path($coordinator)));
chmod 0600, keyring_path($plain);
$plain->safe_psql('postgres', $_) for 'CREATE DATABASE app', 'CREATE ROLE regress_kv_service LOGIN';
command_ok([ 'pg_restore', '-e', '-d', $plain->connstr('app'), "$folder/of_coordinator" ], 'restores where there is no Citus');
is($plain->safe_psql('app', $of_all), $whole, 'with everything, and keys open');
is($plain->safe_psql('app', 'SELECT count(*) FROM key_vault.secrets'), 31, 'the views are those of one machine');
is($plain->safe_psql('app', q{SELECT key_vault.set('user_31', 'exa', 'exa-0123456789-of-31')}), 1, 'it is written to');
is($plain->safe_psql('app', q{SELECT key_vault.forget('user_31')}), 1, 'and from');

# --- And from there into a coordinator

command_ok([ 'pg_dump', @what, '-Fc', '-f', "$folder/of_plain", '-d', $plain->connstr('app') ], 'a dump of that');
my ($other, $others) = new_cluster('restored');
$other->safe_psql('postgres', $_) for 'DROP EXTENSION key_vault CASCADE', 'CREATE ROLE regress_kv_service LOGIN';
unlink keyring_path($other);
append_to_file(keyring_path($other), slurp_file(keyring_path($coordinator)));
chmod 0600, keyring_path($other);
command_ok([ 'pg_restore', '-e', '-d', $other->connstr('postgres'), "$folder/of_plain" ], 'restores into a coordinator');
is($other->safe_psql('postgres', $of_all), $whole, 'undistributed, everything is there');
is(join(',', on_each(q{SELECT count(*) FROM pg_extension WHERE extname = 'key_vault'}, @$others)), '1,1', 'Citus has made the extension on its workers');
$other->safe_psql('postgres', 'SELECT key_vault.distribute()');
is(all_of($other, 'postgres'), $whole, 'distributed, too');
is($other->safe_psql('postgres', q{SELECT count(*) FROM pg_dist_partition WHERE logicalrelid::text LIKE 'key_vault%'}), 2, 'over its shards');

# --- A dump of the coordinator into a coordinator

$other->safe_psql('postgres', 'SELECT key_vault.undistribute()');
is(all_of($other, 'postgres'), $whole, 'undistributed again');
$other->safe_psql('postgres', 'DROP EXTENSION key_vault CASCADE');
command_ok([ 'pg_restore', '-e', '-d', $other->connstr('postgres'), "$folder/of_coordinator" ], 'what was dumped distributed restores into another coordinator');
is($other->safe_psql('postgres', $of_all), $whole, 'with everything');
$other->safe_psql('postgres', 'SELECT key_vault.distribute()');
is(all_of($other, 'postgres'), $whole, 'which distributes it');

done_testing();
