# Records are in the indexes of the audit's table, however these come to be: a summary that is
# made while records arrive, an index that is built meanwhile, one that asks for summaries itself.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

my $node = new_vault('audit_indexes', conf => "shared_preload_libraries = 'key_vault'\nkey_vault.audit = durable\n");
add_role($node, 'regress_kv_service', 'service');
my $service = session($node, 'regress_kv_service');
my $operator = session($node);

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

# Records of users by the index that says where a user's are, and by all records.
sub index_agrees
{
	my ($users, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $missing = sql(<<"SQL");
SET enable_seqscan = off;
CREATE TEMPORARY TABLE by_record AS SELECT user_id, count(*) AS records FROM (SELECT user_id || '' AS user_id FROM key_vault_data.audit OFFSET 0) AS a WHERE user_id LIKE '$users%' GROUP BY 1;
SELECT count(*), count(*) FILTER (WHERE r.records <> (SELECT count(*) FROM key_vault_data.audit AS a WHERE a.user_id = r.user_id)) FROM by_record AS r;
SQL
	like($missing, qr/\A[1-9][0-9]*\|0\z/, $name);
	return;
}

sub get_many
{
	my ($prefix, $count) = @_;
	return $service->query(qq{SELECT count(key_vault.get('$prefix' || x, 'gemini')) FROM generate_series(1, $count) x});
}

# --- A summary of the last part of the table, in which more records come to be

get_many('early_', 3000);
like(sql("SELECT brin_summarize_new_values('key_vault_data.audit_users')"), qr/\A[1-9]/, 'the last part of the table is summarized');
like(sql("SET enable_seqscan = off; EXPLAIN SELECT FROM key_vault_data.audit WHERE user_id = 'user_none'"), qr/audit_users/, 'which is asked where a user\'s records are');
get_many('late_', 300);
index_agrees('early_', 'records that were there are found');
index_agrees('late_', 'records that come behind a summary of their part are found');

# --- Summaries that are made and removed while records arrive

sql("LOAD 'key_vault'; ALTER SYSTEM SET key_vault.audit = async");
sql('SELECT pg_reload_conf()');
my $end = Time::HiRes::time() + ($ENV{KV_LONG} ? 20 : 2.5);
my $rounds = 0;
while (Time::HiRes::time() < $end)
{
	$service->send(qq{SELECT count(key_vault.get('meanwhile_${rounds}_' || x % 50, 'gemini')) FROM generate_series(1, 3000) x});
	for (1 .. 10)
	{
		$operator->query(q{SELECT brin_summarize_new_values('key_vault_data.audit_users')});
		Time::HiRes::sleep(0.005);
		$operator->query(q{SELECT brin_desummarize_range('key_vault_data.audit_users', n * 32) FROM generate_series(0, pg_relation_size('key_vault_data.audit') / 8192 / 32) AS n});
	}
	$operator->query(q{SELECT brin_summarize_new_values('key_vault_data.audit_users')});
	$service->receive;
	$rounds++;
}
sql("ALTER SYSTEM SET key_vault.audit = durable");
sql('SELECT pg_reload_conf()');
Time::HiRes::sleep(0.2);
get_many('last_', 1);
sql("SELECT brin_summarize_new_values('key_vault_data.audit_users')");
index_agrees('meanwhile_', "records of $rounds rounds are in the summaries that were made meanwhile");

# --- One that asks for summaries itself

sql('ALTER INDEX key_vault_data.audit_users SET (autosummarize = on)');
get_many('auto_', 3000);
index_agrees('auto_', 'and in those of an index that asks for them');
sql('ALTER INDEX key_vault_data.audit_users RESET (autosummarize)');

# --- Indexes of some records only

for my $of ('user_id IS NOT NULL', 'user_id IS NULL', 'team_id IS NOT NULL', "outcome = 'none'")
{
	sql("CREATE INDEX own_some ON key_vault_data.audit (user_id) WHERE $of");
	get_many('some_', 5);
	$operator->value(q{SELECT key_vault.set('some_user', 'gemini', $1)}, 'AIza-of-some-user');
	$operator->query(q{SELECT key_vault.activate_root_key('0123456789abcdef')});
	get_many('some_', 1);    # whose record is behind the others
	my $count = "SELECT count(*) FROM key_vault_data.audit WHERE $of";
	my ($plan, $counts) = split /\n(?=[0-9]+\|)/, sql("SET enable_seqscan = off; SET enable_bitmapscan = off; EXPLAIN $count; SELECT ($count), count(*) FILTER (WHERE $of) FROM (SELECT * FROM key_vault_data.audit OFFSET 0) a");
	like($plan, qr/own_some/, "an index of those where $of");
	like($counts, qr/\A([0-9]+)\|\1\z/, '... has them, and no others');
	sql('DROP INDEX key_vault_data.own_some');
}

# --- Indexes that are built while records arrive

sub meanwhile
{
	my ($what, $statement) = @_;
	my $holder = session($node);
	$holder->query('BEGIN');
	$holder->query('LOCK TABLE key_vault_data.audit IN ROW EXCLUSIVE MODE');
	$operator->send($statement);
	$node->poll_query_until('postgres', q{SELECT EXISTS (SELECT FROM pg_index WHERE indrelid = 'key_vault_data.audit'::regclass AND NOT indisready)})
	  or die "no index is built";
	my $result = get_many("$what\_", 10);
	is($result->{error}, undef, "$what: keys are handed out while the index is not ready for records");
	$holder->query('COMMIT');
	get_many("$what\_", 10);
	$result = $operator->receive;
	is($result->{error}, undef, 'it is built');
	return;
}

meanwhile('created', 'CREATE INDEX CONCURRENTLY own ON key_vault_data.audit (user_id)');
is(sql(q{SET enable_seqscan = off; SET enable_bitmapscan = off; SELECT count(*) FROM key_vault_data.audit WHERE user_id LIKE 'created\_%' AND user_id > 'created'}), 20, 'and has all records');
meanwhile('rebuilt', 'REINDEX INDEX CONCURRENTLY key_vault_data.audit_users');
index_agrees('rebuilt_', 'the new one has all records');

is(sql('SELECT count(*) FROM key_vault.verify_audit()'), 0, 'the chain verifies');
$node->stop;
unlike(slurp_file($node->logfile), qr/WARNING|PANIC|could not write audit records: (?!no root key is active)/, 'without a warning: nothing stays pinned');

done_testing();
