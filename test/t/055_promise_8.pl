# Whatever SQL is injected into a transaction that has user_a's token, in a role of level user,
# it reaches user_a's keys and no others; nor do later requests on the same connection, which
# is reset between them, reach what the attacker left for them.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultAttack;
use KeyVaultTest;
use KeyVaultToken;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_attacked('promise');
my $super = session($node);
my $ring = slurp_file(keyring_path($node));
my %token = map { $_ => good_token($_, exp => time + 3000) } sort keys %keys;

# Each attack: its SQL, what comes of it (a SQLSTATE, or 'done'), and where it would get what it
# wants: at level service or as superuser, without a token.  There it is to show user_b's key
# or row ('shows'), or to end without an error ('done').  What never may be has 'nowhere'.
my @attacks = (
	# calls for another
	[ q{SELECT key_vault.get('user_b', 'gemini')}, '42501', 'service shows' ],
	[ q{SELECT key_vault.require('user_b', 'gemini')}, '42501', 'service shows' ],
	[ q{SELECT key_vault.get_all('user_b')}, '42501', 'service shows' ],
	[ q{SELECT hint FROM key_vault.list('user_b')}, '42501', 'service shows' ],
	[ q{SELECT hint FROM key_vault.versions('user_b', 'gemini')}, '42501', 'service shows' ],
	[ q{SELECT hint FROM key_vault.onboarding('user_b')}, '42501', 'service shows' ],
	[ q{SELECT key_vault.source('user_b', 'gemini')}, '42501', 'service done' ],
	[ q{SELECT key_vault.get(u, 'gemini') FROM (VALUES ('user_b')) AS v (u)}, '42501', 'service shows' ],
	[ q{SELECT key_vault.get(user_id, 'gemini') FROM posts WHERE user_id <> 'user_a'}, '42501', 'service shows' ],
	[ q{SELECT key_vault.set('user_b', 'gemini', 'AIza-of-the-attacker-0123')}, '42501', 'service done' ],
	[ q{SELECT key_vault.set('user_b', 'exa', 'of-the-attacker-0123456')}, '42501', 'service done' ],
	[ q{SELECT key_vault.delete('user_b', 'gemini')}, '42501', 'service done' ],
	[ q{SELECT key_vault.rollback('user_b', 'gemini', 1)}, '42501', 'service done' ],
	[ q{SELECT key_vault.forget('user_b')}, '42501', 'service done' ],
	[ q{SELECT key_vault.record_usage('user_b', 'gemini')}, '42501', 'service done' ],
	[ q{SELECT key_vault.import_dotenv('user_b', 'EXA_API_KEY=of-the-attacker-0123456')}, '42501', 'service done' ],
	[ q{SELECT key_vault.revoke_tokens('user_b')}, '42501', 'service done' ],
	[ q{DO $$ BEGIN PERFORM key_vault.get('user_b', 'gemini'); EXCEPTION WHEN OTHERS THEN
		RAISE NOTICE 'still as %', key_vault.current_user_id(); END $$; SELECT key_vault.get(NULL, 'gemini')}, 'done', 'nowhere' ],
	[ q{PREPARE p AS SELECT key_vault.get('user_b', 'gemini'); EXECUTE p}, '42501', 'service shows' ],
	[ q{COPY (SELECT key_vault.get('user_b', 'gemini')) TO STDOUT}, '42501', 'service done' ],
	[ q{EXPLAIN (ANALYZE, VERBOSE) SELECT key_vault.get('user_b', 'gemini')}, '42501', 'service done' ],

	# the tables
	[ q{SELECT s::text FROM key_vault.secrets s WHERE user_id = 'user_b'}, 'done', 'superuser shows' ],
	[ q{SELECT encode(sealed, 'hex') FROM key_vault.secrets WHERE user_id >= 'user_b' OR pg_sleep(0) IS NULL}, 'done', 'superuser shows' ],
	[ q{SELECT i::text FROM key_vault.inventory i}, '42501', 'superuser shows' ],
	[ q{SELECT s::text FROM key_vault_data.secrets s}, '42501', 'superuser shows' ],
	[ q{SELECT s::text FROM key_vault_data.sealed_records s}, '42501', 'superuser done' ],
	[ q{SELECT r::text FROM key_vault_data.root_key_registry r}, '42501', 'superuser done' ],
	[ q{COPY key_vault_data.secrets TO STDOUT}, '42501', 'superuser done' ],
	[ q{LOCK TABLE key_vault_data.secrets IN ACCESS EXCLUSIVE MODE}, '42501', 'superuser done' ],
	[ q{DELETE FROM key_vault_data.secrets WHERE user_id = 'user_b'}, '42501', 'superuser done' ],
	[ q{UPDATE key_vault_data.secrets SET hint = 'mine' WHERE user_id = 'user_b'}, '42501', 'superuser done' ],
	[ q{SELECT most_common_vals::text FROM pg_stats WHERE schemaname = 'key_vault_data'}, 'done', 'superuser done' ],
	[ q{SELECT s::text FROM pg_statistic s}, '42501', 'superuser done' ],

	# the identity
	[ q{SELECT set_config('key_vault.user_id', 'user_b', true); SELECT key_vault.get(NULL, 'gemini')}, '42501', 'service shows' ],
	[ q{SELECT set_config('key_vault.user_id', 'user_b', false); SELECT key_vault.get(NULL, 'gemini')}, '42501', 'service shows' ],
	[ q{SET LOCAL key_vault.user_id = 'user_b'; SELECT key_vault.get(NULL, 'gemini')}, '42501', 'service shows' ],
	[ q{SET SESSION key_vault.user_id = 'user_b'; SELECT key_vault.get(NULL, 'gemini')}, '42501', 'service shows' ],
	[ q{SELECT set_config('key_vault.team_id', 'acme', true)}, '42501', 'service done' ],
	[ q{RESET key_vault.user_id; SELECT key_vault.get('user_b', 'gemini')}, '42501', 'service shows' ],
	[ q{RESET ALL; SELECT key_vault.get('user_b', 'gemini')}, '42501', 'service shows' ],
	[ q{RESET ALL; SELECT key_vault.get(NULL, 'gemini')}, 'done', 'nowhere' ],
	[ q{RESET ALL; SELECT set_config('key_vault.user_id', 'user_b', true)}, '42501', 'service done' ],
	[ q{RESET ALL; SET LOCAL max_parallel_workers_per_gather = 2; SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0;
		SELECT string_agg(hint, ',') FROM key_vault.secrets}, 'done', 'superuser shows' ],
	[ q{DISCARD ALL}, '25001', 'nowhere' ],
	[ q{DISCARD PLANS; DISCARD SEQUENCES; SELECT key_vault.get('user_b', 'gemini')}, '42501', 'service shows' ],
	[ q{RESET SESSION AUTHORIZATION; RESET ROLE; SELECT key_vault.get('user_b', 'gemini')}, '42501', 'service shows' ],
	[ q{SET ROLE regress_kv_service; SELECT key_vault.get('user_b', 'gemini')}, '42501', 'superuser shows' ],
	[ q{SET SESSION AUTHORIZATION regress_kv_service; SELECT key_vault.get('user_b', 'gemini')}, '42501', 'superuser shows' ],
	[ q{SELECT set_config('role', 'regress_kv_service', true); SELECT key_vault.get('user_b', 'gemini')}, '42501', 'superuser shows' ],
	[ q{SET LOCAL row_security = off; SELECT s::text FROM key_vault.secrets s}, '42501', 'superuser shows' ],
	[ q{SET LOCAL session_replication_role = replica}, '42501', 'superuser done' ],
	[ q{SET LOCAL key_vault.redact = off}, '42501', 'superuser done' ],
	[ q{SET LOCAL log_statement = 'all'}, '42501', 'superuser done' ],
	[ q{SHOW key_vault.keyring_file}, '42501', 'superuser done' ],
	[ q{SELECT set_config('search_path', 'pg_temp, posts, key_vault', false); SELECT get('user_b', 'gemini')}, '42501', 'service shows' ],
	[ q{ALTER ROLE regress_kv_web SET key_vault.user_id = 'user_b'}, '42501', 'superuser done' ],
	[ q{ALTER DATABASE postgres SET key_vault.user_id = 'user_b'}, '42501', 'superuser done' ],
	[ q{ALTER ROLE regress_kv_service SET search_path = pg_temp}, '42501', 'superuser done' ],
	[ q{ALTER SYSTEM SET key_vault.keyring_file = '/tmp/mine'}, '25001', 'nowhere' ],
	[ q{GRANT SET ON PARAMETER key_vault.user_id TO regress_kv_web}, '42501', 'superuser done' ],
	[ q{GRANT regress_kv_service TO regress_kv_web}, '42501', 'superuser done' ],
	[ q{SELECT key_vault.grant_access('regress_kv_web', 'service')}, '42501', 'superuser done' ],

	# the transaction and its parts
	[ q{SAVEPOINT s; SELECT key_vault.get('user_b', 'gemini')}, '42501', 'service shows' ],
	[ q{COMMIT; SELECT key_vault.get(NULL, 'gemini')}, '22004', 'nowhere' ],
	[ q{COMMIT; SELECT key_vault.get('user_b', 'gemini')}, '42501', 'service shows' ],
	[ q{COMMIT; SELECT key_vault.get('user_a', 'gemini')}, '42501', 'service done' ],
	[ q{COMMIT AND CHAIN; SELECT key_vault.get('user_b', 'gemini')}, '42501', 'service shows' ],
	[ q{COMMIT AND CHAIN; SELECT key_vault.get(NULL, 'gemini')}, '22004', 'nowhere' ],
	[ q{ROLLBACK AND CHAIN; SELECT key_vault.get(NULL, 'gemini')}, '22004', 'nowhere' ],
	[ q{ROLLBACK; BEGIN; SET LOCAL key_vault.user_id = 'user_b'; SELECT key_vault.get(NULL, 'gemini')}, '42501', 'service shows' ],
	[ q{ROLLBACK; SELECT s::text FROM key_vault.secrets s}, 'done', 'superuser shows' ],
	[ q{DECLARE c CURSOR WITH HOLD FOR SELECT key_vault.get(NULL, 'gemini'); COMMIT; FETCH c}, 'done', 'nowhere' ],
	[ q{DECLARE c CURSOR WITH HOLD FOR SELECT key_vault.get('user_b', 'gemini'); COMMIT; FETCH c}, '42501', 'service shows' ],
	[ q{DECLARE c CURSOR FOR SELECT key_vault.get('user_b', 'gemini'); FETCH c}, '42501', 'service shows' ],
	[ q{DECLARE c CURSOR FOR SELECT s::text FROM key_vault.secrets s; RESET ALL; FETCH ALL FROM c}, 'done', 'superuser shows' ],

	# issuers
	[ "SELECT key_vault.trust_issuer('https://login.example', '{app}', '" . new_issuer(kid => 'first')->jwks . "')", '42501', 'superuser done' ],
	[ q{SELECT key_vault.distrust_issuer('https://login.example')}, '42501', 'superuser done' ],
	[ q{SELECT i::text FROM key_vault.issuers i}, '42501', 'superuser done' ],
	[ q{INSERT INTO key_vault_data.sealed_records SELECT * FROM key_vault_data.sealed_records}, '42501', 'nowhere' ],

	# objects of one's own
	[ q{CREATE TEMP TABLE posts (title text)}, '42501', 'service done' ],
	[ q{CREATE TEMP VIEW posts AS SELECT key_vault.get(NULL, 'gemini') AS title}, '42501', 'service done' ],
	[ q{CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
		$$ BEGIN RAISE NOTICE 'leaked %', $1; RETURN true; END $$; SELECT hint FROM key_vault.secrets WHERE pg_temp.leak(user_id || hint)}, '42501', 'service done' ],
	[ q{CREATE FUNCTION public.as_b() RETURNS text LANGUAGE sql SET key_vault.user_id = 'user_b' AS $$ SELECT key_vault.get(NULL, 'gemini') $$}, '42501', 'superuser done' ],
	[ q{CREATE TABLE public.mine (c text)}, '42501', 'superuser done' ],
	[ q{CREATE SCHEMA mine}, '42501', 'superuser done' ],
	[ q{CREATE EXTENSION pgcrypto}, '42501', 'nowhere' ],
	[ q{CREATE POLICY p ON key_vault_data.secrets USING (true)}, '42501', 'superuser done' ],
	[ q{CREATE RULE r AS ON INSERT TO posts DO ALSO SELECT key_vault.get(NULL, 'gemini')}, '42501', 'superuser done' ],
	[ q{CREATE TRIGGER t BEFORE INSERT ON guestbook FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()}, '42501', 'superuser done' ],

	# the server around it
	[ q{COPY guestbook FROM PROGRAM 'cat RING'}, '42501', 'superuser done' ],
	[ q{COPY guestbook FROM 'RING'}, '42501', 'superuser done' ],
	[ q{SELECT pg_read_file('RING')}, '42501', 'superuser done' ],
	[ q{SELECT lo_import('RING')}, '42501', 'superuser done' ],
	[ q{LOAD 'RING'}, '42501', 'nowhere' ],
	[ q{SELECT query FROM pg_stat_activity}, 'done', 'nowhere' ],
	[ q{SELECT pg_backend_pid(), query FROM pg_stat_get_activity(NULL)}, 'done', 'nowhere' ]);

sub sql_of
{
	my ($attack) = @_;
	return $attack->[0] =~ s/RING/keyring_path($node)/ger;
}

sub name_of
{
	my ($attack) = @_;
	my $name = $attack->[0] =~ s/\s+/ /gr;
	return length $name > 90 ? substr($name, 0, 90) . '...' : $name;
}

sub outcome_of { my ($result) = @_; return $result->{error} ? $result->{error}{state} : 'done'; }

# What an attack gets in a transaction of user_a's, and what user_b's request and user_a's next
# one get after it, with the connection reset before each of them.
sub attack
{
	my ($session, $attack) = @_;
	my $name = name_of($attack);
	my @came = ($session->query('BEGIN'), $session->query('SELECT key_vault.authenticate($1)', $token{user_a}));
	is($came[1]{rows}[0][0], 'user_a', "user_a's request, into which is injected: $name") or diag(heard(@came));
	push @came, my $result = $session->simple(sql_of($attack));
	is(outcome_of($result), $attack->[1], '... gets what it gets') or diag(heard($result));
	push @came, $session->query('SELECT key_vault.current_user_id()'), $session->query(q{SELECT key_vault.get(NULL, 'gemini')});
	push @came, $session->simple('ROLLBACK'), $session->simple('DISCARD ALL');
	is(belongs_to_b(heard(@came)), undef, '... and nothing of user_b');
	unlike(heard(@came), qr/\Q@{[ substr $ring, -80, 40 ]}\E/, '... nor of the keyring');

	my @next = request($session, $token{user_b}, [ q{SELECT key_vault.current_user_id()} ], [ q{SELECT key_vault.get(NULL, 'gemini')} ], 'SELECT title FROM posts');
	is_deeply([ $next[2]{rows}[0][0], $next[3]{rows}[0][0], scalar @{ $next[4]{rows} } ], [ 'user_b', $keys{user_b}, 2 ], '... user_b\'s request is served as ever') or diag(heard(@next));
	$session->run('DISCARD ALL');
	is(belongs_to_b(look_for_loot($session)), undef, '... and leaves nothing for user_a');
	$session->run('DISCARD ALL');
	return;
}

# Whether the attack is one: where it is allowed, it gets what it wants.
sub works
{
	my ($attack) = @_;
	my ($who, $what) = split ' ', $attack->[2];
	return if $who eq 'nowhere';
	my $session = session($node, $who eq 'service' ? 'regress_kv_service' : undef);
	$session->run('BEGIN');
	my $result = $session->simple(sql_of($attack));
	$session->simple('ROLLBACK');
	my $works = $what eq 'done' ? outcome_of($result) eq 'done' : defined belongs_to_b(heard($result));
	ok($works, "the control, by $who: " . name_of($attack)) or diag(heard($result));
	$session->close;
	return;
}

my $before = vault_state($super);
my $pooled = session($node, 'regress_kv_web');
for my $attack (@attacks)
{
	works($attack);
	attack($pooled, $attack);
	my $fresh = session($node, 'regress_kv_web');
	attack($fresh, $attack);
	$fresh->close;
}

# --- Every function that there is, called for user_b

my @functions = @{ $super->query(q{SELECT p.proname, p.oid::regprocedure, p.prokind,
	ARRAY(SELECT format(CASE WHEN n = 'user_id' THEN '%L' WHEN t = 'text'::regtype THEN '%L' ELSE 'NULL' END || '::%s',
			CASE n WHEN 'user_id' THEN 'user_b' WHEN 'provider' THEN 'gemini' WHEN 'label' THEN 'default' WHEN 'content' THEN 'A=b' ELSE 'of-the-attacker-0123' END, t)
		FROM unnest(p.proargnames[:p.pronargs], p.proargtypes::oid[]::regtype[]) WITH ORDINALITY u (n, t, i) ORDER BY i)
	FROM pg_proc p WHERE p.pronamespace = 'key_vault'::regnamespace AND p.prorettype <> 'trigger'::regtype ORDER BY 1})->{rows} };
cmp_ok(scalar @functions, '>', 40, 'there are functions');
for my $function (@functions)
{
	my ($name, $signature, $kind, $arguments) = @$function;
	my @arguments = $arguments =~ /"((?:[^"\\]|\\.)*)"|([^{},]+)/g;
	my $list = join ', ', grep { defined } @arguments;
	my $sql = ($kind eq 'p' ? 'CALL ' : 'SELECT * FROM ') . "key_vault.$name($list)";
	my @came = request($pooled, $token{user_a}, $sql);
	is(belongs_to_b(heard(@came)), undef, "$signature for user_b: " . outcome_of($came[2]));
	$pooled->run('DISCARD ALL');
}

# --- What other requests of the same role are doing

{
	my $busy = session($node, 'regress_kv_web');
	$busy->run('BEGIN');
	$busy->simple("SELECT key_vault.get(NULL, 'gemini') FROM key_vault.authenticate('$token{user_b}')");
	my $seen = heard(request($pooled, $token{user_a}, 'SELECT pid, state, query FROM pg_stat_activity'));
	like($seen, qr/idle in transaction\|.*authenticate/, 'another request\'s statement is seen by the same role');
	unlike($seen, qr/\Q@{[ substr $token{user_b}, 0, 40 ]}\E|\Q$keys{user_b}\E/, '... without its token, also when that stood in the text');
	$busy->run('ROLLBACK');
}

# --- A transaction that the attacker prepares, and leaves behind: nothing of the token stays in the
# session, without any reset, and nothing comes back with COMMIT PREPARED

{
	my $session = session($node, 'regress_kv_web');
	my $prepared = q{SELECT count(*) FROM pg_prepared_xacts};
	my ($whoami, $get) = (q{SELECT key_vault.current_user_id()}, q{SELECT key_vault.get(NULL, 'gemini')});
	$session->run('BEGIN');
	$session->query('SELECT key_vault.authenticate($1)', $token{user_a});
	outcome_is($session, 'user_a', 'the control: before PREPARE TRANSACTION there is an identity', $whoami);
	$session->run(q{INSERT INTO guestbook SELECT key_vault.get(NULL, 'gemini')}, q{SELECT key_vault.set(NULL, 'exa', 'of-user_a-and-prepared')}, q{SELECT key_vault.revoke_tokens(NULL)}, q{PREPARE TRANSACTION 'mine'});
	is($super->value($prepared), '1', '... which is prepared, with a key of user_a and a revocation in it');
	outcome_is($session, 'NULL', '... after it there is none', $whoami);
	outcome_is($session, '', '... nor a setting', q{SELECT current_setting('key_vault.user_id')});
	outcome_is($session, '22004', '... for a call without a user', $get);
	outcome_is($session, '42501', '... or with the attacker\'s own', q{SELECT key_vault.get('user_a', 'gemini')});
	my @next = request($session, $token{user_b}, [$whoami], [$get]);
	is_deeply([ map { $_->{rows}[0][0] } @next[ 2, 3 ] ], [ 'user_b', $keys{user_b} ], '... user_b is served in the same session') or diag(heard(@next));

	# It holds nobody up: not who revokes, nor who stores a key
	my $service = session($node, 'regress_kv_service');
	$service->run(q{SET statement_timeout = '5s'});
	outcome_is($service, '', '... tokens of user_a can be revoked beside it', q{SELECT key_vault.revoke_tokens('user_a', now() - interval '1 day')});
	outcome_is($service, '1', '... and a key of user_b stored', q{SELECT key_vault.set('user_b', 'exa', 'of-user_b-beside-it')});

	# Whoever commits it gets no identity by that
	$session->run(q{COMMIT PREPARED 'mine'});
	outcome_is($session, 'NULL', 'COMMIT PREPARED brings no identity', $whoami);
	@next = request($session, $token{user_b}, [$get]);
	is($next[2]{rows}[0][0], $keys{user_b}, '... user_b is served after it');
	outcome_is($session, '28000', '... and the revocation in it counts', 'SELECT key_vault.authenticate($1)', good_token('user_a', iat => time - 60));
	is($super->value(q{SELECT string_agg(DISTINCT entry, ' ') FROM guestbook WHERE entry LIKE 'AIza-of-user%'}), $keys{user_a}, '... in the guestbook is what user_a may read');
	$super->run('TRUNCATE key_vault_data.revocations', 'TRUNCATE guestbook', q{SELECT key_vault.delete(u, 'exa') FROM unnest('{user_a,user_b}'::text[]) u});
	$session->close;
}

# --- What outlives every reset: a role may change its own settings and its own password

{
	is(outcome_of((request($pooled, $token{user_a}, q{ALTER ROLE regress_kv_web SET search_path = pg_temp, public}))[2]), 'done',
		'not promised: injected SQL changes the settings that its role has in later sessions');
	my $later = session($node, 'regress_kv_web');
	my @came = request($later, $token{user_b}, [ q{SELECT key_vault.get(NULL, 'gemini')} ], 'SELECT title FROM posts');
	is($came[2]{rows}[0][0], $keys{user_b}, '... which gets nobody another\'s key');
	is(belongs_to_b(look_for_loot($later)), undef, '... and leaves none behind');
	$super->run('ALTER ROLE regress_kv_web RESET ALL');
}

# --- Afterwards

is(vault_state($super), $before, 'nothing of ours has changed');
is(slurp_file(keyring_path($node)), $ring, 'nor has the keyring');
is($super->value(q{SELECT key_vault.get('user_b', 'gemini')}), $keys{user_b}, 'user_b has its key');
unlike(slurp_file($node->logfile), qr/\Q$keys{user_b}\E|\Q@{[ substr $token{user_a}, 0, 60 ]}\E|\Q@{[ substr $token{user_b}, 0, 60 ]}\E/, 'no key and no token is in the log');

done_testing();
