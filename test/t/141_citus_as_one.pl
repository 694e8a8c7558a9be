# Every function and view that a level may name says the same of keys that Citus has distributed
# as of the same keys on one machine: to roles that had their level before, and to those that got
# it afterwards; with a user named in the call, with an identity, and with a token and a team.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultCitus;
use KeyVaultTest;
use KeyVaultToken;
use Test::More;

citus_or_skip();

my ($coordinator, $workers) = new_cluster('as_one');
my $issuer = new_issuer(issuer => 'https://issuer.example', algorithm => 'HS256');
my @levels = qw(user service admin monitor auditor);

sub sql { return $coordinator->safe_psql('postgres', @_); }

# Users' keys, with attributes, labels, versions and an end; a team's; usage and outcomes.
sql(q{
	SELECT key_vault.set('user_' || i, 'exa', 'exa-0123456789-of-' || i) FROM generate_series(1, 20) i;
	SELECT key_vault.set('user_1', 'exa', 'exa-0123456789-newer');
	SELECT key_vault.set('user_1', 'openai', 'sk-0123456789-work', 'work', clock_timestamp() + '1 day', attributes => '{"base_url": "https://one.example/", "region": "eu"}');
	SELECT key_vault.set('user_1', 'gemini', 'AIza-0123456789-gone', expires_at => clock_timestamp() + '50 ms');
	SELECT key_vault.set('team:acme', 'gemini', 'AIza-0123456789-of-acme', attributes => '{"region": "us"}');
	SELECT key_vault.set('team:acme', 'exa', 'exa-0123456789-of-acme');
	SELECT key_vault.record_usage('user_1', 'exa', 2, 10, 0.5), key_vault.record_usage('user_2', 'exa', 1, 1, 0.1);
	SELECT key_vault.record_outcome('user_2', 'exa', 'rejected');
	SELECT pg_sleep(0.1);});
my $root_key = sql('SELECT id FROM key_vault.root_keys');
$issuer->trusted_by($coordinator, team_claim => "'team'", team_admin_claim => "'admin'");

sub levels_for
{
	my ($when) = @_;
	add_role($coordinator, "${when}_$_", $_, $_ eq 'user' ? 'user_1' : undef) for @levels;
	add_role($coordinator, "${when}_tokens", 'user');
	return;
}

# What each role is asked, for the user in its place
my @calls = (
	q{key_vault.get(USER, 'exa')}, q{key_vault.get(USER, 'openai', 'work')}, q{key_vault.get(USER, 'gemini')}, q{key_vault.get(USER, 'groq')}, q{key_vault.get(USER, 'nonesuch')},
	q{key_vault.require(USER, 'exa')}, q{key_vault.require(USER, 'groq')}, q{key_vault.require(USER, 'gemini')},
	q{key_vault.lookup(USER, 'exa')}, q{key_vault.lookup(USER, 'openai', 'work')}, q{key_vault.lookup(USER, 'gemini')}, q{key_vault.get_all(USER)},
	q{key_vault.source(USER, 'exa')}, q{key_vault.source(USER, 'gemini')},
	q{string_agg(l::text, ' ' ORDER BY provider, label) FROM key_vault.list(USER) l}, q{string_agg(v::text, ' ' ORDER BY version) FROM key_vault.versions(USER, 'exa') v},
	q{string_agg(v::text, ' ') FROM key_vault.versions(USER, 'openai', 'work') v}, q{string_agg(o::text, ' ' ORDER BY provider) FROM key_vault.onboarding(USER) o},
	q{key_vault.set(USER, 'exa', 'exa-0123456789-set')}, q{key_vault.set(USER, 'exa', 'exa-0123456789-set', if_version => 1)}, q{key_vault.set(USER, 'groq', 'gsk_0123456789-set', if_version => 0)},
	q{key_vault.set(USER, 'openai', 'sk-0123456789-set', 'work', attributes => '{"b": 2, "a": 1}'), (SELECT key_vault.lookup(USER, 'openai', 'work'))},
	q{key_vault.rollback(USER, 'exa', 1), key_vault.get(USER, 'exa')}, q{key_vault.rollback(USER, 'exa', 9)}, q{key_vault.rollback(USER, 'openai', 1, 'work'), (SELECT string_agg(v.attributes::text, ' ') FROM key_vault.list(USER) v)},
	q{key_vault.delete(USER, 'exa'), key_vault.get(USER, 'exa')}, q{key_vault.delete(USER, 'groq')}, q{key_vault.forget(USER), key_vault.get(USER, 'exa')},
	q{key_vault.record_outcome(USER, 'exa', 'accepted')}, q{key_vault.record_usage(USER, 'exa', 3)}, q{key_vault.record_usage(USER, 'exa', cost => -1)},
	q{key_vault.import_dotenv(USER, 'EXA_API_KEY=exa-0123456789-imported')}, q{i FROM key_vault.import_keys('VALUES (''user_30'', ''exa'', ''exa-0123456789-imported''), (''user_1'', ''exa'', ''x'')') i},
	q{key_vault.inspect_key('exa', 'x y')}, q{string_agg(concat_ws(' ', action, outcome, user_id), ' ') FROM key_vault.read_history(USER)}, q{key_vault.revoke_tokens(USER)},
	q{string_agg(v::text, ' ' ORDER BY user_id, provider, version) FROM key_vault.inventory v}, q{string_agg(v::text, ' ' ORDER BY session_id, provider) FROM key_vault.api_keys v},
	q{string_agg(v::text, ' ' ORDER BY user_id) FROM key_vault.onboarding_sessions v}, q{string_agg(v::text, ' ' ORDER BY user_id) FROM key_vault.monthly_costs v},
	q{string_agg(v::text, ' ' ORDER BY id) FROM key_vault.root_keys v}, q{string_agg(v::text, ' ' ORDER BY issuer) FROM key_vault.issuers v}, q{count(*) FROM key_vault.providers},
	q{count(*) FROM key_vault.rotation_progress}, q{key_vault.root_key_in_ring('ROOT')}, q{key_vault.retire_root_key('ROOT')}, q{key_vault.retire_root_key('0123456789abcdef')},
	q{key_vault.activate_root_key('ROOT')}, q{length(key_vault.create_root_key())},
	q{string_agg(e::text, ' ' ORDER BY user_id, provider) FROM key_vault.expiring('2 days') e}, q{count(*) FROM key_vault.verify_secrets()},
	q{string_agg(item || state, ' ' ORDER BY item) FROM key_vault.status() WHERE item <> 'token_roles'}, q{key_vault.add_provider('groq2')}, q{key_vault.remove_provider('exa')}, q{key_vault.mode()},
	q{count(*) FROM key_vault.trusted_issuers()}, q{count(*) FROM key_vault.audit_log}, q{count(*) FROM key_vault.audit_head()}, q{count(*) FROM key_vault.verify_audit()}, q{count(*) FROM key_vault.level_rights()},
	q{bool_and(complete) FROM key_vault.access}, q{bool_and(complete) FROM key_vault.granted_levels()}, q{key_vault.current_user_id(), key_vault.current_team_id()}, q{key_vault.trust_issuer('b', '{a}', '{}')}, q{key_vault.distrust_issuer('b')},
	q{key_vault.escrow_keyring('x')}, q{key_vault.grant_access('before_user', 'service')}, q{key_vault.revoke_access('before_user')}, q{count(*) FROM key_vault_data.secrets}, q{count(*) FROM key_vault_data.usage});

# Each way to be the user: what runs before in the transaction, and the user in the call
my %ways = (
	named => [ q{'user_1'} ], another => [ q{'user_2'} ],
	local => [ 'NULL', q{SET LOCAL key_vault.user_id = 'user_1'} ], other => [ q{'user_2'}, q{SET LOCAL key_vault.user_id = 'user_1'} ],
	team => [ 'NULL', q{SELECT set_config('key_vault.user_id', 'user_3', true), set_config('key_vault.team_id', 'acme', true)} ],
	owner => [ q{'team:acme'}, q{SELECT set_config('key_vault.user_id', 'team:acme', true)} ], nobody => [ 'NULL' ]);
my %by_token = map { $_->[0] => [ $_->[1], q{SELECT key_vault.authenticate('} . $issuer->token(%{ $_->[2] }) . q{')} ] } (
	[ 'token', 'NULL', { sub => 'user_1' } ], [ "another's token", q{'user_2'}, { sub => 'user_1' } ], [ 'no user', 'NULL', { sub => 'user_99' } ],
	[ "member's token", 'NULL', { sub => 'user_3', team => 'acme' } ], [ "team admin's token", q{'team:acme'}, { sub => 'user_3', team => 'acme', admin => JSON::PP::true } ], [ "member's token for the team", q{'team:acme'}, { sub => 'user_3', team => 'acme' } ]);

# All that a role hears: call => the row, or SQLSTATE and message.
sub outcomes
{
	my ($role, $level) = @_;
	my $session = session($coordinator, $role);
	my $ways = $level eq 'tokens' ? \%by_token : \%ways;
	my %heard;
	for my $way (sort keys %$ways)
	{
		next if $way ne 'nobody' && $level =~ /admin|monitor|auditor/;
		my ($user, @before) = @{ $ways->{$way} };
		for my $call (@calls)
		{
			(my $sql = "SELECT $call") =~ s/\bUSER\b/$user/g;
			$sql =~ s/ROOT/$root_key/;
			$session->run('BEGIN');
			$session->query($_) for @before;
			my $result = $session->query($sql);
			$session->run('ROLLBACK');
			$heard{"$way: $call"} = $result->{error} ? "$result->{error}{state} $result->{error}{message}" : join ';', map { join '|', map { $_ // 'NULL' } @$_ } @{ $result->{rows} };
		}
	}
	return \%heard;
}

sub differences
{
	my ($one, $other) = @_;
	return join "\n", map { $one->{$_} eq $other->{$_} ? () : "$_\n  $one->{$_}\n  $other->{$_}" } sort keys %$one;
}

# --- Nothing of the levels is left out

my @missed = grep { my ($name) = /ON (?:FUNCTION|PROCEDURE|ROUTINE|TABLE) key_vault\.(\w+)/; defined $name && !grep { /key_vault\.$name\b/ } @calls }
	split /\n/, sql('SELECT privilege FROM key_vault.level_rights()');
is(join(', ', sort map { /key_vault\.(\w+)/ } @missed), 'authenticate, purge, rotate_root_key, rows_in_shards, secrets, sees_all_users', 'every function and view is asked');

# --- The same

levels_for('before');
my %one = map { $_ => outcomes("before_$_", $_) } @levels, 'tokens';
cmp_ok(scalar(grep { !/^(42501|22004)/ } map { values %$_ } values %one), '>', 250, 'many calls have an answer');
sql('SELECT key_vault.distribute()');
is(sql("SELECT count(*) FROM pg_dist_partition WHERE logicalrelid::text LIKE 'key_vault%'"), 2, 'the keys are distributed');
levels_for('after');
for my $level (@levels, 'tokens')
{
	is(differences($one{$level}, outcomes("${_}_$level", $level)), '', "all is the same for $level, who had it $_") for 'before', 'after';
}

# A token and a key in one statement, which is planned as one
my $tokens = session($coordinator, 'after_tokens');
my $get = q{SELECT key_vault.get(NULL, 'exa') FROM key_vault.authenticate($1)};
for (1 .. 7)
{
	outcome_is($tokens, 'exa-0123456789-newer', 'the key of a token\'s user', $get, $issuer->token(sub => 'user_1'));
	outcome_is($tokens, 'exa-0123456789-of-7', 'and of another\'s', $get, $issuer->token(sub => 'user_7'));
	outcome_is($tokens, 'exa-0123456789-of-acme', 'and of a team\'s', $get, $issuer->token(sub => 'user_40', team => 'acme'));
}
outcome_is($tokens, '28000', 'none for a token that is refused', $get, $issuer->token(sub => 'user_1', exp => time - 3600));
outcome_is($tokens, 'NULL', 'and nobody afterwards', 'SELECT key_vault.current_user_id()');

# What is bound to a key in its shard
my $worker = (grep { $_->port == sql("SELECT nodeport FROM pg_dist_shard_placement WHERE shardid = get_shard_id_for_distribution_column('key_vault_data.secrets', 'user_1')") } @$workers)[0];
my $placement = 'key_vault_data.secrets_' . sql("SELECT get_shard_id_for_distribution_column('key_vault_data.secrets', 'user_1')");
$worker->safe_psql('postgres', qq{UPDATE $placement SET attributes = '{"base_url": "https://thief.example/"}' WHERE provider = 'openai'});
outcome_is(session($coordinator, 'after_service'), 'XX001', 'another address in the shard', q{SELECT key_vault.lookup('user_1', 'openai', 'work')});

done_testing();
