# Development: attributes stand in the .env file beside the key, are written and removed
# with it, and belong with no other one.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

delete @ENV{qw(DEBUG DEPLOY_ENV)};

my $dotenv = PostgreSQL::Test::Utils::tempdir . '/.env';

sub write_dotenv
{
	my ($text) = @_;
	unlink $dotenv;
	append_to_file($dotenv, $text);
	chmod 0600, $dotenv;
	return;
}

# What the file assigns, without DEBUG.
sub file_is
{
	my ($expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my %assigned = slurp_file($dotenv) =~ /^(\w+)=['"]?(.*?)['"]?$/mg;
	delete $assigned{DEBUG};
	return is_deeply(\%assigned, $expected, $name);
}

write_dotenv(<<'END');
DEBUG=true
OPENAI_API_KEY=sk-of-the-file
OPENAI_BASE_URL=http://localhost:8080/v1
OPENAI_ORG_ID=
ANTHROPIC_BASE_URL=https://nobody.example.com
END
my $node = new_vault('dotenv_attributes', conf => "key_vault.dotenv_file = '$dotenv'\n");
add_role($node, 'app', 'service');
my $super = session($node);
my $app = session($node, 'app');
my $lookup = q(SELECT concat_ws(' ', api_key, source, label, coalesce(version::text, '-'), coalesce(attributes::text, '-')) FROM key_vault.lookup($1, $2));
my $set = 'SELECT key_vault.set($1, $2, $3, attributes => $4)';
my $row = q(SELECT concat_ws(' ', version, coalesce(attributes::text, '-')) FROM key_vault.secrets WHERE user_id = $1 AND provider = 'openai' ORDER BY version DESC LIMIT 1);

# --- Read

outcome_is($app, 'sk-of-the-file dotenv default - {"base_url": "http://localhost:8080/v1"}', 'lookup takes them from the file', $lookup, 'anyone', 'openai');
outcome_is($app, 'sk-of-the-file dotenv default - {"base_url": "http://localhost:8080/v1"}', '... without a user', $lookup, undef, 'openai');
outcome_is($app, 'sk-of-the-file', 'get has the key', q(SELECT key_vault.get('anyone', 'openai')));
is_deeply($app->query($lookup, 'anyone', 'anthropic')->{rows}, [], 'an address without a key is nothing');
outcome_is($app, 1, 'a key of the row', $set, 'dev', 'anthropic', 'sk-ant-of-the-row', '{"region": "eu"}');
outcome_is($app, 'sk-ant-of-the-row user default 1 {"region": "eu"}', '... has the attributes of the row', $lookup, 'dev', 'anthropic');

write_dotenv("DEBUG=true\nOPENAI_API_KEY=sk-of-the-file\nOPENAI_BASE_URL=http://\${HOST}/v1\n");
is($app->query($lookup, 'dev', 'openai')->{error}{state}, 'F0000', 'a key whose address cannot be told is not looked up');
outcome_is($app, 'sk-of-the-file', '... but got', q(SELECT key_vault.get('dev', 'openai')));

# --- Written with the key, and removed with it

write_dotenv("DEBUG=true\n# ours\nOPENAI_BASE_URL=http://old.example.com\n");
outcome_is($app, 1, 'set writes', $set, 'dev', 'openai', 'sk-first', '{"base_url": "https://eu.example.com/v1 #1", "organization": "org-1"}');
file_is({ OPENAI_API_KEY => 'sk-first', OPENAI_BASE_URL => 'https://eu.example.com/v1 #1', OPENAI_ORG_ID => 'org-1' }, '... key and attributes to the file');
outcome_is($super, '1 {"base_url": "https://eu.example.com/v1 #1", "organization": "org-1"}', '... and to the row', $row, 'dev');
outcome_is($app, 'sk-first dotenv default - {"base_url": "https://eu.example.com/v1 #1", "organization": "org-1"}', 'lookup has them', $lookup, 'dev', 'openai');
like(slurp_file($dotenv), qr/^# ours$/m, 'all else stays');

outcome_is($app, 2, 'the next key has other attributes', $set, 'dev', 'openai', 'sk-second', '{"project": "proj_2"}');
file_is({ OPENAI_API_KEY => 'sk-second', OPENAI_PROJECT_ID => 'proj_2' }, 'those of the first are gone');
my $result = $app->query($set, 'dev', 'openai', 'sk-third', undef);
file_is({ OPENAI_API_KEY => 'sk-third' }, 'the next one has none');
like(join("\n", map { $_->{message} } @{ $result->{notices} }), qr/^variable OPENAI_PROJECT_ID is removed from file/m, '... and a NOTICE says what that took away');
outcome_is($app, 'sk-third dotenv default - -', 'lookup has none', $lookup, 'dev', 'openai');

outcome_is($app, 4, 'rollback', q(SELECT key_vault.rollback('dev', 'openai', 1)));
file_is({ OPENAI_API_KEY => 'sk-first', OPENAI_BASE_URL => 'https://eu.example.com/v1 #1', OPENAI_ORG_ID => 'org-1' }, '... brings back the version\'s own');
outcome_is($app, 't', 'delete', q(SELECT key_vault.delete('dev', 'openai')));
file_is({}, '... removes all');

# --- What the file cannot hold

for my $attributes ('{"region": "eu"}', '{"region": "eu", "base_url": "https://eu.example.com"}', '{"base_url": 1}', '{"base_url": ""}', '{"base_url": {"eu": "https://eu.example.com"}}')
{
	write_dotenv("DEBUG=true\nOPENAI_API_KEY=sk-of-the-file\nOPENAI_BASE_URL=http://localhost:8080/v1\n");
	$result = $app->query($set, 'dev', 'openai', 'sk-with-more', $attributes);
	is($result->{error}, undef, "set with $attributes");
	like(join("\n", map { $_->{message} } @{ $result->{notices} }), qr/^a key with attribute "(region|base_url)" is stored in the database only$/m, '... says that it is stored in the row only');
	file_is({}, '... for which the file makes room');
	like($app->value($lookup, 'dev', 'openai'), qr/^sk-with-more user default \d \Q$attributes\E$/, '... so that lookup has all of it');
	is($app->query($set, undef, 'openai', 'sk-of-nobody', $attributes)->{error}{state}, '22023', 'without a user it is refused');
}
file_is({}, '... and the file is left as it was');
outcome_is($app, 0, 'without a user, what the file holds', $set, undef, 'openai', 'sk-of-nobody', '{"base_url": "https://eu.example.com"}');
file_is({ OPENAI_API_KEY => 'sk-of-nobody', OPENAI_BASE_URL => 'https://eu.example.com' }, '... goes to the file alone');
is($app->query($set, undef, 'openai', 'sk-of-nobody', '{"base_url": "https://x.example.com/?k=sk-proj-0cc175b9c0f1b6a831c399e269772661"}')->{error}{state}, '22023', 'a key in an address is refused there, too');
is($app->query($set, 'dev', 'openai', 'sk-with-a-line', qq({"base_url": "https://eu.example.com\\u000aEXA_API_KEY=stolen"}))->{error}, undef, 'an address with a line break');
file_is({ OPENAI_API_KEY => 'sk-with-a-line', OPENAI_BASE_URL => 'https://eu.example.com\nEXA_API_KEY=stolen' }, '... adds no line');
is($app->query($set, 'dev', 'openai', 'sk-with-a-name', '{"base_url": "https://${HOST}.example.com"}')->{error}{state}, '22023', 'one that readers would fill in is refused');
file_is({ OPENAI_API_KEY => 'sk-with-a-line', OPENAI_BASE_URL => 'https://eu.example.com\nEXA_API_KEY=stolen' }, '... and nothing has changed');
outcome_is($app, 'sk-with-a-line', '... in the row neither', q(SELECT key_vault.get('dev', 'openai')));

# --- Other labels, and keys that expire, have nothing to do with the file

write_dotenv("DEBUG=true\nOPENAI_API_KEY=sk-of-the-file\nOPENAI_BASE_URL=http://localhost:8080/v1\n");
$app->run(q(SELECT key_vault.set('dev', 'openai', 'sk-work', 'work', attributes => '{"base_url": "https://work.example.com"}')));
file_is({ OPENAI_API_KEY => 'sk-of-the-file', OPENAI_BASE_URL => 'http://localhost:8080/v1' }, 'another label');
$app->run(q(SELECT key_vault.delete('dev', 'openai', 'work')));
file_is({ OPENAI_API_KEY => 'sk-of-the-file', OPENAI_BASE_URL => 'http://localhost:8080/v1' }, '... is deleted without it');
$app->run(q(SELECT key_vault.set('dev', 'openai', 'sk-expires', expires_at => now() + interval '1 day', attributes => '{"base_url": "https://eu.example.com"}')));
file_is({}, 'a key that expires takes the address of the one before it away');

# --- With the transaction

write_dotenv("DEBUG=true\nOPENAI_API_KEY=sk-of-the-file\nOPENAI_BASE_URL=http://localhost:8080/v1\n");
my %before = (OPENAI_API_KEY => 'sk-of-the-file', OPENAI_BASE_URL => 'http://localhost:8080/v1');
$app->run('BEGIN');
$app->value($set, 'dev', 'openai', 'sk-rolled-back', '{"base_url": "https://rolled.example.com"}');
outcome_is($app, 'sk-rolled-back dotenv default - {"base_url": "https://rolled.example.com"}', 'a transaction sees its own', $lookup, 'dev', 'openai');
$app->run('ROLLBACK');
file_is(\%before, 'what is rolled back does not reach the file');
$app->run('BEGIN');
$app->run('SAVEPOINT s');
$app->run(q(SELECT key_vault.delete('dev', 'openai')));
$app->run('ROLLBACK TO s');
outcome_is($app, 'sk-of-the-file dotenv default - {"base_url": "http://localhost:8080/v1"}', 'a savepoint drops its part', $lookup, 'dev', 'openai');
$app->run('SAVEPOINT s');
$app->value($set, 'dev', 'openai', 'sk-kept', '{"organization": "org-2"}');
$app->run('RELEASE s');
$app->run('COMMIT');
file_is({ OPENAI_API_KEY => 'sk-kept', OPENAI_ORG_ID => 'org-2' }, 'or keeps it');

# --- Imported in development

$app->value('SELECT * FROM key_vault.import_dotenv($1, $2)', 'dev', "OPENAI_API_KEY=sk-imported\nOPENAI_BASE_URL=https://imported.example.com\n");
file_is({ OPENAI_API_KEY => 'sk-imported', OPENAI_BASE_URL => 'https://imported.example.com' }, 'import_dotenv writes both, as set does');

# --- An own provider's, and one that loses its variables

$super->run(q(SELECT key_vault.add_provider('acme', attribute_vars => '{"base_url": "ACME_URL"}')));
$app->value($set, 'dev', 'acme', 'acme-first', '{"base_url": "https://acme.example.com"}');
outcome_is($app, 'acme-first dotenv default - {"base_url": "https://acme.example.com"}', 'an own provider\'s', $lookup, 'dev', 'acme');
$super->run(q(SELECT key_vault.add_provider('acme')));
outcome_is($app, 'acme-first dotenv default - -', 'which other sessions see change', $lookup, 'dev', 'acme');

# --- Production takes nothing from the file

$node->append_conf('postgresql.conf', "key_vault.mode = production\n");
$node->restart;
$app = session($node, 'app');
outcome_is($app, 'acme-first user default 1 {"base_url": "https://acme.example.com"}', 'production has the row\'s', $lookup, 'dev', 'acme');
$app->value($set, 'dev', 'acme', 'acme-second', '{"base_url": "https://production.example.com"}');
like(slurp_file($dotenv), qr/^ACME_URL=.?https:\/\/acme\.example\.com/m, '... and writes nothing there');

done_testing();
