# JSON that is none, given as an issuer's keys or a key's attributes: the server quotes it in
# DETAIL and CONTEXT, and what is secret in it is in no log, no message and not in pg_stat_activity.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultLog;
use KeyVaultTest;
use Test::More;

my $node = new_logging_vault('log_json', conf => <<'END');
log_statement = all
log_min_duration_statement = 0
log_error_verbosity = verbose
log_parameter_max_length_on_error = -1
key_vault.redact_names = 'trusts'
END
$node->safe_psql('postgres', <<'END');
CREATE FUNCTION trusts(keys text) RETURNS void LANGUAGE plpgsql AS
	$$ BEGIN PERFORM key_vault.trust_issuer('https://a.example', '{a}', keys::jsonb); END $$;
END
my $observer = session($node);

# %s is the secret.  What is wrong with each is where the server quotes another piece.
my %broken = (
	'a word' => '{"keys": [{"kty": "oct", "k": %s}]}',
	'an end too early' => '{"keys": [{"kty": "oct", "k": "%s"',
	'no comma' => '{"keys": [{"kty": "oct", "k": "%s" "alg": "HS256"}]}',
	'no end of a string' => '{"keys": [{"kty": "oct", "k": "%s}]}',
	'an escape' => '{"keys": [{"kty": "oct", "k": "%s\\q"}]}',
	'NUL' => '{"keys": [{"kty": "oct", "k": "%s\\u0000"}]}',
	'half a pair' => '{"keys": [{"kty": "oct", "k": "%s\\ud800"}]}',
	'a line break' => "{\"keys\": [{\"kty\": \"oct\", \"k\": \"%s\n\"}]}",
	'more lines' => "{\"keys\":\n[{\"kty\": \"oct\",\n\"k\": \"%s\"\n\"alg\"}]}",
	'more after it' => '{"keys": []} %s',
	'nothing else' => '%s',
	'single quotes' => "{'keys': [{'k': '%s'}]}",
	'a number' => '{"k": 1%s}',
	'a long text before it' => '{"note": "' . 'n' x 300 . '", "k": "%s" ]}',
	'a long text after it' => '{"k": "%s", ' . '"n": 1, ' x 50 . ']');
my %calls = (
	'trust_issuer' => "SELECT key_vault.trust_issuer('https://a.example', '{a}', %s)",
	'trust_issuer, cast' => "SELECT key_vault.trust_issuer('https://a.example', '{a}', (%s::text)::jsonb)",
	'trust_issuer, by name' => "SELECT key_vault.trust_issuer(issuer => 'https://a.example', jwks => %s, audience => '{a}')",
	'trust_issuer, in a function' => 'SELECT trusts(%s)',
	'set' => "SELECT key_vault.set('user_a', 'exa', 'exa-key', attributes => %s)",
	'set, cast' => "SELECT key_vault.set('user_a', 'exa', 'exa-key', attributes => (%s::text)::jsonb)");
my %ways = (
	'simple, literal' => sub { my ($session, $call, $json) = @_; $session->send_by('simple', sprintf $call, literal($json)) },
	'extended, literal' => sub { my ($session, $call, $json) = @_; $session->send_by('extended', sprintf $call, literal($json)) },
	'extended, bound' => sub { my ($session, $call, $json) = @_; $session->send_by('extended', sprintf($call, '$1'), $json) },
	'named, bound' => sub { my ($session, $call, $json) = @_; $session->send_by('named', sprintf($call, '$1'), $json) },
	'EXECUTE' => sub { my ($session, $call, $json) = @_; $session->simple('PREPARE p (text) AS ' . sprintf($call, '$1::jsonb')); $session->send_by('simple', 'EXECUTE p (' . literal($json) . ')') },
	'DO' => sub { my ($session, $call, $json) = @_; $session->send_by('simple', 'DO $do$ BEGIN ' . (sprintf $call, literal($json)) =~ s/^SELECT/PERFORM/r . '; END $do$') });

sub literal { my ($text) = @_; $text =~ s/'/''/g; return "'$text'"; }

# The message of an error, whole
sub said { my ($error) = @_; return join "\n", map { $_ // '' } map { ref $_ ? values %$_ : $_ } values %$error; }

sub run_all
{
	my ($redact) = @_;
	my @found;
	my $count = 0;
	for my $way (sort keys %ways)
	{
		for my $call (sort keys %calls)
		{
			next if $way eq 'EXECUTE' && $call =~ /cast|function/;
			my $session = session($node);
			$session->run("SET key_vault.redact = $redact");
			my %of;
			my $position = log_position($node);
			my @refused;
			for my $broken (sort keys %broken)
			{
				my $canary = $of{$broken} = canary(32);
				$ways{$way}->($session, $calls{$call}, sprintf $broken{$broken}, $canary);
				my $error = $session->receive->{error} // {};
				push @refused, $broken if ($error->{state} // '') =~ /^22/;
				push @found, "$way, $call, $broken: the client" if shows(said($error), $canary);
				push @found, "$way, $call, $broken: pg_stat_activity" if shows(activity_of($observer, $session), $canary);
				$session->simple('DEALLOCATE ALL');
				$count++;
			}
			my $since = log_since($node, $position);
			for my $broken (sort keys %broken)
			{
				my @formats = @{ shown_in_formats($since, $of{$broken}) };
				push @found, "$way, $call, $broken: @formats" if @formats;
			}
			is(scalar @refused, scalar keys %broken, "$way, $call, $redact: all are refused") or diag(explain \@refused);
			$session->close;
		}
	}
	return ($count, @found);
}

my ($count, @found) = run_all('on');
is_deeply(\@found, [], 'nowhere');
($count, @found) = run_all('off');
cmp_ok(scalar @found, '>', $count, 'with redaction off, in many places');

done_testing();
