# Moving in: import_keys() from the tables of older applications, in plaintext and
# encrypted by pgcrypto, many rows at once, and import_dotenv().
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

delete @ENV{qw(DEBUG DEPLOY_ENV)};

my $node = new_vault('import', conf => "log_statement = none\nlog_temp_files = 0\n");
add_role($node, 'migrator', 'service');
my $superuser = session($node);

# --- The old tables: no UNIQUE constraints, so there are duplicates of both

$superuser->run(<<'END');
CREATE TABLE onboarding_sessions (id serial PRIMARY KEY, user_id varchar(255), current_step int, progress float, started_at timestamp, updated_at timestamp);
CREATE TABLE api_keys (id serial PRIMARY KEY, session_id int REFERENCES onboarding_sessions, provider varchar(64), key varchar(256), created_at timestamp, updated_at timestamp);
INSERT INTO onboarding_sessions (id, user_id) VALUES (1, 'user_a'), (2, 'user_a'), (3, 'user_b'), (4, 'user_c'), (5, ''), (6, NULL);
INSERT INTO api_keys (session_id, provider, key, updated_at) VALUES
    (1, 'gemini', 'AIza-a-old', '2025-01-01 10:00'), (2, 'gemini', 'AIza-a-newest', '2025-03-01 10:00'), (1, 'gemini', 'AIza-a-middle', '2025-02-01 10:00'),
    (1, 'google', 'AIza-a-by-alias', '2025-02-15 10:00'),
    (1, 'exa', 'exa-a-without-a-time', NULL), (2, 'Exa ', 'exa-a-with-a-time', '2025-01-01 10:00'),
    (3, 'openai', 'sk-b-first', '2025-01-01 10:00'), (3, 'openai', 'sk-b-second', '2025-01-01 10:00'),
    (4, 'tavily', 'tvly-c "with" spaces', '2025-01-01 10:00'),
    (5, 'gemini', 'AIza-nobody-0123456789', '2025-01-01 10:00'), (6, 'gemini', 'AIza-null-0123456789', '2025-01-01 10:00'),
    (4, 'unheard-of', 'canary-0123456789-tail', '2025-01-01 10:00'), (4, 'canary-in-the-wrong-column-0123456789', 'gemini', '2025-01-01 10:00'),
    (4, 'exa', '', '2025-01-01 10:00'), (4, 'gemini', NULL, '2025-01-01 10:00');
GRANT SELECT ON onboarding_sessions, api_keys TO migrator;
END

my $join = 'SELECT s.user_id, k.provider, k.key, k.updated_at FROM api_keys k JOIN onboarding_sessions s ON k.session_id = s.id';
my $import = 'SELECT imported || $$ $$ || skipped || $$ $$ || failed FROM key_vault.import_keys($1)';
my $migrator = session($node, 'migrator');
my $get = 'SELECT key_vault.get($1, $2)';

my $result = $migrator->query($import, $join);
is($result->{error}, undef, 'the join is imported');
is($result->{rows}[0][0], '4 5 6', 'imported, skipped and failed are counted');
outcome_is($migrator, 'AIza-a-newest', 'of duplicates the newest wins, over sessions and aliases', $get, 'user_a', 'gemini');
outcome_is($migrator, 'exa-a-with-a-time', 'a row with a time wins over one without', $get, 'user_a', 'exa');
outcome_is($migrator, 'sk-b-first', 'of two as new one counts', $get, 'user_b', 'openai');
outcome_is($migrator, 'tvly-c "with" spaces', 'a key keeps its bytes', $get, 'user_c', 'tavily');
is($superuser->value('SELECT count(*) FROM key_vault.secrets'), 4, 'one version of each is stored');

my @warnings = grep { $_->{severity} eq 'WARNING' && $_->{message} =~ /^row/ } @{ $result->{notices} };
is(scalar @warnings, 6, 'a WARNING for each bad row');
like($warnings[0]{message}, qr/^row \d+ is not imported: user "", provider "gemini"$/, 'which tells it apart');
like(join("\n", map { $_->{detail} } @warnings), qr/^user id must have 1 to 255 bytes\..*is not registered.*API key is empty/s, 'and says why');
my $said = join "\n", map { values %$_ } @{ $result->{notices} };
unlike($said, qr/canary-0123|canary-in-the-wrong|AIza-nobody/, 'no message holds a key, not even one in a wrong column');
my ($last) = grep { $_->{message} =~ /still where they came from/ } @{ $result->{notices} };
like($last->{detail}, qr/source table.*dead rows.*WAL.*backups/, 'it ends by saying what still holds the plaintext');
like($last->{hint}, qr/drop the source table.*VACUUM FULL/, 'and how to get rid of it');

# --- Again: nothing twice; newer ones come in, older ones do not undo a user's change

is($migrator->value($import, $join), '0 9 6', 'run again, it imports nothing twice');
is($superuser->value('SELECT count(*) FROM key_vault.secrets'), 4, 'so no versions pile up');
$migrator->query(q(SELECT key_vault.set('user_b', 'openai', $1)), 'sk-b-set-by-the-user');
$superuser->run(q(UPDATE api_keys SET key = 'AIza-a-later', updated_at = clock_timestamp() AT TIME ZONE current_setting('timezone') + '1 hour' WHERE key = 'AIza-a-old'));
is($migrator->value($import, $join), '1 8 6', 'a row that changed since comes in');
outcome_is($migrator, 'AIza-a-later', 'as a new version', $get, 'user_a', 'gemini');
outcome_is($migrator, 'sk-b-set-by-the-user', 'what the user has set since stays', $get, 'user_b', 'openai');

# --- Forms of the query

my $fresh = sub { $superuser->query('SELECT key_vault.forget($1)', $_) for @_; return; };
$fresh->(qw(user_a user_b user_c));
is($migrator->value($import, q(SELECT 'user_a', 'exa', 'no-time')), '1 0 0', 'without a time');
for my $type ('timestamptz', 'timestamp', 'date', 'text')
{
	$fresh->('user_a');
	is($migrator->value($import, "SELECT 'user_a', 'exa', k, t::$type FROM (VALUES ('new', '2025-02-01'), ('old', '2025-01-01')) AS v (k, t)"), '1 1 0', "a time as $type");
	outcome_is($migrator, 'new', '... of which the newest wins', $get, 'user_a', 'exa');
}
for my $bad ([ '22023', q(SELECT 'user_a', 'exa') ], [ '22023', q(SELECT 1, 2, 3, 4, 5) ], [ '22023', q(SELECT 'user_a', 'exa', 'k', 1) ],
	[ '22023', q(DELETE FROM api_keys) ], [ '42601', 'SELEC' ], [ '42P01', 'SELECT a, b, c FROM not_there' ], [ '42601', q(SELECT 1, 2, 3; DROP TABLE api_keys) ], [ '42601', '' ])
{
	my $state = $migrator->outcome($import, $bad->[1]);
	ok($state eq $bad->[0] || ($bad->[0] eq '42601' && $state eq '22023'), "refused: $bad->[1]") or diag $state;
}
is($superuser->value('SELECT count(*) FROM api_keys'), 15, 'the source is only read');
outcome_is(session($node, 'migrator'), '42501', 'with the caller\'s rights', $import, 'SELECT rolname, rolname, rolpassword FROM pg_authid');
add_role($node, 'tenant', 'user', 'user_z');
outcome_is(session($node, 'tenant'), '42501', 'the level user may not import', $import, q(SELECT 'user_z', 'exa', 'k'));
$migrator->run(q(BEGIN; SET LOCAL key_vault.user_id = 'user_z'));
is($migrator->value($import, q(SELECT u, 'exa', 'k' FROM unnest('{user_y,user_z}'::text[]) u)), '1 0 1', 'with an identity, other users\' rows are bad rows');
$migrator->run('ROLLBACK');

# --- Encrypted with pgcrypto

$superuser->run('CREATE EXTENSION pgcrypto');
$superuser->run(<<'END');
CREATE TABLE encrypted (user_id text, provider text, key bytea, changed timestamptz);
INSERT INTO encrypted VALUES ('user_p', 'gemini', pgp_sym_encrypt('AIza-old', 'passphrase'), '2025-01-01'), ('user_p', 'gemini', pgp_sym_encrypt('AIza-pgp', 'passphrase', 'cipher-algo=aes256'), '2025-02-01'),
    ('user_p', 'exa', pgp_sym_encrypt('exa-other-passphrase', 'another'), '2025-01-01'), ('user_p', 'openai', 'garbage', '2025-01-01'), ('user_q', 'tavily', pgp_sym_encrypt('tvly-ü', 'passphrase'), NULL);
GRANT SELECT ON encrypted TO migrator;
END
# A key that is not ASCII is odd
my $decrypt = 'SELECT imported || $$ $$ || skipped || $$ $$ || failed FROM key_vault.import_keys($1, $2, refuse_odd => false)';
$result = $migrator->query($decrypt, 'TABLE encrypted', 'passphrase');
is($result->{rows}[0][0], '2 1 2', 'rows of pgp_sym_encrypt are opened with the passphrase; wrong ones are bad rows');
outcome_is($migrator, 'AIza-pgp', '... and come out', $get, 'user_p', 'gemini');
outcome_is($migrator, 'tvly-ü', '... as text', $get, 'user_q', 'tavily');
unlike(join("\n", map { values %$_ } @{ $result->{notices} }), qr/passphrase"|\bpassphrase'|exa-other/, 'no message holds the passphrase or a key');
is($migrator->value($import, q(SELECT 'user_r', provider, key FROM encrypted WHERE provider = 'tavily')), '0 0 1', 'without a passphrase they are bad rows');

# --- Many rows, sorted by nobody, with duplicates

my $rows = 100_000;
my $users = $rows / 4;    # each two providers, and each of those a duplicate
$superuser->run(q(SET work_mem = '64MB'), <<"END");
CREATE UNLOGGED TABLE many AS
    SELECT n % $users AS session_id, CASE WHEN (n / $users) % 2 = 0 THEN 'gemini' ELSE 'exa' END AS provider,
           'canary-many-' || n AS key, '2025-01-01'::timestamptz + n * '1 s'::interval AS updated_at
    FROM generate_series(0, $rows - 1) AS n ORDER BY hashint4(n);
CREATE UNLOGGED TABLE many_sessions AS SELECT n AS id, 'many_' || n AS user_id FROM generate_series(0, $users - 1) AS n ORDER BY hashint4(n);
GRANT SELECT ON many, many_sessions TO migrator;
END
my $log_start = -s $node->logfile;
$migrator->run(q(SET work_mem = '64kB'), 'SET enable_hashjoin = off');
my $started = time;
$result = $migrator->query($import, 'SELECT s.user_id, k.provider, k.key, k.updated_at FROM many k JOIN many_sessions s ON k.session_id = s.id');
is($result->{rows}[0][0], $rows / 2 . ' ' . $rows / 2 . ' 0', "$rows rows");
note sprintf '%d s', time - $started;
outcome_is($migrator, "canary-many-$_", '... of which the newest', $get, 'many_' . $_ % $users, int($_ / $users) % 2 ? 'exa' : 'gemini') for $rows - 1, $rows / 2, $rows / 2 + 7;
my @progress = grep { $_->{severity} eq 'NOTICE' && $_->{message} =~ /^\d+ rows read: \d+ imported, \d+ skipped, 0 failed, \d+ rows a second$/ } @{ $result->{notices} };
is(scalar @progress, int($rows / 10_000), 'a NOTICE tells of every 10,000 rows');
is($superuser->value(qq(SELECT count(*) FROM key_vault.secrets WHERE user_id LIKE 'many%')), $rows / 2, 'each is stored once');
is(scalar(() = substr(slurp_file($node->logfile), $log_start) =~ /temporary file/g), 0, 'the join wrote no key to a temporary file, though work_mem was small');
is($migrator->value('SHOW work_mem'), '64kB', '... and the session keeps its work_mem');

# --- A newest row that is bad: an older key, which the user has taken away or replaced, does not come back

for my $bad ('NULL', "''")
{
	$result = $migrator->query($import, "SELECT * FROM (VALUES ('user_bad', 'exa', 'canary-older', '2025-01-01'::timestamptz), ('user_bad', 'exa', $bad, '2025-02-01')) v");
	is($result->{rows}[0][0], '0 1 1', "the newest key is $bad: it fails, and the older one is skipped");
	outcome_is($migrator, 'NULL', '... so that there is none', $get, 'user_bad', 'exa');
}

# --- The text of a .env file

my $dotenv = 'SELECT string_agg(provider || $$ $$ || variable || $$ $$ || version, $$, $$ ORDER BY provider COLLATE "C") FROM key_vault.import_dotenv($1, $2)';
my $text = "DEBUG=true\nexport GEMINI_API_KEY = 'AIza-env'  # mine\nHF_TOKEN=\"hf_env\"\nEXA_API_KEY=\nSOMETHING_ELSE=x\nSERPAPI_KEY=first\nSERPAPI_KEY=last\n";
is($migrator->value($dotenv, 'user_e', $text), 'gemini GEMINI_API_KEY 1, huggingface HF_TOKEN 1, serpapi SERPAPI_KEY 1', 'a .env file\'s provider keys become the user\'s');
outcome_is($migrator, 'AIza-env', '... as the file has them', $get, 'user_e', 'gemini');
outcome_is($migrator, 'last', '... the last one of duplicates', $get, 'user_e', 'serpapi');
outcome_is($migrator, 'NULL', '... empty ones not', $get, 'user_e', 'exa');

# One odd line, or one key that is refused, takes no other key away
my $rows = 'SELECT provider, variable, version FROM key_vault.import_dotenv($1, $2) ORDER BY provider COLLATE "C"';
my $odd = "FOO: bar\nPASS='it's'\nGEMINI_API_KEY='canary-not-closed\nEXA_API_KEY=exa-of-f\nA=\"a\" \"b\"\n\xc3\xa9=1\nOPENAI_API_KEY=sk-canary`\nXAI_API_KEY=xai-canary#c\nSERPER_API_KEY=" . 'canary' x 20_000 . "\n";
$result = $migrator->query($rows, 'user_f', $odd);
is($result->{error}, undef, 'an odd file is no error');
is_deeply($result->{rows}, [
	[ 'exa', 'EXA_API_KEY', 1 ], [ 'gemini', 'GEMINI_API_KEY', undef ], [ 'openai', 'OPENAI_API_KEY', 1 ],
	[ 'serper', 'SERPER_API_KEY', undef ], [ 'xai', 'XAI_API_KEY', undef ] ], '... its rows tell what was imported and what was not');
my @warnings = map { "$_->{message}. $_->{detail}" } grep { $_->{severity} eq 'WARNING' } @{ $result->{notices} };
is(scalar(grep { /^lines 1, 2, 3, 5 and 6 of the content are odd/ } @warnings), 1, '... a WARNING names the odd lines');
is(scalar(grep { /^API key for provider "gemini" is not imported\. npm's dotenv takes it from line 3, and python-dotenv does not find it\.$/ } @warnings), 1, '... one a variable that only one reader finds');
is(scalar(grep { /^API key for provider "xai" is not imported\. python-dotenv and npm's dotenv do not read the same value at line 8\.$/ } @warnings), 1, '... one a variable that they read differently');
is(scalar(grep { /^API key for provider "serper" is not imported\. Reason: API key .*is longer than 65536 bytes\.$/ } @warnings), 1, '... and one a key that is refused');
unlike("@warnings", qr/canary/, '... none with a key');
is($migrator->value(q(SELECT string_agg(provider, ' ' ORDER BY provider COLLATE "C") FROM key_vault.list($1)), 'user_f'), 'exa openai', '... the others are stored');
outcome_is($migrator, '22023', 'a text of more than 1 MB', $rows, 'user_f', '#' x 1_048_577);
outcome_is($migrator, '22004', 'no user', $dotenv, undef, $text);
outcome_is($migrator, '22004', 'no content', $dotenv, 'user_f', undef);
outcome_is(session($node, 'tenant'), 'gemini GEMINI_API_KEY 1, huggingface HF_TOKEN 1, serpapi SERPAPI_KEY 1', 'a user may do it for the own identity', $dotenv, undef, $text);
outcome_is(session($node, 'tenant'), '42501', '... and for no other', $dotenv, 'user_f', $text);

# --- What it left behind

$node->stop;
my $log = slurp_file($node->logfile);
my @keys = $log =~ /^.*(?:canary-|AIza-|tvly-).*$/mg;
is_deeply(\@keys, [], 'no key is in the server\'s log');

done_testing();
