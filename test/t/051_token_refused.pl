# Tokens that are refused: 28000, a message that says why, and nothing of the token in it; and
# none of them makes an identity.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use JSON::PP ();
use KeyVaultTest;
use KeyVaultToken;
use Test::More;

my $node = new_vault('refused');
add_role($node, 'regress_kv_user', 'user');
$node->safe_psql('postgres', q{SELECT key_vault.set(u, 'gemini', 'AIza-of-' || u) FROM unnest('{user_a,user_b}'::text[]) u});

my ($iss, $aud) = ('https://issuer.example', 'key_vault');
my %key = map { ($_ => new_issuer(issuer => $iss, algorithm => $_, kid => "of_$_")) } qw(RS256 PS256 ES256 ES384);
my $hs = new_issuer(issuer => 'https://hs.example', kid => 'secret');
my $stranger = new_issuer(%{ $key{RS256} });
my $other = new_issuer(issuer => 'https://other.example', algorithm => 'ES256', kid => 'of_ES256', audience => 'elsewhere');
$key{ES256}->trusted_by($node, with => [ @key{qw(RS256 PS256 ES384)} ], user_prefix => q{'i:'}, team_claim => q{'team'}, team_admin_claim => q{'admin'});
$hs->trusted_by($node, user_prefix => q{'h:'}, user_claim => q{'uid'}, max_age => q{'10 minutes'}, clock_skew => q{'5 seconds'});
$other->trusted_by($node, user_prefix => q{'o:'});

my $session = session($node, 'regress_kv_user');
my $authenticate = 'SELECT key_vault.authenticate($1)';

# With another header than the key's own.
sub with
{
	my ($key, $claims, %header) = @_;
	$claims = { iat => time, exp => time + 300, %$claims } if ref $claims;
	return $key->sign({ alg => $key->{algorithm}, typ => 'JWT', kid => $key->{kid}, %header }, $claims);
}

sub claims { return { iss => $iss, aud => $aud, sub => 'user_a' }; }
sub of_hs { return (sub => undef, uid => 'user_a', @_); }

for my $algorithm (sort keys %key)
{
	outcome_is($session, 'i:user_a', "$algorithm", $authenticate, $key{$algorithm}->token);
}
outcome_is($session, 'h:user_a', 'HS256, with a claim of its own', $authenticate, $hs->token(of_hs()));
outcome_is($session, 'i:user_a', 'one audience of several', $authenticate, $key{ES256}->token(aud => [ 'x', $aud ]));
outcome_is($session, '22004', 'NULL', 'SELECT key_vault.authenticate(NULL)');

sub refused
{
	my ($name, $token, $why) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $error = $session->query($authenticate, $token)->{error} // {};
	is($error->{state}, '28000', $name);
	like($error->{message}, $why, "$name: why");
	my $said = join "\n", map { $_ // '' } @{$error}{qw(message detail hint context)};
	my @parts = grep { length > 4 && index($said, $_) >= 0 } $token, split /\./, $token;
	is_deeply(\@parts, [], "$name: nothing of the token");
	outcome_is($session, 'NULL', "$name: and no identity", 'SELECT key_vault.current_user_id()');
	return;
}

my $ES = $key{ES256};
my $good = $ES->token;
my ($header, $payload, $signature) = split /\./, $good;
refused('empty', '', qr/not a signed JWT/);
refused('no token', 'abc', qr/not a signed JWT/);
refused('two parts', "$header.$payload", qr/not a signed JWT/);
refused('five parts', "$good.a.b", qr/encrypted|not a signed JWT/);
refused('no signature', "$header.$payload.", qr/signature|not a signed/);
refused('of another token', "$header." . (split /\./, $ES->token(sub => 'user_b'))[1] . ".$signature", qr/signature does not match/);
refused('with padding', "$header.$payload.$signature=", qr/base64url/);
refused('too long', $ES->token(x => 'x' x 16384), qr/longer than 16 KiB/);
refused('none', with($ES, claims(), alg => 'none'), qr/not signed/);
refused('nOnE', with($ES, claims(), alg => 'nOnE'), qr/not signed|not supported/);
refused('EdDSA', with($ES, claims(), alg => 'EdDSA'), qr/not supported/);
refused('another algorithm of the kind', with($ES, claims(), alg => 'ES384'), qr/algorithm|no such key/);
refused('a key that is not the issuer\'s', $stranger->token, qr/signature does not match/);
refused('another issuer\'s key', $other->token(iss => $iss, aud => $aud), qr/signature does not match/);
refused('another issuer\'s name', $ES->token(iss => 'https://other.example'), qr/signature does not match|no such key/);
refused('key id unknown', with($ES, claims(), kid => '../../etc/passwd'), qr/no such key/);
refused('key id is SQL', with($ES, claims(), kid => "' OR 1=1 --"), qr/no such key/);
refused('key id of another issuer', with($hs, claims(), kid => 'secret'), qr/no such key/);
refused('crit', with($ES, claims(), crit => ['exp']), qr/crit/);
refused('a member twice', with($ES, '{"iss":"' . $iss . '","iss":"' . $iss . '"}'), qr/same member twice/);
refused('an RSA key\'s text as secret', with(new_issuer(kid => 'of_RS256', secret => $key{RS256}{jwk}{n}), claims()), qr/algorithm/);
refused('a guessed secret', new_issuer(%$hs, secret => 'secret' x 8)->token(of_hs()), qr/signature does not match/);
refused('unknown issuer', $ES->token(iss => 'https://issuer.example/'), qr/issuer is not trusted/);
refused('no issuer', $ES->token(iss => undef), qr/names no issuer/);
refused('another audience', $ES->token(aud => 'elsewhere'), qr/audience/);
refused('no audience', $ES->token(aud => undef), qr/audience/);
refused('no exp', $ES->token(exp => undef), qr/expires/);
refused('no iat', $ES->token(iat => undef), qr/iat/);
refused('expired', $ES->token(iat => time - 600, exp => time - 60), qr/expired/);
refused('nbf ahead', $ES->token(nbf => time + 600), qr/not valid yet/);
refused('iat ahead', $ES->token(iat => time + 600), qr/issued in the future/);
refused('too old', $ES->token(iat => time - 90000), qr/max_age/);
refused('too old for that issuer', $hs->token(of_hs(iat => time - 700)), qr/max_age/);
refused('no subject', $ES->token(sub => undef), qr/names no valid user/);
refused('a subject that is a number', $ES->token(sub => 7), qr/names no valid user/);
refused('an empty subject', $ES->token(sub => ''), qr/names no valid user/);
refused('a team as subject', $ES->token(sub => 'team:acme'), qr/names no valid user/);
refused('a subject that is too long', $ES->token(sub => 'x' x 254), qr/names no valid user/);
refused('a team that is too long', $ES->token(team => 'x' x 251), qr/names no valid team/);

# What was refused once is refused again, and what is good is not remembered for what differs from it
refused('the same twice', $stranger->token, qr/signature does not match/) for 1 .. 2;
outcome_is($session, 'i:user_a', 'a good one', $authenticate, $good) for 1 .. 2;
my @flipped = grep { my $changed = $good; substr($changed, $_, 1) ^= "\x01"; $session->outcome($authenticate, $changed) ne '28000' } 0 .. length($good) - 1;
is_deeply(\@flipped, [], 'one bit of each byte flipped');

# A level is needed to call it, and no other right
my $node_user = $node->safe_psql('postgres', 'CREATE ROLE regress_kv_nobody LOGIN');
my $nobody = session($node, 'regress_kv_nobody');
outcome_is($nobody, '42501', 'a role without a level', $authenticate, $good);

# --- Teams in tokens

sub in_transaction
{
	my ($token, @steps) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$session->run('BEGIN');
	$session->query($authenticate, $token);
	outcome_is($session, @$_) for @steps;
	$session->query('ROLLBACK');
	return;
}
$node->safe_psql('postgres', q{SELECT key_vault.set('team:acme', 'openai', 'sk-of-acme'), key_vault.set('team:globex', 'openai', 'sk-of-globex')});
my $member = $ES->token(team => 'acme');
my $admin = $ES->token(team => 'acme', admin => JSON::PP::true());
my $loner = $ES->token;
in_transaction($member, [ 'acme', 'the team of a token', 'SELECT key_vault.current_team_id()' ],
	[ 'sk-of-acme', '... whose key serves', q{SELECT key_vault.get(NULL, 'openai')} ],
	[ '42501', '... and which a member does not change', q{SELECT key_vault.set('team:acme', 'openai', 'sk-mine')} ]);
in_transaction($admin, [ '2', 'an admin of the team does', q{SELECT key_vault.set('team:acme', 'openai', $1)}, 'sk-new' ]);
in_transaction($admin, [ '42501', '... and no other team\'s', q{SELECT key_vault.set('team:globex', 'openai', 'sk-mine')} ]);
in_transaction($loner, [ 'NULL', 'no team in the token', 'SELECT key_vault.current_team_id()' ],
	[ 'NULL', '... and no key of one', q{SELECT key_vault.get(NULL, 'openai')} ]);
my $service = session($node);
$service->run(q{SET key_vault.team_id = 'globex'}, 'BEGIN');
outcome_is($service, 'i:user_a', 'a session that has a team', $authenticate, $loner);
outcome_is($service, 'NULL', '... has none with a token of no team', 'SELECT key_vault.current_team_id()');
$service->run('ROLLBACK');

done_testing();
