# docs/identity.md: its blocks as they stand there.  For each provider the call that trusts it,
# with keys that are made here; a token with the claims that the provider documents is
# accepted, one for somebody else's application is not.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use JSON::PP;
use KeyVaultDocs;
use KeyVaultTest;
use KeyVaultToken;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $folder = PostgreSQL::Test::Utils::tempdir;
my $node = new_vault('identity', conf => "shared_preload_libraries = 'key_vault'\n");
$node->append_conf('postgresql.conf', "key_vault.keyring_file = '$folder/%d.keyring'");
$node->restart;
$node->safe_psql('postgres', 'CREATE DATABASE app');
install_vault($node, 'app');
my %keys = map { $_ => "AIza-of-$_-0123456789" } qw(user_a user_b);
$node->safe_psql('app', "SELECT key_vault.set('$_', 'gemini', '$keys{$_}')") for sort keys %keys;

# --- Blocks

my @blocks = blocks_by('058_identity_docs.pl');
my %used;

# The one block that has this text.
sub block_with
{
	my ($text) = @_;
	my @found = grep { index($blocks[$_]{text}, $text) >= 0 } 0 .. $#blocks;
	is(scalar @found, 1, "one block has: $text");
	$used{ $found[0] } = 1;
	return $blocks[ $found[0] ]{text};
}

# What psql prints of a block, or its error.
sub run_sql
{
	my ($sql, $role, %variable) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ qw(psql -X -q -A -t -v ON_ERROR_STOP=1 -v VERBOSITY=sqlstate), (map { ('-v', "$_=$variable{$_}") } sort keys %variable),
			'-d', $node->connstr('app') . (defined $role ? " user=$role" : '') ], '<', \$sql, '>', \$out, '2>', \$err);
	return $err =~ /ERROR:  (\w{5})/ ? $1 : $out =~ s/\A\n+//r;    # what returns nothing prints an empty line
}

sub run_shell
{
	my ($commands, %environment) = @_;
	local @ENV{ qw(PGHOST PGPORT), keys %environment } = ($node->host, $node->port, values %environment);
	my $out = '';
	my $ok = IPC::Run::run([ qw(bash -e -o pipefail -s) ], '<', \$commands, '>', \$out, '2>&1', init => sub { chdir $folder or die });
	return $ok ? 'ok' : "failed: $out";
}

my $web;

# A token's user and team, or the SQLSTATE.
sub user_of
{
	my ($token) = @_;
	$web //= session($node, 'app_web', dbname => 'app');
	$web->run('BEGIN');
	my $result = $web->query('SELECT key_vault.authenticate($1)', $token);
	my $team = $result->{error} ? '' : $web->value('SELECT key_vault.current_team_id()');
	$web->run('ROLLBACK');
	return $result->{error} ? $result->{error}{state} : join ' in ', grep { defined } $result->{rows}[0][0], $team;
}

# --- Set up, a request

my $login = new_issuer(issuer => 'https://login.example.com', algorithm => 'ES256', kid => 'one', audience => 'https://api.example.com');
is(run_sql(block_with('CREATE ROLE app_web'), undef, jwks => $login->jwks), '', 'the set-up');
my %token = map { $_ => $login->token(sub => $_, exp => time + 3000) } keys %keys;
is(run_sql(block_with("SELECT key_vault.authenticate(:'token');"), 'app_web', token => $token{user_a}), "user_a\n$keys{user_a}\n", 'a request');
is(run_sql(q{SELECT key_vault.get(NULL, 'gemini') FROM key_vault.authenticate(:'token')}, 'app_web', token => $token{user_b}), "$keys{user_b}\n", 'in one statement');

# --- A policy of one's own

is(run_sql(block_with('CREATE TABLE documents')), '', 'a table with a policy');
my $org = new_issuer(issuer => 'https://login.example.com', algorithm => 'ES256', kid => 'one');
{
	$node->safe_psql('app', q{INSERT INTO documents VALUES ('user_a', NULL, 'of a'), ('user_b', NULL, 'of b'), ('user_c', 'acme', 'of acme')});
	my $titles = sub { return run_sql(qq{BEGIN; SELECT FROM key_vault.authenticate(:'token'); $_[1]; COMMIT}, 'app_web', token => $_[0]) };
	my $all = q{SELECT string_agg(title, ', ' ORDER BY title) FROM documents};
	is($titles->($token{user_a}, $all), "of a\n", 'a user sees its own documents');
	is($titles->($token{user_b}, $all), "of b\n", '... the other user the other ones');
	is($titles->($token{user_a}, q{INSERT INTO documents (title) VALUES ('new') RETURNING user_id}), "user_a\n", 'a new one is the user\'s');
	is($titles->($token{user_a}, q{INSERT INTO documents VALUES ('user_b', NULL, 'x')}), '42501', '... and nobody else\'s');
	is($titles->($token{user_a}, q{UPDATE documents SET title = 'x' WHERE title = 'of b' RETURNING 1}), '', 'nor is another\'s changed');
	is(run_sql($all, 'app_web'), '', 'nobody sees none');
}

# --- What injected SQL leaves behind

{
	my $injected = block_with('CREATE TEMP VIEW documents');
	my $key_after = sub {
		my ($reset) = @_;
		my $session = session($node, 'app_web', dbname => 'app');
		my $request = sub {
			my ($user, $sql) = @_;
			$session->run('BEGIN');
			$session->value('SELECT key_vault.authenticate($1)', $token{$user});
			my $result = $session->simple($sql);
			$session->simple($result->{error} ? 'ROLLBACK' : 'COMMIT');
			$session->run('DISCARD ALL') if $reset;
			return $result;
		};
		my $left = $request->('user_a', $injected);
		$request->('user_b', 'SELECT title FROM documents');
		my $loot = $request->('user_a', q{SELECT current_setting('loot.key', true)})->{rows}[0][0] // '';
		return $left->{error} ? $left->{error}{state} : $loot =~ /\Q$keys{user_b}\E/ ? 'user_b\'s key' : 'nothing';
	};
	is($key_after->(0), '42501', 'without TEMPORARY the view cannot be made');
	$node->safe_psql('app', 'GRANT TEMPORARY ON DATABASE app TO PUBLIC');
	is($key_after->(0), 'user_b\'s key', 'with it, and no reset, it takes user_b\'s key');
	is($key_after->(1), 'nothing', '... and with a reset it does not');
}

# --- psycopg's pool

SKIP:
{
	my $python = '/usr/bin/python3';
	my $block = block_with('from psycopg_pool import ConnectionPool');
	my $injected = block_with('CREATE TEMP VIEW documents');
	skip 'python3-psycopg-pool is not installed', 2 if system("$python -c 'import psycopg_pool' 2>/dev/null") != 0;
	append_to_file("$folder/pool.py", $block . q{
import sys
conninfo, token_a, token_b, injected, how = sys.argv[1:]
if how == "without":
    forget_session = None
pool = open_pool(conninfo)
pool.resize(1, 1)    # one connection for both users
pool.wait()

backends = set()
def request(token, sql):
    with pool.connection() as connection:
        backends.add(connection.info.backend_pid)
        connection.execute("SELECT key_vault.authenticate(%s)", (token,))
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else None

request(token_a, injected)
request(token_b, "SELECT title FROM documents")
assert len(backends) == 1, backends
print(request(token_a, "SELECT current_setting('loot.key', true)")[0][0])
pool.close()
});
	for my $how ('with', 'without')
	{
		my ($out, $err) = run_command([ $python, "$folder/pool.py", $node->connstr('app') . ' user=app_web', @token{qw(user_a user_b)}, $injected, $how ]);
		is($err, '', "psycopg's pool $how the callback runs");
		($how eq 'with' ? \&unlike : \&like)->($out, qr/\Q$keys{user_b}\E/, $how eq 'with' ? '... and nothing is taken' : '... and user_b\'s key is taken');
	}
}

# --- asyncpg's pool: its own reset leaves what was injected, the one that is shown does not

SKIP:
{
	my $python = '/usr/bin/python3';
	my $block = block_with('import asyncpg');
	my $injected = block_with('CREATE TEMP VIEW documents');
	skip 'python3-asyncpg is not installed', 4 if system("$python -c 'import asyncpg' 2>/dev/null") != 0;
	append_to_file("$folder/asyncpg_pool.py", $block . q{
import asyncio
import sys
host, port, token_a, token_b, injected, how = sys.argv[1:]
backends = set()

async def request(pool, token, sql):
    async with pool.acquire() as connection:
        backends.add(connection.get_server_pid())
        async with connection.transaction():
            await connection.fetchval("SELECT key_vault.authenticate($1)", token)
            return await connection.fetchval(sql) if sql.startswith("SELECT") else await connection.execute(sql)

async def main():
    dsn = f"postgresql://app_web@/app?host={host}&port={port}"
    async with open_pool(dsn) if how == "shown" else asyncpg.create_pool(dsn, min_size=1) as pool:
        await request(pool, token_a, injected)
        await request(pool, token_a, "PREPARE stays AS SELECT 1")
        print(await request(pool, token_b, "SELECT title FROM documents ORDER BY title LIMIT 1"))
        print(await request(pool, token_b, "SELECT count(*) FROM pg_prepared_statements WHERE name = 'stays'"))
    assert len(backends) == 1, backends

asyncio.run(main())
});
	for my $how ('own', 'shown')
	{
		my ($out, $err) = run_command([ $python, "$folder/asyncpg_pool.py", $node->host, $node->port, @token{qw(user_a user_b)}, $injected, $how ]);
		is($err, '', "asyncpg's pool with the reset that is $how");
		is($out, $how eq 'own' ? "$keys{user_b}\n1" : "of b\n0", $how eq 'own' ? '... runs the view that was left there' : '... reads the table');
	}
}
$node->safe_psql('app', 'REVOKE TEMPORARY ON DATABASE app FROM PUBLIC');

# --- Providers

sub distrust_all { $node->safe_psql('app', 'SELECT key_vault.distrust_issuer(issuer) FROM key_vault.issuers'); return; }

# provider(its name, the text of its block, its first key, its key set, its documented claims,
# who that is, wrong claims ...)
sub provider
{
	my ($name, $text, $signer, $jwks, $claims, $user, @wrong) = @_;
	distrust_all();
	my $token = sub { return $signer->token(aud => undef, %$claims, @_) };
	is(user_of($token->()), '28000', "$name is not trusted yet");
	is(run_sql(block_with($text), undef, jwks => $jwks), '', "$name: the call as it stands there");
	is(user_of($token->()), $user, "$name: a token with its documented claims");
	for my $wrong (@wrong)
	{
		my $said = JSON::PP->new->canonical->encode($wrong);
		is(user_of($token->(%$wrong)), '28000', "$name: refused with $said");
	}
	is(user_of(new_issuer(%$signer, secret => undef)->token(aud => undef, %$claims)), '28000', "$name: refused when another key has signed it");
	return;
}

my $auth0 = new_issuer(issuer => 'https://example.eu.auth0.com/', algorithm => 'RS256', kid => 'NjVBRjY5MDlCMUIwNzU4RTA2QzZFMDQ4QzQ2MDAyQjVDNjk1RTM2Qg');
my %auth0 = (sub => 'auth0|507f1f77bcf86cd799439020', aud => [ 'https://api.example.com', 'https://example.eu.auth0.com/userinfo' ],
	azp => 'my_client_id', scope => 'openid profile', exp => time + 86400 - 60, iat => time - 60);
provider('Auth0', "'https://example.eu.auth0.com/', '{https://api.example.com}', :'jwks', team_claim", $auth0, $auth0->jwks, \%auth0, 'auth0|507f1f77bcf86cd799439020',
	{ aud => [ 'https://other.example.com', 'https://example.eu.auth0.com/userinfo' ] }, { aud => 'my_client_id' }, { aud => undef }, { iss => 'https://example.eu.auth0.com' },
	{ sub => undef });
is(user_of($auth0->token(%auth0, org_id => 'org_9ybsU1dN2dKfDkBi')), 'auth0|507f1f77bcf86cd799439020 in org_9ybsU1dN2dKfDkBi', '... and an organization is its team');

my $clerk = new_issuer(issuer => 'https://clerk.example.com', algorithm => 'RS256', kid => 'ins_2GIoQhbUpy0hX7B2cVkuTMinXoD');
my %clerk = (sub => 'user_2GIpXOEpVyJw51rkZn9Kmnc6Sxr', azp => 'https://app.example.com', sid => 'sess_2GbDB4enNdCa5vS1zpC3Xzg9tK9', sts => 'active',
	fva => [ 0, -1 ], v => 2, nbf => time - 10, iat => time, exp => time + 60);
provider('Clerk', 'https://clerk.example.com', $clerk, $clerk->jwks, \%clerk, 'user_2GIpXOEpVyJw51rkZn9Kmnc6Sxr',
	{ azp => 'https://evil.example.com' }, { azp => undef }, { azp => undef, aud => 'https://app.example.com' }, { iat => time - 300, exp => time - 240 });

my $supabase = new_issuer(issuer => 'https://abcdefghijklmnop.supabase.co/auth/v1', algorithm => 'ES256', kid => '3a18cfe2-7226-43b0-bc1d-7c3a2b1b2f1e');
my %supabase = (sub => '8ccaa7af-909f-44e7-84cb-67cdccb56be6', aud => 'authenticated', role => 'authenticated', aal => 'aal1', session_id => 'b3b4f1d7-1111-4a7a-8a39-000000000000',
	email => 'a@example.com', phone => '', app_metadata => { provider => 'email', providers => ['email'] }, user_metadata => {}, is_anonymous => JSON::PP::false,
	amr => [ { method => 'password', timestamp => time } ], iat => time, exp => time + 3600);
provider('Supabase', 'supabase.co', $supabase, $supabase->jwks, \%supabase, '8ccaa7af-909f-44e7-84cb-67cdccb56be6',
	{ aud => 'anon' }, { iss => 'https://zyxwvutsrqponmlk.supabase.co/auth/v1' }, { aud => undef });
my $legacy = new_issuer(issuer => 'https://abcdefghijklmnop.supabase.co/auth/v1', algorithm => 'HS256', kid => undef, secret => 'super-secret-jwt-token-with-at-least-32-characters-long');
is(user_of($legacy->token(%supabase)), '28000', '... its legacy secret is not trusted with the keys');
is(run_sql(block_with('supabase.co'), undef, jwks => $legacy->jwks), '', '... but as a key set of its own');
is(user_of($legacy->token(%supabase)), '8ccaa7af-909f-44e7-84cb-67cdccb56be6', '... it is');

my $keycloak = new_issuer(issuer => 'https://sso.example.com/realms/shop', algorithm => 'RS256', kid => 'sig-key');
my $encrypts = new_issuer(algorithm => 'RS256', kid => 'enc-key');
my $certs = JSON::PP->new->canonical->encode({ keys => [ { %{ $encrypts->{jwk} }, use => 'enc', alg => 'RSA-OAEP' },
	{ %{ $keycloak->{jwk} }, use => 'sig', x5t => 'x', 'x5t#S256' => 'y', x5c => ['MIICnTCCAYUCBgF'] } ] });
my %keycloak = (sub => 'f1888f4d-5172-4359-be0c-af338505d86c', aud => [ 'api', 'account' ], azp => 'spa', typ => 'Bearer', jti => 'onrtac:1', sid => 's', acr => '1',
	'allowed-origins' => ['https://app.example.com'], realm_access => { roles => ['user'] }, scope => 'openid', preferred_username => 'a', iat => time, exp => time + 300);
provider('Keycloak', 'https://sso.example.com/realms/shop', $keycloak, $certs, \%keycloak, 'f1888f4d-5172-4359-be0c-af338505d86c',
	{ aud => 'account' }, { aud => 'other-api' }, { iss => 'https://sso.example.com/realms/other' });

is(run_shell(block_with('openssl genpkey')), 'ok', 'a login of one\'s own makes a key pair');
my $own = new_issuer(issuer => 'app-login', algorithm => 'ES256', kid => '2026-01');
$own->{file} = "$folder/login.pem";
provider('a login of one\'s own', "'app-login'", $own, slurp_file("$folder/jwks.json"), { sub => 'user_a', aud => 'app' }, 'user_a',
	{ aud => 'shop' }, { iat => time - 13 * 3600 });

# What signs with Ed25519 is passed over, and alone it is no key set
my $okp = { kty => 'OKP', crv => 'Ed25519', alg => 'EdDSA', kid => 'ed', x => '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' };
is(run_sql(block_with("'app-login'"), undef, jwks => JSON::PP->new->encode({ keys => [$okp] })), '22023', 'a key set with Ed25519 alone is refused');

# --- Keys that rotate

distrust_all();
SKIP:
{
	my $job = block_with('$JWKS_URL');
	skip 'curl is not installed', 8 if system('curl --version >/dev/null 2>&1') != 0;
	my $next = new_issuer(%$login, kid => 'two');
	my $published = "$folder/published.json";
	my $publish = sub { unlink $published; append_to_file($published, shift); return run_shell($job, JWKS_URL => "file://$published") };
	is($publish->($login->jwks), 'ok', 'the job takes over the keys');
	is(user_of($token{user_a}), 'user_a', '... a token of the first key');
	is(user_of($next->token(sub => 'user_a')), '28000', '... not of the next one yet');
	is($publish->($login->jwks($next)), 'ok', 'both keys are published');
	is(join(' ', map { user_of($_) } $token{user_a}, $next->token(sub => 'user_a')), 'user_a user_a', '... tokens of both are good');
	is($publish->($next->jwks), 'ok', 'the first key is gone');
	is(join(' ', map { user_of($_) } $token{user_a}, $next->token(sub => 'user_a')), '28000 user_a', '... and with it its tokens, in a session that knew them');
	unlink $published;
	like(run_shell($job, JWKS_URL => "file://$published"), qr/^failed/, 'when nothing comes the job fails');
	like($publish->('<html>'), qr/^failed/, '... as it does when an error page comes');
	is(user_of($next->token(sub => 'user_a')), 'user_a', '... and the keys stay');
}

# --- A job's token, beside a provider's

distrust_all();
my $worker = new_issuer(issuer => $auth0->{issuer}, algorithm => 'ES256', kid => 'of-our-worker');
is(run_sql(block_with("'own'"), undef, jwks => $auth0->jwks, own => $worker->jwks), '', 'a key of one\'s own beside the provider\'s');
is(user_of($worker->token(%auth0, exp => time + 60, iat => time)), 'auth0|507f1f77bcf86cd799439020', '... signs for a job of the same user');
is(user_of($auth0->token(%auth0)), 'auth0|507f1f77bcf86cd799439020', '... and the provider\'s key for the user');

# --- Taking back

distrust_all();
run_sql(q{SELECT key_vault.trust_issuer('https://login.example.com', '{https://api.example.com}', :'jwks')}, undef, jwks => $login->jwks);
my $old = $login->token(sub => 'user_a', iat => time - 120);
is(join(' ', user_of($old), user_of($token{user_b})), 'user_a user_b', 'before they are taken back');
my ($revoke, $distrust) = split /\n/, block_with('SELECT key_vault.revoke_tokens');
run_sql($revoke);
is(join(' ', user_of($old), user_of($token{user_b})), '28000 user_b', 'user_a is signed out');
run_sql($distrust);
is(user_of($token{user_b}), '28000', 'the login is not trusted any more');

is_deeply([ map { $blocks[$_]{text} } grep { !$used{$_} } 0 .. $#blocks ], [], 'no block is left out');
done_testing();
