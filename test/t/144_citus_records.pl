# What key_vault writes beside keys that Citus has distributed: the audit, last uses, and what
# providers said stay on the coordinator, follow the keys to their end, and verify.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultCitus;
use KeyVaultTest;
use KeyVaultToken;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

citus_or_skip();

my ($coordinator, $workers) = new_cluster('records', conf => "key_vault.purge_after = 0\n");
my $issuer = new_issuer(issuer => 'https://issuer.example', algorithm => 'HS256');

sub sql { return $coordinator->safe_psql('postgres', @_); }

sub setting
{
	sql($_) for map({ "ALTER SYSTEM SET $_" } @_), 'SELECT pg_reload_conf()';
	my ($name, $value) = split / = /, $_[-1];
	$coordinator->poll_query_until('postgres', "SELECT current_setting('$name') = '$value' FROM key_vault.mode()") or die "$name stays";
	return;
}

sub until_is
{
	my ($sql, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $deadline = time + 20;
	my $found = sql($sql);
	while ($found ne $expected && time < $deadline) { sleep 0.05; $found = sql($sql); }
	return is($found, $expected, $name);
}

add_role($coordinator, 'regress_kv_service', 'service');
add_role($coordinator, 'regress_kv_token', 'user');
add_role($coordinator, 'regress_kv_user', 'user', 'user_2');
add_role($coordinator, 'regress_kv_auditor', 'auditor');
sql(q{SELECT key_vault.set('user_' || i, 'exa', 'exa-0123456789-of-' || i) FROM generate_series(1, 12) i});
sql(q{SELECT key_vault.set('team:acme', 'gemini', 'AIza-0123456789-of-acme')});
$issuer->trusted_by($coordinator);
sql('SELECT key_vault.distribute()');

# --- The audit: what one machine writes, too

my $records = q{SELECT string_agg(concat_ws(' ', action, outcome, coalesce(user_id, '-'), coalesce(team_id, '-'), coalesce(provider, '-'), coalesce(version::text, '-'), sqlstate), E'\n' ORDER BY number)
	FROM key_vault.audit_log WHERE number > %d};
for my $audit (qw(async durable))
{
	my $before = sql('SELECT coalesce(max(number), 0) FROM key_vault_data.audit');
	my $version = sql(q{SELECT max(version) FROM key_vault.inventory WHERE user_id = 'user_1'});
	setting("key_vault.audit = $audit");
	my $service = session($coordinator, 'regress_kv_service');
	my $token = session($coordinator, 'regress_kv_token');
	my $user = session($coordinator, 'regress_kv_user');
	$service->query($_) for q{SELECT key_vault.set('user_1', 'exa', 'exa-0123456789-newer')}, q{SELECT key_vault.get('user_1', 'exa')}, q{SELECT key_vault.get('user_1', 'groq')},
		q{SELECT key_vault.require('user_3', 'exa')}, q{SELECT key_vault.lookup('user_3', 'exa')}, q{SELECT key_vault.get_all('user_3')}, qq{SELECT key_vault.rollback('user_1', 'exa', $version)},
		'BEGIN', q{SELECT key_vault.delete('user_4', 'exa')}, 'ROLLBACK', 'BEGIN', q{SELECT set_config('key_vault.user_id', 'user_50', true), set_config('key_vault.team_id', 'acme', true)},
		q{SELECT key_vault.get(NULL, 'gemini')}, 'COMMIT';
	$token->query(q{SELECT key_vault.get(NULL, 'exa') FROM key_vault.authenticate($1)}, $issuer->token(sub => 'user_5'));
	$user->query(q{SELECT key_vault.get('user_5', 'exa')});
	my ($set, $back) = ($version + 1, $version + 2);
	until_is(sprintf($records, $before), <<"END" =~ s/\n\z//r, "$audit: each call leaves its record");
set ok user_1 - exa $set
get ok user_1 - exa $set
get none user_1 - groq -
require ok user_3 - exa 1
lookup ok user_3 - exa 1
get_all ok user_3 - exa 1
rollback ok user_1 - exa $back
delete ok user_4 - exa -
get ok user_50 team:acme gemini 1
authenticate ok user_5 - - -
get ok user_5 - exa 1
get refused user_5 - exa - 42501
END
	is(session($coordinator, 'regress_kv_auditor')->value('SELECT count(*) FROM key_vault.verify_audit()'), 0, "$audit: an auditor verifies them");
	is($user->value(q{SELECT count(*) FROM key_vault.read_history(NULL)}), 0, "$audit: a user reads the own history");
	cmp_ok($service->value(q{SELECT count(*) FROM key_vault.read_history('user_1')}), '>', 3, "$audit: and the application a user's");
}
is(join(',', on_each('SELECT count(*) FROM key_vault_data.audit', @$workers)), '0,0', 'workers have none of it');

# A worker is down: the call fails, and its record says that no key came
my $placement = q{SELECT nodeport FROM pg_dist_shard_placement WHERE shardid = get_shard_id_for_distribution_column('key_vault_data.secrets', '%s')};
my ($away) = grep { $_->port == sql(sprintf $placement, 'user_6') } @$workers;
my $before = sql('SELECT max(number) FROM key_vault_data.audit');
$away->stop('immediate');
my $service = session($coordinator, 'regress_kv_service');
is($service->outcome(q{SELECT key_vault.get('user_6', 'exa')}), '08006', 'a get from a worker that is down');
until_is(sprintf($records, $before), 'get refused user_6 - exa - 08006', 'has a record of its own');
$away->start;
setting('key_vault.audit = off');

# --- Last uses, and what providers said

setting('key_vault.track_last_use = on');
$service = session($coordinator, 'regress_kv_service');
my $uses = q{SELECT string_agg(user_id || ' ' || uses, ', ' ORDER BY user_id COLLATE "C") FROM key_vault_data.last_uses};
$service->query($_) for (q{SELECT key_vault.get('user_7', 'exa')}) x 3, q{SELECT key_vault.lookup('user_8', 'exa')}, q{SELECT key_vault.get_all('user_9')};
until_is(q{SELECT uses FROM key_vault.list('user_7')}, 3, 'uses are shown');
until_is(q{SELECT string_agg(user_id, ', ' ORDER BY user_id COLLATE "C") FROM key_vault_data.last_uses}, 'user_7, user_8, user_9', 'and written on the coordinator');
is($service->value(q{SELECT last_used_at IS NOT NULL FROM key_vault.onboarding('user_8') WHERE provider = 'exa'}), 't', 'onboarding shows when');
$service->query(q{SELECT key_vault.record_outcome($1, 'exa', 'rejected')}, "user_$_") for 7 .. 10;
is($service->value(q{SELECT last_outcome FROM key_vault.lookup('user_7', 'exa')}), 'rejected', 'an outcome');
is($service->value(q{SELECT key_vault.record_outcome('user_7', 'exa', 'accepted', version => 9)}), 'f', 'none of a version that is not current');

my $kept = q{SELECT string_agg(DISTINCT user_id, ', ') FROM (SELECT user_id FROM key_vault_data.last_uses UNION ALL SELECT user_id FROM key_vault_data.outcomes) u WHERE user_id IN ('%s')};
$service->query(q{SELECT key_vault.set('user_7', 'exa', 'exa-0123456789-anew')});
is($service->value(q{SELECT coalesce(uses::text, '-') || coalesce(last_outcome, '-') FROM key_vault.list('user_7')}), '--', 'a key that is set anew has neither');
$service->query(q{SELECT key_vault.delete('user_8', 'exa')});
is(sql(sprintf $kept, 'user_8'), '', 'a key that is deleted takes both along');
$service->query(q{SELECT key_vault.forget('user_9')});
is(sql(sprintf $kept, 'user_9'), '', 'and a user who is forgotten');
$service->query(q{SELECT key_vault.set('user_11', 'exa', 'exa-0123456789-brief', expires_at => clock_timestamp() + '300 ms')});
$service->query(q{SELECT key_vault.get('user_11', 'exa')});
$service->query(q{SELECT key_vault.record_outcome('user_11', 'exa', 'quota')});
until_is(sprintf($kept, 'user_11'), 'user_11', 'a brief one is used');
sleep 0.4;
sql('CALL key_vault.purge(3)');
is(sql(sprintf $kept, 'user_11'), '', 'and what is purged');
is(sql(sprintf $kept, "user_10"), 'user_10', 'not what stays');

# A user's counted uses are not written once the user is forgotten
$service->query('BEGIN');
$service->query(q{SELECT key_vault.get('user_12', 'exa')});
$service->query(q{SELECT key_vault.forget('user_12')});
$service->query('COMMIT');
$service->query(q{SELECT key_vault.get('user_1', 'exa')});
until_is(sprintf($kept, 'user_1'), 'user_1', 'a later use is written');
is(sql(sprintf $kept, 'user_12'), '', 'none of who was forgotten meanwhile');

is(join(',', on_each('SELECT (SELECT count(*) FROM key_vault_data.last_uses) + (SELECT count(*) FROM key_vault_data.outcomes)', @$workers)), '0,0', 'workers have none of them');
unlike(slurp_file($coordinator->logfile), qr/could not write|server process .* was terminated|PANIC|TRAP/, 'and nothing went wrong');

done_testing();
