# Lookups in development and in production: the .env file, then the row; what set,
# delete and rollback do to both; and what is said when there is no key.
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

write_dotenv("DEBUG=true\nGEMINI_API_KEY=AIza-of-the-file\nEXA_API_KEY=\nHF_TOKEN=hf_of_the_file\n");
my $node = new_vault('dotenv_lookup', conf => "key_vault.dotenv_file = '$dotenv'\n");
add_role($node, 'app', 'service');
my $app = session($node, 'app');
my $get = 'SELECT key_vault.get($1, $2)';
my $set = 'SELECT key_vault.set($1, $2, $3)';
my $source = 'SELECT key_vault.source($1, $2)';

# The sentences of an error.
sub sentences
{
	my ($sql, @parameters) = @_;
	my $error = $app->query($sql, @parameters)->{error} // return 'no error';
	return join ' | ', map { $error->{$_} // '' } qw(state message detail hint);
}

# --- Development: the file, whoever the user is

outcome_is($app, 'AIza-of-the-file', 'get without a user', $get, undef, 'gemini');
outcome_is($app, 'AIza-of-the-file', 'get of anyone', $get, 'anyone', 'gemini');
outcome_is($app, 'hf_of_the_file', 'a variable of another form, by an alias', $get, 'anyone', 'hf');
outcome_is($app, 'NULL', 'an empty variable is absent', $get, undef, 'exa');
outcome_is($app, 'dotenv', 'source() says so', $source, 'anyone', 'gemini');
outcome_is($app, 'NULL', '... and when there is none', $source, undef, 'openai');
outcome_is($app, '{"gemini": "AIza-of-the-file", "huggingface": "hf_of_the_file"}', 'get_all() includes the file', 'SELECT key_vault.get_all($1)', undef);
outcome_is($app, 'NULL', 'other labels are not in the file', q(SELECT key_vault.get('anyone', 'gemini', 'work')));

is(sentences(q(SELECT key_vault.require(NULL, 'openai'))),
	qq(P0002 | no API key found for provider "openai" | Variable OPENAI_API_KEY is not set in file "$dotenv". The call names no user. | Add a line OPENAI_API_KEY=... to the file.),
	'require() tells which variable to add to which file');
is(sentences(q(SELECT key_vault.require('dev', 'exa'))),
	qq(P0002 | no API key found for provider "exa" | Variable EXA_API_KEY is not set in file "$dotenv". User "dev" has not set a key. | Add a line EXA_API_KEY=... to the file.),
	'... also when it is there and empty');

my $onboarding = q(SELECT string_agg(concat_ws(' ', provider, configured, source, hint, missing), E'\n' ORDER BY provider COLLATE "C") FROM key_vault.onboarding($1));
is($app->value($onboarding, 'dev'), <<"END" =~ s/\n\z//r, 'onboarding() includes the file, and says which variable is missing');
copilotkit f CopilotKit API key not configured. Add COPILOTKIT_API_KEY to "$dotenv", or enter the key.
exa f Exa API key not configured. Add EXA_API_KEY to "$dotenv", or enter the key.
gemini t dotenv file
huggingface t dotenv
END

# --- The row comes after the file

outcome_is($app, 1, 'set saves', $set, 'dev', 'exa', 'exa-of-the-developer');
like(slurp_file($dotenv), qr/^EXA_API_KEY=["']?exa-of-the-developer["']?$/m, '... to the file');
is($node->safe_psql('postgres', q(SELECT hint FROM key_vault.inventory WHERE user_id = 'dev')), 'oper', '... and to the row');
outcome_is($app, 'dotenv', 'and the file is asked first', $source, 'dev', 'exa');
my $record = 'SELECT key_vault.record_outcome($1, $2, $3)';
my $noted = q(SELECT count(*) FROM key_vault_data.outcomes);
outcome_is($app, 'f', 'what a provider said of the file\'s key is not noted', $record, 'dev', 'exa', 'rejected');
outcome_is($app, 'f', '... nor without a user', $record, undef, 'gemini', 'rejected');
is($node->safe_psql('postgres', $noted), 0, '... not of the row behind it either');
write_dotenv("DEBUG=true\n");
outcome_is($app, 'exa-of-the-developer', 'when the variable is gone, the row answers', $get, 'dev', 'exa');
outcome_is($app, 'user', '... and source() says so', $source, 'dev', 'exa');
outcome_is($app, 't', '... of which it is noted', $record, 'dev', 'exa', 'rejected');
is($node->safe_psql('postgres', $noted), 1, '... once');
outcome_is($app, 'NULL', '... for that user', $get, 'anyone', 'exa');
outcome_is($app, 0, 'without a user a key goes to the file alone', $set, undef, 'openai', 'sk-of-nobody');
like(slurp_file($dotenv), qr/^OPENAI_API_KEY=["']?sk-of-nobody["']?$/m, '... which has it');
is($node->safe_psql('postgres', q(SELECT count(*) FROM key_vault.inventory WHERE provider = 'openai')), 0, '... and no row has');

# --- set, rollback, delete: both

$app->value($set, 'dev', 'exa', 'exa-second');
outcome_is($app, 3, 'rollback makes an older version current', q(SELECT key_vault.rollback('dev', 'exa', 1)));
like(slurp_file($dotenv), qr/^EXA_API_KEY=["']?exa-of-the-developer["']?$/m, '... in the file too');
outcome_is($app, 1, 'a label of its own', q(SELECT key_vault.set('dev', 'exa', $1, 'work')), 'exa-for-work');
unlike(slurp_file($dotenv), qr/exa-for-work/, '... is not for the file');
my $result = $app->query(q(SELECT key_vault.set('dev', 'exa', $1, expires_at => clock_timestamp() + '0.3 s')), 'exa-that-expires');
is($result->{notices}[0]{severity} . ' ' . $result->{notices}[0]{message}, 'NOTICE a key that expires is stored in the database only', 'a key that expires');
unlike(slurp_file($dotenv), qr/EXA_API_KEY/, '... is not for the file, which would serve it for ever');
outcome_is($app, 'exa-that-expires', '... and is served by the row', $get, 'dev', 'exa');
select undef, undef, undef, 0.4;
outcome_is($app, 'NULL', '... until it expires', $get, 'dev', 'exa');
like(sentences(q(SELECT key_vault.require('dev', 'exa'))), qr/^P0002 .*The key of user "dev" has expired since \d{4}-/, '... which require() says');
$app->value($set, 'dev', 'exa', 'exa-third');
outcome_is($app, 't', 'delete', q(SELECT key_vault.delete('dev', 'exa')));
unlike(slurp_file($dotenv), qr/EXA_API_KEY|exa-third/, '... removes it from the file');
is($node->safe_psql('postgres', q(SELECT count(*) FROM key_vault.inventory WHERE label = 'default')), 0, '... and from the rows');
outcome_is($app, 'f', '... once', q(SELECT key_vault.delete('dev', 'exa')));
outcome_is($app, 't', 'delete without a user', q(SELECT key_vault.delete(NULL, 'openai')));
is(slurp_file($dotenv), "DEBUG=true\n", '... leaves the file without the variable');

# --- A key that no .env file can spell is refused whole

outcome_is($app, '22023', 'a key that no .env file can spell', $set, 'dev', 'exa', '${EXA_API_KEY}');
is($node->safe_psql('postgres', q(SELECT count(*) FROM key_vault.inventory WHERE label = 'default')), 0, '... is not in the database either');

# --- The identity rule holds here too

write_dotenv("DEBUG=true\nGEMINI_API_KEY=AIza-of-the-file\n");
$app->run('BEGIN', q(SET LOCAL key_vault.user_id = 'user_a'));
outcome_is($app, 'AIza-of-the-file', 'with an identity', $get, undef, 'gemini');
outcome_is($app, '42501', '... another user is refused', $get, 'user_b', 'gemini');
$app->run('ROLLBACK');
add_role($node, 'nobody', 'user');
outcome_is(session($node, 'nobody'), '42501', 'a role without identity names nobody', $get, 'user_b', 'gemini');

# --- Production: the same calls, and the file is as it was

$app->value($set, 'user_a', 'exa', 'exa-of-a');
write_dotenv("DEBUG=false\nDEPLOY_ENV=render\nGEMINI_API_KEY=AIza-of-the-file\nEXA_API_KEY=exa-of-the-file\n");
my $text = slurp_file($dotenv);
outcome_is($app, '22004', 'get without a user', $get, undef, 'gemini');
outcome_is($app, 'NULL', 'get of one without keys: not the operator\'s', $get, 'user_b', 'gemini');
outcome_is($app, 'NULL', '... nor says source()', $source, 'user_b', 'gemini');
outcome_is($app, 'exa-of-a', 'get of one who has keys', $get, 'user_a', 'exa');
outcome_is($app, 'user', '... from the row', $source, 'user_a', 'exa');
outcome_is($app, '{"exa": "exa-of-a"}', 'get_all()', 'SELECT key_vault.get_all($1)', 'user_a');
outcome_is($app, '22004', 'set without a user', $set, undef, 'gemini', 'AIza-nobody');
outcome_is($app, 1, 'set', $set, 'user_b', 'gemini', 'AIza-of-b');
outcome_is($app, '1', '... of what no .env file can spell', $set, 'user_b', 'exa', '${EXA_API_KEY}');
outcome_is($app, 't', 'delete', q(SELECT key_vault.delete('user_b', 'gemini')));
is(sentences(q(SELECT key_vault.require('user_b', 'gemini'))),
	'P0002 | no API key found for provider "gemini" | User "user_b" has not set a key. | The user has not finished onboarding: have the user enter an API key for Gemini, which the application stores with key_vault.set().',
	'require() says that the user has not finished onboarding, and how');
is(slurp_file($dotenv), $text, 'the file is byte-identical');

# --- A provider key in the server's environment is not used, and status() names it

$node->stop('fast');
{
	local $ENV{GEMINI_API_KEY} = 'AIza-of-the-environment';
	local $ENV{DEPLOY_ENV} = 'render';
	$node->start;
}
$app = session($node, 'app');
outcome_is($app, 'NULL', 'a key in the server\'s environment is nobody\'s', $get, 'user_b', 'gemini');
my $finding = $node->safe_psql('postgres', q(SELECT state, detail, remedy FROM key_vault.status() WHERE item = 'environment'));
like($finding, qr/^warning\|.*GEMINI_API_KEY.*\|Remove/, 'and status() names the variable');
unlike($finding, qr/AIza/, '... not the key');

done_testing();
