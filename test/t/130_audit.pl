# Each call that reaches or asks for a key leaves a record, refused ones and those of
# transactions that are rolled back too; the chain of records verifies, and what is changed in it
# is found at the right record.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultDocs;
use KeyVaultTest;
use KeyVaultToken;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

my $node = new_vault('audit', conf => "shared_preload_libraries = 'key_vault'\nkey_vault.audit = async\n");
my $key = 'sk-proj-Zq3vT8kLm2Np5Rw7Xy1Bc4Df6';

add_role($node, 'regress_kv_service', 'service');
add_role($node, 'regress_kv_user', 'user', 'user_a');
add_role($node, 'regress_kv_auditor', 'auditor');
my $service = session($node, 'regress_kv_service');
my $auditor = session($node, 'regress_kv_auditor');

# What was left is on disk: a record of a call is written before a later one is.
sub settle
{
	my $last = $node->safe_psql('postgres', "SELECT coalesce(max(number), 0) FROM key_vault.audit_log");
	my $name = "settled_$last";
	$node->safe_psql('postgres', "SELECT key_vault.get('$name', 'gemini')");
	$node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM key_vault.audit_log WHERE user_id = '$name')")
	  or die 'records are not written';
	return;
}

# The records behind a number, without those of settle(): action outcome user provider label version SQLSTATE
sub records_after
{
	my ($number) = @_;
	settle();
	return $node->safe_psql('postgres',
		"SELECT concat_ws(' ', action, outcome, coalesce(user_id, '-'), coalesce(provider, '-'), coalesce(label, '-'), coalesce(version::text, '-'), subject, sqlstate)
		 FROM key_vault.audit_log WHERE number > $number AND coalesce(user_id, '') NOT LIKE 'settled%' ORDER BY number");
}

sub last_number { settle(); return $node->safe_psql('postgres', 'SELECT number FROM key_vault.audit_head()'); }

sub verifies
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	settle();
	return is($auditor->outcome('SELECT count(*) FROM key_vault.verify_audit()'), '0', $name);
}

like(records_after(0), qr/\Acreate_root_key ok - - - - [0-9a-f]{16}\ngrant_access ok - - - - regress_kv_service: service\n/,
	'the first records are of the root key and of the grants');
verifies('the chain verifies');

# --- Every call, and what its record says

my $before = last_number();
$service->query(q{SELECT key_vault.set('user_a', 'openai', $1)}, $key);
$service->query(q{SELECT key_vault.set('user_a', ' OpenAI ', $1, 'work')}, $key);
$service->query(q{SELECT key_vault.get('user_a', 'openai')});
$service->query(q{SELECT key_vault.get('user_a', 'gemini')});
$service->query(q{SELECT key_vault.get('user_a', 'nonesuch')});
$service->query(q{SELECT key_vault.require('user_a', 'openai', 'work')});
$service->query(q{SELECT key_vault.require('user_a', 'exa')});
$service->query(q{SELECT * FROM key_vault.lookup('user_a', 'openai', 'work')});
$service->query(q{SELECT * FROM key_vault.lookup('user_a', 'exa')});
$service->query(q{SELECT key_vault.get_all('user_a')});
$service->query(q{SELECT key_vault.get_all('user_b')});
$service->query(q{SELECT key_vault.set('user_a', 'openai', $1)}, $key);
$service->query(q{SELECT key_vault.rollback('user_a', 'openai', 1)});
$service->query(q{SELECT key_vault.delete('user_a', 'openai', 'work')});
$service->query(q{SELECT key_vault.delete('user_a', 'openai', 'work')});
$service->query(q{SELECT key_vault.import_dotenv('user_c', $1)}, "GEMINI_API_KEY=AIzaSyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q\n");
$service->query(q{SELECT * FROM key_vault.import_keys($1)}, "SELECT 'user_d', 'exa', '01234567-89ab-cdef-0123-456789abcdef'");
is(records_after($before), <<'END' =~ s/\n\z//r, 'the records of the calls');
set ok user_a openai default 1
set ok user_a openai work 1
get ok user_a openai default 1
get none user_a gemini default -
get refused user_a (withheld) default - 42704
require ok user_a openai work 1
require none user_a exa default - P0002
lookup ok user_a openai work 1
lookup none user_a exa default -
get_all ok user_a openai default 1
get_all none user_b - - -
set ok user_a openai default 2
rollback ok user_a openai default 3
delete ok user_a openai work -
delete none user_a openai work -
import_dotenv ok user_c gemini default 1
import_keys ok user_d exa default 1
END

is($node->safe_psql('postgres', "SELECT role, application_name, client_addr IS NULL, backend_pid > 0 FROM key_vault.audit_log WHERE action = 'rollback'"),
	'regress_kv_service||t|t', 'a record says which role and session');

# --- In each kind of transaction, and by each way to get there

$before = last_number();
$service->query('BEGIN');
$service->query(q{SELECT key_vault.get('user_a', 'openai')});
$service->query('SAVEPOINT s');
$service->query(q{SELECT key_vault.set('user_a', 'exa', $1)}, $key);
$service->query('ROLLBACK TO s');
$service->query('ROLLBACK');
$service->query('BEGIN READ ONLY');
$service->query(q{SELECT key_vault.require('user_a', 'openai')});
$service->query('COMMIT');
$service->query('BEGIN ISOLATION LEVEL SERIALIZABLE');
$service->query(q{DECLARE c CURSOR FOR SELECT key_vault.get('user_' || x, 'openai') FROM (VALUES ('a'), ('z')) AS v (x)});
$service->query('FETCH 1 FROM c');
$service->query('FETCH 1 FROM c');
$service->query('ROLLBACK');
is(records_after($before), <<'END' =~ s/\n\z//r, 'records stay when what they record is rolled back, and in read-only transactions and cursors');
get ok user_a openai default 3
set ok user_a exa default 1
require ok user_a openai default 3
get ok user_a openai default 3
get none user_z openai default -
END

$node->safe_psql('postgres', <<'SQL');
CREATE TABLE jobs (id int, seen int);
CREATE FUNCTION on_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.seen := length(key_vault.get('user_a', 'openai')); RETURN NEW; END $$;
CREATE TRIGGER on_job BEFORE INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION on_job();
CREATE TABLE many AS SELECT 'user_a' AS u FROM generate_series(1, 1000);
ALTER TABLE many SET (parallel_workers = 2);
ANALYZE many;
GRANT INSERT ON jobs TO regress_kv_service;
GRANT SELECT ON many TO regress_kv_service;
SQL
$before = last_number();
$service->query('INSERT INTO jobs VALUES (1)');
is(records_after($before), 'get ok user_a openai default 3', 'a function that a trigger calls');
$before = last_number();
$service->query('SET parallel_setup_cost = 0');
$service->query('SET parallel_tuple_cost = 0');
$service->query('SET min_parallel_table_scan_size = 0');
like(join("\n", map { $_->[0] } @{ $service->query(q{EXPLAIN SELECT key_vault.get(u, 'openai') FROM many})->{rows} }),
	qr/Gather/, 'a parallel plan');
$service->query(q{SELECT count(key_vault.get(u, 'openai')) FROM many});
settle();
is($node->safe_psql('postgres', "SELECT count(*) FROM key_vault.audit_log WHERE number > $before AND action = 'get' AND user_id = 'user_a'"),
	1000, 'each row of it has its record');

# A call within a call
$before = last_number();
$service->query(q{SELECT * FROM key_vault.import_keys('SELECT ''user_inner'', ''exa'', key_vault.get(''user_a'', ''openai'')')});
like(records_after($before), qr/\A(get ok user_a openai default 3\n)+import_keys ok user_inner exa default 1\z/, 'a call within a call has its record, and so have the rows of the outer one');

# The planner's way
$node->safe_psql('postgres', "CREATE POLICY more ON key_vault_data.secrets FOR ALL TO PUBLIC USING (user_id = key_vault.current_user_id())");
$before = last_number();
$service->query(q{SELECT key_vault.get('user_a', 'openai')});
is(records_after($before), 'get ok user_a openai default 3', 'under the planner\'s way, too');
$node->safe_psql('postgres', "DROP POLICY more ON key_vault_data.secrets");

# --- Refused

$before = last_number();
my $user = session($node, 'regress_kv_user');
is($user->outcome(q{SELECT key_vault.get('user_b', 'openai')}), '42501', 'another user\'s key is refused');
is($user->outcome(q{SELECT key_vault.get($1, 'openai')}, $key), '42501', 'a key as user id is refused');
is($user->outcome(q{SELECT key_vault.get(NULL, $1)}, $key), '42704', 'a key as provider is refused');
$service->outcome(q{SELECT key_vault.get('user_a', 'openai', $1)}, $key);
$service->outcome(q{SELECT key_vault.set('user_a', 'openai', 'short', $1)}, $key);
$service->outcome(q{SELECT key_vault.set($1, 'openai', 'short')}, $key);
is($user->outcome(q{SELECT key_vault.forget('user_b')}), '42501', 'forgetting another user is refused');
is($service->outcome(q{CALL key_vault.rotate_root_key()}), '42501', 'level service may not rotate');
is(records_after($before), <<'END' =~ s/\n\z//r, 'refused calls have records without the keys in them');
get refused user_b openai default - 42501
get refused (withheld) openai default - 42501
get refused user_a (withheld) default - 42704
get none user_a openai (withheld) -
set refused user_a openai (withheld) - 22023
set refused (withheld) openai default - 22023
forget refused user_b - - - 42501
END
is($node->safe_psql('postgres', qq{SELECT count(*) FROM key_vault_data.audit a WHERE a::text LIKE '%Zq3vT8kLm2%'}), 0, 'no record holds the key');
verifies('the chain verifies with all of them');

# --- Who may read it

is($auditor->outcome('SELECT count(*) > 20 FROM key_vault.audit_log'), 't', 'an auditor reads the log');
is($auditor->outcome('SELECT number > 20 FROM key_vault.audit_head()'), 't', 'and the head');
is($auditor->outcome(q{SELECT key_vault.get('user_a', 'openai')}), '42501', 'and no key');
is($auditor->outcome('SELECT count(*) FROM key_vault_data.audit'), '42501', 'and no table');
is($service->outcome('SELECT count(*) FROM key_vault.audit_log'), '42501', 'level service does not read the log');
is($service->outcome('SELECT count(*) FROM key_vault.verify_audit()'), '42501', 'nor verify it');
is($user->outcome(q{SELECT count(*) FROM key_vault.read_history('user_b')}), '42501', 'a user reads no other\'s history');
is($user->outcome(q{SELECT action || ' ' || outcome FROM key_vault.read_history(NULL) WHERE action = 'rollback'}), 'rollback ok', 'but the own');
is($user->outcome(q{SELECT count(*) FROM key_vault.read_history(NULL, '0')}), '0', 'of as long ago as asked for');

# --- forget()

$service->query(q{SELECT key_vault.get('user_d', 'exa')});
is($service->outcome(q{SELECT key_vault.forget('user_d')}), '1', 'a user is forgotten, right after a call');
is($node->safe_psql('postgres', "SELECT count(*) FROM key_vault_data.audit a WHERE a::text LIKE '%user_d%'"), 0,
	'and in no record any more, that of the last call neither');
settle();
is($node->safe_psql('postgres', "SELECT count(*) FROM key_vault_data.audit a WHERE a::text LIKE '%user_d%'"), 0,
	'nor in that of forget() itself');
is($node->safe_psql('postgres', "SELECT count(DISTINCT user_hash) FROM key_vault_data.audit WHERE user_id IS NULL AND user_hash IS NOT NULL"), 1,
	'its records still belong together');
verifies('the chain verifies without the user id');

$service->query(q{SELECT key_vault.set('user_e', 'exa', $1)}, $key);
$service->query('BEGIN ISOLATION LEVEL REPEATABLE READ');
$service->query('SELECT 1 FROM many LIMIT 1');
$node->safe_psql('postgres', "SELECT key_vault.get('user_e', 'exa')");
is($service->outcome(q{SELECT key_vault.forget('user_e')}), '40001', 'forgetting does not pass over a record that its snapshot hides');
$service->query('ROLLBACK');

# Where a user's records may be is summarized by a vacuum; those behind it are found all the same
$service->query(q{SELECT count(key_vault.get('user_' || x % 100, 'gemini')) FROM generate_series(1, 4000) x});
settle();
$node->safe_psql('postgres', 'VACUUM ANALYZE key_vault_data.audit');
$service->query(q{SELECT key_vault.get('user_77', 'gemini')});
settle();
like($node->safe_psql('postgres', "EXPLAIN SELECT FROM key_vault_data.audit WHERE user_id = 'user_none'"), qr/audit_users/, 'a user\'s records are found by an index');
is($node->safe_psql('postgres', "SELECT count(*) FROM key_vault.read_history('user_77')"), 41, 'all of them');
is($service->outcome(q{SELECT key_vault.forget('user_77')}), '0', 'which forget() empties');
is($node->safe_psql('postgres', "SELECT count(*) FROM key_vault_data.audit WHERE user_id = 'user_77'"), 0, 'each');
verifies('and the chain verifies');

# Indexes and constraints that an operator adds are seen to
$node->safe_psql('postgres', <<'SQL');
CREATE INDEX own_upper ON key_vault_data.audit (upper(user_id));
CREATE INDEX own_part ON key_vault_data.audit (user_id) WHERE outcome = 'none';
SQL
$service->query(q{SELECT key_vault.get('user_own', 'gemini')});
settle();
is($node->safe_psql('postgres', "SET enable_seqscan = off; SELECT (SELECT count(*) FROM key_vault_data.audit WHERE upper(user_id) = 'USER_OWN'), (SELECT count(*) FROM key_vault_data.audit WHERE user_id = 'user_own' AND outcome = 'none')"),
	'1|1', 'a record is in each index that there is');
$node->safe_psql('postgres', "DROP INDEX key_vault_data.own_upper, key_vault_data.own_part; ALTER TABLE key_vault_data.audit ADD CONSTRAINT own CHECK (user_id <> 'user_checked'); ALTER ROLE regress_kv_service SET key_vault.audit_timeout = 700");
{
	my $short = session($node, 'regress_kv_service');
	$short->query(q{SELECT key_vault.get('user_checked', 'gemini')});
	Time::HiRes::sleep(0.5);
	my $refused = $short->query(q{SELECT key_vault.get('user_a', 'openai')});
	is($refused->{error}{state}, '58030', 'no key while a constraint refuses records');
	like($refused->{error}{detail}, qr/violates check constraint "own"/, 'with that reason');
}
$node->safe_psql('postgres', 'ALTER TABLE key_vault_data.audit DROP CONSTRAINT own; ALTER ROLE regress_kv_service RESET key_vault.audit_timeout');
verifies('and all goes on without it');

# --- Teams

$service->query(q{SELECT key_vault.set('team:acme', 'exa', $1)}, $key);
$before = last_number();
$service->query(q{SELECT key_vault.get(NULL, 'exa') FROM set_config('key_vault.user_id', 'user_f', true) AS u, set_config('key_vault.team_id', 'acme', true) AS t});
$service->query(q{SELECT key_vault.get_all(NULL) FROM set_config('key_vault.user_id', 'user_f', true) AS u, set_config('key_vault.team_id', 'acme', true) AS t});
settle();
is($node->safe_psql('postgres', "SELECT action, user_id, team_id FROM key_vault.audit_log WHERE number > $before AND action LIKE 'get%' AND user_id = 'user_f'"),
	"get|user_f|team:acme\nget_all|user_f|team:acme", 'a record says which team\'s key it was');
is($node->safe_psql('postgres', "BEGIN; UPDATE key_vault_data.audit SET team_id = 'team:x' WHERE number = $before + 1; SELECT number - $before FROM key_vault.verify_audit(); ROLLBACK"),
	1, 'which nobody changes unseen');
$service->query(q{SELECT key_vault.forget('team:acme')});
is($node->safe_psql('postgres', "SELECT count(*) FROM key_vault_data.audit a WHERE a::text LIKE '%acme%'"), 0, 'forgetting a team takes it out');
verifies('and the chain verifies');

# --- Tokens

my $issuer = new_issuer(algorithm => 'RS256');
$before = last_number();
$issuer->trusted_by($node);
add_role($node, 'regress_kv_web', 'user');
my $web = session($node, 'regress_kv_web');
my $token = $issuer->token;
is($web->outcome(q{SELECT key_vault.get(NULL, 'openai') FROM key_vault.authenticate($1)}, $token), $key, 'a key for a token');
is($web->outcome(q{SELECT key_vault.authenticate($1)}, $token =~ s/.{9}\z/AAAAAAAAA/r), '28000', 'a token that is refused');
$service->query(q{SELECT key_vault.revoke_tokens('user_a')});
is(records_after($before), <<'END' =~ s/\n\z//r, 'tokens and issuers have records');
trust_issuer ok - - - - https://issuer.example
grant_access ok - - - - regress_kv_web: user
authenticate ok user_a - - -
get ok user_a openai default 3
authenticate refused - - - - 28000
revoke_tokens ok user_a - - -
END
my $part = substr $token, 30, 20;
is($node->safe_psql('postgres', qq{SELECT count(*) FROM key_vault_data.audit a WHERE a::text LIKE '%$part%'}), 0, 'and none holds a token');

# --- Rotation, retirement

$before = last_number();
my $second = $node->safe_psql('postgres', 'SELECT key_vault.create_root_key()');
my $first = $node->safe_psql('postgres', "SELECT id FROM key_vault.root_keys WHERE state = 'active'");
$node->safe_psql('postgres', "SELECT key_vault.activate_root_key('$second')");
my ($out, $err);
$node->psql('postgres', "SELECT key_vault.retire_root_key('$first')", stderr => \$err);
like($err, qr/is in use/, 'a root key that seals the chain key is in use');
$node->safe_psql('postgres', 'CALL key_vault.rotate_root_key()');
is($node->safe_psql('postgres', "SELECT secrets FROM key_vault.root_keys WHERE id = '$first'"), 0, 'rotation re-seals the chain key');
$node->safe_psql('postgres', "SELECT key_vault.retire_root_key('$first')");
is(records_after($before), <<"END" =~ s/\n\z//r, 'root keys and rotation have records');
create_root_key ok - - - - $second
activate_root_key ok - - - - $second
retire_root_key refused - - - - $first 55000
rotation_start ok - - - -
rotation_end ok - - - -
retire_root_key ok - - - - $first
END
verifies('the chain verifies after rotation and retirement');

# --- What else is recorded

$before = last_number();
my $super = session($node);
$super->query(q{SELECT key_vault.escrow_keyring('none')});
$super->query(q{SELECT key_vault.distrust_issuer('https://issuer.example')});
$super->query(q{SELECT key_vault.revoke_access('regress_kv_web')});
$super->query(q{SELECT key_vault.grant_access('regress_kv_web', 'nonesuch')});
$super->query('CALL key_vault.purge()');
$super->query(q{CALL key_vault.discard_secrets('0123456789abcdef')});
$super->query(q{SELECT key_vault.activate_root_key('0123456789abcdef')});
$service->query(q{SELECT * FROM key_vault.import_keys($1)}, "SELECT * FROM (VALUES ('user_g', 'exa', '01234567-89ab-cdef-0123-456789abcdef'), ('user_g', 'nonesuch', '$key'), ('$key', 'exa', 'x'), (NULL, 'exa', '$key'), ('user_h', 'exa', '$key')) v");
$service->query(q{SELECT key_vault.import_dotenv('user_h', $1)}, "OPENAI_API_KEY=sk-****************\n");
is(records_after($before), <<'END' =~ s/\n\z//r, 'calls of admins, and rows of an import that are refused');
escrow_keyring refused - - - - 55000
distrust_issuer ok - - - - https://issuer.example
revoke_access ok - - - - regress_kv_web
grant_access refused - - - - regress_kv_web 22023
purge ok - - - -
discard_secrets refused - - - - 0123456789abcdef 42704
activate_root_key refused - - - - 0123456789abcdef F0000
import_keys ok user_g exa default 1
import_keys refused user_g (withheld) - - 42704
import_keys refused (withheld) exa - - 22023
import_keys refused - exa - - 22004
import_keys ok user_h exa default 1
import_dotenv refused user_h openai default - 22023
END

# --- Tampering

sub tampered
{
	my ($name, $sql, $expected, $arguments) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	settle();
	my $found = $node->safe_psql('postgres', "BEGIN; $sql; SELECT number FROM key_vault.verify_audit(" . ($arguments // '') . "); ROLLBACK");
	return is($found, $expected, "$name is found at record $expected");
}
my $at = 12;
my @tampered = ('number', 'team_id');    # swapped below; changed above, where there is a team
for my $change ("at = at + '1 us'", "action = 'set'", "outcome = 'none'", "user_id = 'user_b'", "user_hash = NULL",
	"user_hash = '\\x00'", "provider = 'gemini'", "provider = NULL", "label = 'x'", "version = coalesce(version, 0) + 1", "subject = 'x'",
	"role = 'x'", "application_name = 'x'", "client_addr = '::1'", "backend_pid = 1", "backend_start = now()",
	"sqlstate = '00000'", "team_hash = '\\x00'", "mac = '\\x00'")
{
	tampered("a change, $change,", "UPDATE key_vault_data.audit SET $change WHERE number = $at", $at);
	push @tampered, $change =~ /^(\w+)/;
}
is(join(' ', sort keys %{ { map { $_ => 1 } @tampered } }), $node->safe_psql('postgres', q{SELECT string_agg(attname, ' ' ORDER BY attname COLLATE "C") FROM pg_attribute WHERE attrelid = 'key_vault_data.audit'::regclass AND attnum > 0 AND NOT attisdropped}),
	'each field was changed');
my $last = last_number();
tampered('removing the first', 'DELETE FROM key_vault_data.audit WHERE number = 1', 1);
tampered('removing one in the middle', "DELETE FROM key_vault_data.audit WHERE number = $at", $at);
tampered('removing some', "DELETE FROM key_vault_data.audit WHERE number BETWEEN $at AND $at + 3", $at);
$last = last_number();
my $end = $node->safe_psql('postgres', "BEGIN; DELETE FROM key_vault_data.audit WHERE number >= $last; SELECT number FROM key_vault.verify_audit(NULL, $last); ROLLBACK");
is($end, $last, 'removing the last is found by a head that was kept');
tampered('swapping two', "UPDATE key_vault_data.audit SET number = -1 WHERE number = $at; UPDATE key_vault_data.audit SET number = $at WHERE number = $at + 1; UPDATE key_vault_data.audit SET number = $at + 1 WHERE number = -1", $at);
tampered('putting one in', "UPDATE key_vault_data.audit SET number = number + 100000 WHERE number >= $at; UPDATE key_vault_data.audit SET number = number - 100000 + 1 WHERE number >= $at; INSERT INTO key_vault_data.audit SELECT $at, at, action, outcome, user_id, provider, label, version, subject, role, application_name, client_addr, backend_pid, backend_start, sqlstate, user_hash, mac, team_id, team_hash FROM key_vault_data.audit WHERE number = $at + 1", $at + 1);
for my $number (0, -7, '-9223372036854775808')
{
	tampered('putting one in before the first', "INSERT INTO key_vault_data.audit (number, at, action, outcome, backend_pid, backend_start, mac) VALUES ($number, now(), 'get', 'ok', 1, now(), '\\x00')", $number);
}
tampered('a checkpoint', "INSERT INTO key_vault_data.audit_checkpoint SELECT true, number, at, mac, mac FROM key_vault_data.audit WHERE number = $at; DELETE FROM key_vault_data.audit WHERE number <= $at", $at);
tampered('no chain key', 'DELETE FROM key_vault_data.audit_keys', 1);
is($auditor->outcome('SELECT count(*) FROM key_vault.verify_audit(5, 20)'), '0', 'a part verifies by itself');
is($auditor->outcome('SELECT count(*) FROM key_vault.verify_audit(20, 5)'), '22023', 'the last is not before the first');

# --- purge()

settle();
is($node->safe_psql('postgres', "SET key_vault.audit_keep = -1; CALL key_vault.purge(); SELECT min(number) FROM key_vault.audit_log"), 1, 'audit_keep = -1 keeps all');
is($node->safe_psql('postgres', "SET key_vault.audit_keep = 0; CALL key_vault.purge(7); SELECT count(*) < 5 FROM key_vault.audit_log"), 't', 'old records are purged');
verifies('the chain goes on from the checkpoint');
is($auditor->outcome('SELECT count(*) FROM key_vault.verify_audit(1)'), '0', 'also when asked from the first record on');
for my $change ("at = at + '1 us'", 'number = number - 1', "mac = '\\x00'", "seal = '\\x00'")
{
	my $number = $node->safe_psql('postgres', 'SELECT number FROM key_vault_data.audit_checkpoint') - ($change =~ /number/ ? 1 : 0);
	tampered("a change of the checkpoint, $change,", "UPDATE key_vault_data.audit_checkpoint SET $change", $number);
}
tampered('putting one in that was purged', q{INSERT INTO key_vault_data.audit (number, at, action, outcome, backend_pid, backend_start, mac) VALUES (2, now(), 'get', 'ok', 1, now(), '\\x00')}, 2);
tampered('removing the first that was kept', 'DELETE FROM key_vault_data.audit WHERE number = (SELECT min(number) FROM key_vault_data.audit)',
	$node->safe_psql('postgres', 'SELECT min(number) FROM key_vault_data.audit'));

like(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/key_vault audit head: database "postgres", record \d+, code [0-9a-f]{64}/, 'the head is in the log');

# --- What the documentation shows

$node->safe_psql('postgres', "CREATE ROLE app_auditor LOGIN; SELECT key_vault.grant_access('app_auditor', 'auditor')");
my $folder = PostgreSQL::Test::Utils::tempdir;
for my $block (blocks_by('130_audit.pl'))
{
	if ($block->{language} eq 'sh')
	{
		local @ENV{qw(PGHOST PGPORT)} = ($node->host, $node->port);
		is(system('bash', '-e', '-c', "cd '$folder'\n" . $block->{text} =~ s/-d app\b/-d postgres/r), 0, "$block->{file}:$block->{line} runs");
		like(PostgreSQL::Test::Utils::slurp_file("$folder/audit_heads"), qr/\A\d+\|[0-9a-f]{64}\n\z/, 'and keeps the head');
		next;
	}
	my ($status, undef, $errors) = $node->psql('postgres', $block->{text}, on_error_stop => 1);
	is($status, 0, "$block->{file}:$block->{line} runs") or diag($errors);
}

$node->stop;
done_testing();
