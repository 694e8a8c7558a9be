# Odd lines in the .env file: they take no key away, a WARNING tells of them once, and what
# its readers do not read alike is an error when it is asked for, not before.
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

# Lines that people write, and python-dotenv, npm's dotenv or both pass over.
my $odd = <<"END";
FOO: bar
PASS='it's'
NAME="a" "b"
\xc3\xa9=1
some words
\$PATH=/bin
END
my $clean = "DEBUG=true\nEXA_API_KEY=exa-of-the-file\n";

write_dotenv($clean . $odd . "GEMINI_API_KEY=AIza-of-the-file\n");
my $node = new_vault('dotenv_odd', conf => "key_vault.dotenv_file = '$dotenv'\n");
add_role($node, 'app', 'service');
my $get = q(SELECT key_vault.get('dev', $1));
my $set = q(SELECT key_vault.set('dev', $1, $2));
my $get_all = q(SELECT key_vault.get_all('dev'));

# The WARNINGs of a result, one a line: all of each.
sub warnings_of
{
	my ($result) = @_;
	return join "\n", map { join '. ', $_->{message}, $_->{detail}, $_->{hint} } grep { $_->{severity} eq 'WARNING' } @{ $result->{notices} };
}

sub error_of
{
	my ($result) = @_;
	return join ' | ', map { $result->{error}{$_} // '' } qw(state message detail hint);
}

# --- What is odd takes nothing away, and is told of once

my $app = session($node, 'app');
my $result = $app->query($get, 'gemini');
is($result->{rows}[0][0], 'AIza-of-the-file', 'a key below odd lines');
is(warnings_of($result),
	qq(lines 3, 4, 5, 6, 7 and 8 of file "$dotenv" are odd. Python-dotenv, npm's dotenv or both take no variable from there. All others are read.. Write NAME='value' on a line, or a # in front of what is no variable.),
	'... with a WARNING that names the lines');
is(warnings_of($app->query($get, 'exa')), '', 'which comes once a session');
isnt(warnings_of(session($node, 'app')->query($get, 'exa')), '', '... and in the next one again');
is(warnings_of($app->query($set, 'exa', 'exa-set')), '', 'not again when the file changes elsewhere');
is($app->value($get, 'exa'), 'exa-set', '... as by a set');
like(slurp_file($dotenv), qr/^\Q$odd\E/m, '... which leaves the odd lines byte for byte');
is(warnings_of($app->query($get, 'gemini')), '', '... and the WARNING is not given again');
write_dotenv("so odd\n" . slurp_file($dotenv));
like(warnings_of($app->query($get, 'gemini')), qr/^lines 1, 4, 5, 6, 7, 8 and 9 of/, 'it is when other lines are odd');
is($app->value(q(SELECT key_vault.delete('dev', 'exa'))), 't', 'a delete among odd lines');
unlike(slurp_file($dotenv), qr/EXA_API_KEY/, '... removes the variable');
like(slurp_file($dotenv), qr/^\Q$odd\E/m, '... and nothing of them');
is($app->value(q(SELECT mode FROM key_vault.mode())), 'development', 'the mode is told');
write_dotenv(join '', map { "odd line $_\n" } 1 .. 30);
like(warnings_of($app->query($get, 'gemini')), qr/^lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 20 more of file/, 'of very many lines some are named');
write_dotenv("one word too many\n$clean");
like(warnings_of($app->query($get, 'gemini')), qr/^line 1 of file "\S+" is odd\./, 'of one it is said');
write_dotenv("# c\n\nDEBUG=true\nNAME\nexport NAME\nEMPTY= # c\n");
is(warnings_of(session($node, 'app')->query($get, 'gemini')), '', 'comments, blank lines and names alone are not odd');

# --- What is not read alike is an error, when it is asked for

# variable GEMINI_API_KEY, spelled so: what is said of it
my @ambiguous = (
	[ 'GEMINI_API_KEY: AIza-canary', qr/npm's dotenv takes it from line 2, and python-dotenv does not find it\./ ],
	[ "'GEMINI_API_KEY'=AIza-canary", qr/python-dotenv takes it from line 2, and npm's dotenv does not find it\./ ],
	[ "GEMINI_API_KEY='AIza-can'ary'", qr/npm's dotenv takes it from line 2, and python-dotenv does not find it\./ ],
	[ 'GEMINI_API_KEY="AIza-canary" "b"', qr/npm's dotenv takes it from line 2, and python-dotenv does not find it\./ ],
	[ 'GEMINI_API_KEY=AIza-canary#x', qr/python-dotenv and npm's dotenv do not read the same value at line 2\./ ],
	[ 'GEMINI_API_KEY=`AIza-canary`', qr/python-dotenv and npm's dotenv do not read the same value at line 2\./ ],
	[ 'GEMINI_API_KEY=${CANARY_KEY}', qr/python-dotenv and npm's dotenv do not read the same value at line 2\./ ],
	[ 'GEMINI_API_KEY="AIza\tcanary"', qr/python-dotenv and npm's dotenv do not read the same value at line 2\./ ],
	[ "GEMINI_API_KEY=AIza-canary\nGEMINI_API_KEY: AIza-other-canary", qr/python-dotenv takes it from line 2, and npm's dotenv from line 3\./ ]);
for my $case (@ambiguous)
{
	my ($spelling, $says) = @$case;
	(my $name = $spelling) =~ s/\n/\\n/g;
	write_dotenv("DEBUG=true\n$spelling\nEXA_API_KEY=exa-of-the-file\n");
	my $fresh = session($node, 'app', options => '-c client_min_messages=error');
	is($fresh->value($get, 'exa'), 'exa-of-the-file', "$name takes no other key away");
	my $error = error_of($fresh->query($get, 'gemini'));
	like($error, qr/^F0000 \| variable GEMINI_API_KEY of file "\Q$dotenv\E" is ambiguous \| $says \| Write it on a line of its own, as GEMINI_API_KEY='\.\.\.'/, '... and is an error when it is asked for');
	unlike($error, qr/canary/i, '... without the value');
	my $source = q(SELECT key_vault.source('dev', 'gemini'));
	is($fresh->query($_, $_ eq $source ? () : 'gemini')->{error}{state}, 'F0000', '... for every call that asks for it') for $source, q(SELECT key_vault.require('dev', $1));
	is($fresh->value($get_all), '{"exa": "exa-of-the-file", "gemini": null}', '... get_all has null for it');
	like($fresh->value(q(SELECT missing FROM key_vault.onboarding('dev') WHERE provider = 'gemini' AND NOT configured)), qr/^Gemini API key cannot be read: variable GEMINI_API_KEY of file ".*" is ambiguous\. $says/, '... and onboarding says why');
	is($fresh->value($set, 'gemini', 'AIza-new'), 1 , '... a set mends it') or diag(slurp_file($dotenv));
	is($fresh->value($get, 'gemini'), 'AIza-new', '... for good');
	is($fresh->value($get, 'exa'), 'exa-of-the-file', '... and nothing else');
	$fresh->value(q(SELECT key_vault.forget('dev')));

	write_dotenv("DEBUG=true\n$spelling\nEXA_API_KEY=exa-of-the-file\n");
	is($fresh->value(q(SELECT key_vault.delete('dev', 'gemini'))), 't', '... a delete removes it');
	is(slurp_file($dotenv), "DEBUG=true\nEXA_API_KEY=exa-of-the-file\n", '... and nothing else');
}

# The user's own key does not stand in for one that is there and cannot be told
write_dotenv("DEBUG=true\n");
$app->value($set, 'gemini', 'AIza-of-the-row');
write_dotenv("DEBUG=true\nGEMINI_API_KEY: AIza-of-the-file\n");
outcome_is($app, 'F0000', 'the row does not stand in', $get, 'gemini');
is($app->value($get_all), '{"gemini": null}', '... in get_all neither');
$app->value(q(SELECT key_vault.forget('dev')));

# A line that has to do with another variable, to one of the readers, is for a person to change
write_dotenv("DEBUG=true\nA:\nGEMINI_API_KEY=AIza-of-the-file\n");
like(error_of($app->query(q(SELECT key_vault.delete('dev', 'gemini')))), qr/^F0000 \| file "\Q$dotenv\E" cannot be changed at line 3 \| .* by hand\.$/, 'a line that cannot be taken away alone stays');

# DEBUG decides about everything: that is asked for by each call
write_dotenv("DEBUG: true\nEXA_API_KEY=exa-of-the-file\n");
outcome_is($app, 'F0000', 'a mode that cannot be told is an error', $get, 'exa');
write_dotenv("DEBUG= # not yet\nDEPLOY_ENV=render\nEXA_API_KEY=exa-of-the-file\n");
outcome_is($app, 'production', 'a variable with but a comment is empty', 'SELECT mode FROM key_vault.mode()');

# --- A key that users send can add no line, whatever stands in the file already

my @texts = ($clean, $clean . $odd, "A='open\n$clean", "A=`open\n$clean", "A=\"open\n$clean", "${clean}A:\n", "${clean}B='C:\\'\n", "\$A='x\n$clean");
my @evil = map { my $quote = $_; map { "a$quote$_" } "\nEVIL_API_KEY=1", "\r\nEVIL_API_KEY=1\n#", "\rEVIL_API_KEY=1", "\xe2\x80\xa8EVIL_API_KEY=1", "\xe2\x80\xa9EVIL_API_KEY=1$quote", " #$quote\nEVIL_API_KEY=1" } '', "'", '"', '`', '\\', "\\'", '\\"', '\\`';
my (@wrong, $stored);
for my $text (@texts)
{
	my @before = split /\r\n|\r|\n/, $text;
	for my $evil (@evil)
	{
		write_dotenv($text);
		my $answer = $app->query(q(SELECT key_vault.set('dev', 'openai', $1)), $evil);
		my $after = slurp_file($dotenv);
		my @after = split /\r\n|\r|\n/, $after;
		if ($answer->{error})
		{
			push @wrong, [ $text, $evil, $answer->{error} ] unless $answer->{error}{state} eq '22023' && $after eq $text;
			next;
		}
		$stored++;
		push @wrong, [ $text, $evil, $after ]
		  if @after > @before + 2 || grep({ /^\s*(?:export\s+)?EVIL_API_KEY/ } @after) || substr($after, 0, length $text) ne $text
		  || ($app->value(q(SELECT key_vault.get('dev', 'openai'))) // '') ne $evil;
	}
}
is_deeply(\@wrong, [], 'no key adds a line, or changes another one');
cmp_ok($stored, '>', @texts * @evil / 3, 'that was not for lack of keys that are stored');

done_testing();
