# API keys that Citus has distributed over two workers: the functions and the levels, what is
# refused and how, and the way back.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use IPC::Run;
use KeyVaultCitus;
use KeyVaultDocs;
use KeyVaultTest;
use PostgreSQL::Test::Utils;
use Test::More;

citus_or_skip();

my ($coordinator, $workers) = new_cluster('citus', conf => "key_vault.purge_after = 0\n");
my @workers = @$workers;

sub sql { return $coordinator->safe_psql('postgres', @_); }

# Error of a statement: its SQLSTATE, message, detail and hint.
sub error_of
{
	my ($node, $statement) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$statement", on_error_stop => 1);
	return $rc == 0 ? "none, but: $out" : $err;
}

# What a role gets of several statements in one session.
sub as_role
{
	my ($role, @statements) = @_;
	return sql(join ';', "SET SESSION AUTHORIZATION $role", @statements);
}

# --- What distribute() asks for

my $tenants = 'FROM generate_series(1, 40) i';
sql("CREATE ROLE before_service LOGIN; SELECT key_vault.grant_access('before_service', 'service')");
sql("SELECT key_vault.set('user_' || i, 'exa', 'exa-0123456789-' || i) $tenants");
sql("SELECT key_vault.record_usage('user_1', 'exa', 2, 10, 0.5)");
my $views = "SELECT string_agg(pg_get_viewdef(oid) || coalesce(reloptions::text, ''), '' ORDER BY relname) FROM pg_class
	WHERE relkind = 'v' AND relnamespace = 'key_vault'::regnamespace";
my $views_before = sql($views);
my $rows_before = sql("SELECT md5(string_agg(s::text, '|' ORDER BY user_id, provider, version)) FROM key_vault_data.secrets s");

like(error_of($coordinator, "SET SESSION AUTHORIZATION before_service; SELECT key_vault.distribute()"), qr/42501/, 'a service cannot distribute');
sql('CREATE ROLE admin LOGIN; GRANT USAGE ON SCHEMA key_vault TO admin; GRANT EXECUTE ON FUNCTION key_vault.distribute, key_vault.undistribute, key_vault.check_cluster TO admin');
like(error_of($coordinator, "SET SESSION AUTHORIZATION admin; SELECT key_vault.distribute()"), qr/42501.*superusers/, 'nor who may merely call it');
sql('REVOKE ALL ON FUNCTION key_vault.distribute, key_vault.undistribute, key_vault.check_cluster FROM admin; REVOKE USAGE ON SCHEMA key_vault FROM admin');
like(error_of($workers[0], 'SELECT key_vault.distribute()'), qr/55000: this node is a worker/, 'it is for the coordinator');

my $port = $workers[1]->port;
$workers[1]->safe_psql('postgres', 'SET citus.enable_ddl_propagation = off; DROP EXTENSION key_vault');
like(error_of($coordinator, 'SELECT key_vault.distribute()'), qr/55000: worker 127.0.0.1:$port does not have the extension key_vault/, 'a worker without the extension is named');
$workers[1]->safe_psql('postgres', 'SET citus.enable_ddl_propagation = off; CREATE EXTENSION key_vault');
$workers[1]->stop;
like(error_of($coordinator, 'SELECT key_vault.distribute()'), qr/55000: worker 127.0.0.1:$port cannot be asked/, 'and one that is down');
$workers[1]->start;
$workers[1]->safe_psql('postgres', "INSERT INTO key_vault_data.usage VALUES ('user_1', 'exa', '2026-01-01', 'user', 1, 1, 1)");
like(error_of($coordinator, 'SELECT key_vault.distribute()'), qr/55000: worker 127.0.0.1:$port has API keys or usage of its own/, 'and one with rows of its own');
$workers[1]->safe_psql('postgres', 'DELETE FROM key_vault_data.usage');

sql('SELECT key_vault.distribute()');
sql('SELECT key_vault.distribute()');
is(sql('SELECT count(*) FROM pg_dist_partition'), 2, 'it is done, and again');
is(sql("SELECT pg_relation_size('key_vault_data.secrets') + pg_relation_size('key_vault_data.usage')"), 0, 'nothing is left on the coordinator');
is(sql("SELECT md5(string_agg(s::text, '|' ORDER BY user_id, provider, version)) FROM key_vault_data.secrets s"), $rows_before, 'and nothing is lost');

# --- The functions

sql("CREATE ROLE after_user LOGIN; SELECT key_vault.grant_access('after_user', 'user'); ALTER ROLE after_user SET key_vault.user_id = 'user_2'");
sql("SELECT key_vault.grant_access('admin', 'admin'); CREATE ROLE monitor LOGIN; SELECT key_vault.grant_access('monitor', 'monitor')");
is(sql('SELECT count(*) FROM key_vault.access WHERE complete'), 4, 'levels of before and after are whole');

my @service = ('before_service');
is(as_role(@service, "SELECT key_vault.get('user_1', 'exa')"), 'exa-0123456789-1', 'get');
is(as_role(@service, "SELECT key_vault.set('user_1', 'exa', 'exa-0123456789-new')"), 2, 'set');
is(as_role(@service, "SELECT key_vault.require('user_1', 'exa')"), 'exa-0123456789-new', 'require');
is(as_role(@service, "SELECT api_key, source, version FROM key_vault.lookup('user_1', 'exa')"), 'exa-0123456789-new|user|2', 'lookup');
is(as_role(@service, "SELECT key_vault.set('user_1', 'gemini', 'AIza-0123456789-g', attributes => '{\"a\": 1}')"), 1, 'set of another');
is(as_role(@service, "SELECT key_vault.get_all('user_1')"), '{"exa": "exa-0123456789-new", "gemini": "AIza-0123456789-g"}', 'get_all');
is(as_role(@service, "SELECT provider, version, attributes FROM key_vault.list('user_1')"), "exa|2|\ngemini|1|{\"a\": 1}", 'list');
is(as_role(@service, "SELECT version, is_current FROM key_vault.versions('user_1', 'exa')"), "2|t\n1|f", 'versions');
is(as_role(@service, "SELECT key_vault.rollback('user_1', 'exa', 1)", "SELECT key_vault.get('user_1', 'exa')"), "3\nexa-0123456789-1", 'rollback');
is(as_role(@service, "SELECT count(*) FROM key_vault.versions('user_1', 'exa')"), 3, 'all versions');
is(as_role(@service, "SELECT key_vault.delete('user_1', 'gemini'), key_vault.delete('user_1', 'gemini')"), 't|f', 'delete');
is(as_role(@service, "SELECT configured, source, hint FROM key_vault.onboarding('user_1') WHERE provider = 'exa'"), 't|user|89-1', 'onboarding');
is(as_role(@service, "SELECT key_vault.record_outcome('user_1', 'exa', 'quota')", "SELECT last_outcome FROM key_vault.lookup('user_1', 'exa')"), "t\nquota", 'record_outcome');
like(error_of($coordinator, "SELECT key_vault.set('user_1', 'exa', 'exa-0123456789-x', if_version => 1)"), qr/55000/, 'check-and-set');
is(as_role(@service, "SELECT key_vault.import_dotenv('user_3', 'EXA_API_KEY=exa-0123456789-e')"), '(exa,EXA_API_KEY,2)', 'import_dotenv');
is(as_role(@service, "SELECT imported, failed FROM key_vault.import_keys('VALUES (''user_4'', ''exa'', ''exa-0123456789-i''), (''user_41'', ''exa'', ''exa-0123456789-j'')')"), '1|0', 'import_keys');
is(as_role(@service, "SELECT key_vault.record_usage('user_1', 'exa', 1, 5, 0.25)", 'BEGIN', "SET LOCAL key_vault.user_id = 'user_1'", 'SELECT requests, tokens, cost FROM key_vault.monthly_costs', 'COMMIT'), "\n3|15|0.75", 'record_usage and monthly_costs');
is(as_role(@service, "SELECT key_vault.set('user_40', 'openai', 'sk-0123456789-f')", "SELECT key_vault.forget('user_40')"), "1\n2", 'forget');
is(as_role(@service, "BEGIN; SELECT key_vault.set('user_1', 'exa', 'exa-0123456789-undone'); ROLLBACK", "SELECT key_vault.get('user_1', 'exa')"), "4\nexa-0123456789-1", 'a set that is rolled back');

# --- The identity

is(as_role(@service, 'BEGIN', "SET LOCAL key_vault.user_id = 'user_5'", "SELECT key_vault.get(NULL, 'exa')"), 'exa-0123456789-5', 'SET LOCAL');
is(as_role(@service, 'BEGIN', "SELECT set_config('key_vault.user_id', 'user_6', true)", "SELECT key_vault.get(NULL, 'exa')"), "user_6\nexa-0123456789-6", 'set_config()');
like(error_of($coordinator, "SET SESSION AUTHORIZATION before_service; BEGIN; SET LOCAL key_vault.user_id = 'user_5'; SELECT key_vault.get('user_6', 'exa')"), qr/42501/, 'another user is refused');
my $tenant = session($coordinator, 'after_user');
is($tenant->value("SELECT key_vault.get(NULL, 'exa')"), 'exa-0123456789-2', 'a tenant');
is($tenant->value('SELECT session_id FROM key_vault.api_keys'), 'user_2', 'sees their own rows of api_keys');
is($tenant->value('SELECT id || $$|$$ || progress FROM key_vault.onboarding_sessions'), 'user_2|33.3', 'and of onboarding_sessions');
is($tenant->value('SELECT count(*) FROM key_vault.monthly_costs'), 0, 'and of monthly_costs');
for my $refused ("key_vault.get('user_1', 'exa')", "count(*) FROM key_vault.list('user_1')", "key_vault.set('user_1', 'exa', 'exa-0123456789-t')", "key_vault.forget('user_1')",
	'count(*) FROM key_vault_data.secrets', "count(*) FROM key_vault.rows_in_shards('inventory') AS r (user_id text)")
{
	like(error_of($coordinator, "SET SESSION AUTHORIZATION after_user; SET ROLE after_user; SELECT $refused"), qr/42501|22004/, "not $refused");
}
like(error_of($coordinator, "SELECT count(*) FROM key_vault.rows_in_shards('inventory') AS r (user_id int)"), qr/22023/, 'no other columns than the view has');

# --- Admins and monitors

is(as_role('admin', 'SELECT count(*), count(DISTINCT user_id) FROM key_vault.inventory'), '43|40', 'inventory');
is(as_role('admin', 'SELECT count(*) FROM key_vault.api_keys'), 40, 'api_keys');
is(as_role('admin', 'SELECT count(*) FROM key_vault.onboarding_sessions'), 40, 'onboarding_sessions');
is(as_role('admin', 'SELECT user_id, requests FROM key_vault.monthly_costs'), 'user_1|3', 'monthly_costs');
is(as_role('monitor', 'SELECT state, secrets FROM key_vault.root_keys'), 'active|43', 'root_keys');
is(as_role('monitor', "SELECT string_agg(item, ',') FROM key_vault.status() WHERE state = 'error'"), '', 'status');
is(as_role('admin', 'SELECT count(*) FROM key_vault.verify_secrets()'), 0, 'verify_secrets');
like(error_of($coordinator, "SELECT key_vault.remove_provider('exa')"), qr/has stored keys/, 'remove_provider counts them');
sql("SELECT key_vault.set('brief_' || i, 'exa', 'exa-0123456789-b', expires_at => clock_timestamp() + '1 hour') FROM generate_series(1, 9) i");
is(as_role('monitor', "SELECT count(*) FROM key_vault.expiring('2 hours')"), 9, 'expiring');
is(as_role('monitor', "SELECT count(*) FROM key_vault.expiring('1 minute')"), 0, 'and nothing else');

my $old = sql("SELECT id FROM key_vault.root_keys");
my $new = sql("SELECT key_vault.create_root_key()");
sql("SELECT key_vault.activate_root_key('$new')");
my $holder = session($coordinator);
$holder->run("BEGIN; SELECT FROM key_vault_data.secrets WHERE user_id = 'user_7' FOR UPDATE");
my ($rc, $out, $told) = $coordinator->psql('postgres', 'CALL key_vault.rotate_root_key(7)');
like($told, qr/1 secrets are still to be re-sealed/, 'a rotation does not wait for a row');
$holder->run('ROLLBACK');
like(error_of($coordinator, "SELECT key_vault.retire_root_key('$old')"), qr/55000/, 'the old root key is not done with');
sql('CALL key_vault.rotate_root_key(7)');
is(sql('SELECT string_agg(state || secrets, \' \' ORDER BY state) FROM key_vault.root_keys'), 'active52 standby0', 'the next one ends it');
sql("SELECT key_vault.retire_root_key('$old')");
is(as_role(@service, "SELECT key_vault.get('user_7', 'exa')"), 'exa-0123456789-7', 'and the secret opens');

sql("SELECT key_vault.set('brief_' || i, 'exa', 'exa-0123456789-c', expires_at => clock_timestamp() + '300 ms') FROM generate_series(1, 9) i; SELECT pg_sleep(0.4)");
sql("SELECT key_vault.record_outcome('user_1', 'exa', 'quota')");
sql("INSERT INTO key_vault_data.outcomes SELECT 'brief_' || i, 'exa', 'default', 'brief', 1, now(), 'quota', now() FROM generate_series(1, 9) i");
sql('CALL key_vault.purge(2)');
is(sql('SELECT string_agg(user_id, \',\') FROM key_vault_data.outcomes'), 'user_1', 'purge, of outcomes too');
is(sql("SELECT count(*) FROM key_vault.inventory WHERE user_id LIKE 'brief%'"), 0, 'purge');

# --- What is refused

like(error_of($coordinator, 'SELECT * FROM key_vault.secrets'), qr/55000: the view key_vault.secrets cannot be read.*HINT:.*key_vault.list/s, 'the view of sealed rows');
like(error_of($coordinator, 'SET SESSION AUTHORIZATION before_service; SELECT * FROM key_vault.secrets'), qr/55000/, 'for everybody');
my @calls = ("SELECT key_vault.get('user_1', 'exa')", "SELECT key_vault.set('user_1', 'exa', 'exa-0123456789-w')", "SELECT * FROM key_vault.list('user_1')",
	"SELECT key_vault.delete('user_1', 'exa')", "SELECT key_vault.forget('user_1')", "SELECT key_vault.get_all('user_1')", "SELECT key_vault.record_usage('user_1', 'exa')",
	"SELECT key_vault.require('user_1', 'exa')", "SELECT * FROM key_vault.onboarding('user_1')", "CALL key_vault.rotate_root_key()", "CALL key_vault.purge()");
for my $call (@calls) { like(error_of($workers[0], $call), qr/0A000: API keys are distributed by Citus, and this node is a worker/, "on a worker: $call"); }
sql("CREATE TABLE tenants (id text PRIMARY KEY); SELECT create_distributed_table('tenants', 'id'); INSERT INTO tenants SELECT 'user_' || i $tenants");
sql("CREATE TABLE invoices (id text PRIMARY KEY); SELECT create_distributed_table('invoices', 'id')");
is(sql("SELECT count(DISTINCT colocationid) FROM pg_dist_partition WHERE logicalrelid IN ('tenants'::regclass, 'invoices'::regclass)"), 1, 'the application\'s tables are distributed as ever');
like(error_of($coordinator, "SELECT key_vault.get(id, 'exa') FROM tenants"), qr/API keys are distributed by Citus, and this node is a worker/, 'pushed down: get');
like(error_of($coordinator, "SELECT key_vault.set(id, 'exa', 'exa-0123456789-p') FROM tenants"), qr/API keys are distributed by Citus, and this node is a worker/, 'pushed down: set');
is(sql("SELECT count(*) FROM key_vault.inventory WHERE created_at > now() - interval '1 ms'"), 0, 'nothing was written');
is(join(',', on_each('SELECT count(*) FROM pg_class WHERE oid = \'key_vault_data.secrets\'::regclass AND pg_relation_size(oid) > 0', $coordinator, @workers)), '0,0,0', 'no shell holds a row');

# --- The way back

my $distributed = sql('SELECT count(*) FROM key_vault.inventory');
my $dump = PostgreSQL::Test::Utils::tempdir . '/dump';
command_ok([ 'pg_dump', '--extension=key_vault', '--schema=key_vault', '--schema=key_vault_data', '-d', $coordinator->connstr('postgres'), '-f', $dump ], 'a dump of the coordinator');
sql('CREATE DATABASE plain');
$coordinator->command_ok([ 'psql', '-X', '-v', 'ON_ERROR_STOP=1', '-d', $coordinator->connstr('plain'), '-f', $dump ], 'restores into a database without Citus');
is($coordinator->safe_psql('plain', 'SELECT count(*) FROM key_vault.inventory'), $distributed, 'with all rows');
is($coordinator->safe_psql('plain', 'SELECT count(*) FROM key_vault.secrets'), $distributed, 'and the views of before');

sql('SELECT key_vault.undistribute()');
is(sql("SELECT count(*) FROM pg_dist_partition WHERE logicalrelid::text LIKE 'key_vault%'"), 0, 'undistribute');
is(sql('SELECT count(*) FROM key_vault.inventory'), $distributed, 'brings all rows back');
is(sql($views), $views_before, 'and the views');
is(sql("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'key_vault_data.secrets'::regclass"), 0, 'and leaves no trigger');
is(as_role(@service, "SELECT key_vault.get('user_7', 'exa')"), 'exa-0123456789-7', 'get');
is(join(',', on_each("SELECT count(*) FROM pg_class WHERE relname ~ '^(secrets|usage)_[0-9]+\$'", @workers)), '0,0', 'no shard is left');
sql('SELECT key_vault.distribute()');
is(as_role(@service, "SELECT key_vault.get('user_7', 'exa')"), 'exa-0123456789-7', 'and there again');

# --- As the docs have it

sql('SELECT key_vault.undistribute()');
chdir PostgreSQL::Test::Utils::tempdir or die "chdir: $!";
local @ENV{qw(PGHOST PGPORT PGDATABASE)} = ($coordinator->host, $coordinator->port, 'postgres');
my @blocks = blocks_by('140_citus.pl');
is(scalar @blocks, 5, 'blocks of docs/citus.md');
my %shows = (1 => qr/^(127\.0\.0\.1\|\d+\|t\|1\.0\n){2}$/, 3 => qr/^key_vault_data\.secrets\|9\nkey_vault_data\.usage\|9\n$/);
for my $number (1 .. @blocks)
{
	my $block = $blocks[$number - 1];
	my @command = $block->{language} eq 'sql' ? qw(psql -X -A -t -q -v ON_ERROR_STOP=1 -f -) : qw(bash -e -s);
	my $printed = '';
	ok(IPC::Run::run(\@command, '<', \$block->{text}, '>', \$printed), "docs/citus.md, line $block->{line}");
	like($printed, $shows{$number}, 'it shows what is said') if $shows{$number};
}
is(sql('SELECT count(*) FROM key_vault.inventory'), $distributed, 'and everything is there');

done_testing();
