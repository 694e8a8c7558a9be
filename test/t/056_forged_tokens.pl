# Tokens by which somebody who is not user_b would be user_b: each is refused, with a message
# that shows nothing of it; nothing that a token names is fetched.  Beside each stands the
# honest token that it is made from, which is accepted.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use KeyVaultAttack;
use KeyVaultTest;
use KeyVaultToken;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_attacked('forged');
my $session = session($node, 'regress_kv_web');
my $json = JSON::PP->new->canonical->utf8;

# The application's login, with a second key; another issuer, whose users have a prefix, with a
# secret that somebody tries to guess; one that the server does not know.
my $login = login_issuer();
my $rsa = new_issuer(issuer => 'https://login.example', algorithm => 'RS256', kid => 'second', audience => 'app');
$login->trusted_by($node, with => [$rsa], user_prefix => "'login:'");
$node->safe_psql('postgres', "SELECT key_vault.set('login:$_', 'gemini', '$keys{$_}')") for sort keys %keys;
my $b = 'login:user_b';
my $partner = new_issuer(issuer => 'https://partner.example', algorithm => 'HS256', kid => 'theirs', audience => 'app', secret => 'q7' x 24);
$partner->trusted_by($node, user_prefix => "'partner:'");
my $mine = new_issuer(issuer => 'https://login.example', algorithm => 'ES256', kid => 'first', audience => 'app');
my $mine_rsa = new_issuer(issuer => 'https://login.example', algorithm => 'RS256', kid => 'second', audience => 'app');

# Nothing may come here, whatever a token says of where keys are
my $listener = IO::Socket::INET->new(Listen => 16, LocalAddr => '127.0.0.1') or die "listen: $!";
my $trap = 'http://127.0.0.1:' . $listener->sockport;

# --- How tokens are bent

# A token of user_b by an issuer's key, whose header has further members (undef leaves one out).
sub with_header
{
	my ($issuer, %more) = @_;
	my %header = (alg => $issuer->{algorithm}, typ => 'JWT', kid => $issuer->{kid}, %more);
	delete @header{ grep { !defined $header{$_} } keys %header };
	return $issuer->sign(\%header, claims());
}

sub claims
{
	my (%more) = @_;
	my %claims = (iss => 'https://login.example', aud => 'app', sub => 'user_b', iat => time, exp => time + 300, %more);
	delete @claims{ grep { !defined $claims{$_} } keys %claims };
	return \%claims;
}

# The claims as text, with something put in behind the brace.
sub claims_with { my ($text) = @_; return $json->encode(claims()) =~ s/^\{/{$text,/r; }

sub b64 { return encode_base64url(ref $_[0] ? $json->encode($_[0]) : $_[0]); }

# A token without a signature of anybody's.
sub unsigned { my ($algorithm, $signature) = @_; return join '.', b64({ alg => $algorithm, typ => 'JWT' }), b64(claims()), $signature // ''; }

# Another algorithm in the header than the key's own, signed by HMAC with a text for a secret.
sub with_secret
{
	my ($secret, %header) = @_;
	my $issuer = new_issuer(issuer => 'https://login.example', algorithm => $header{alg} // 'HS256', secret => $secret);
	%header = (alg => 'HS256', typ => 'JWT', kid => 'second', %header);
	delete @header{ grep { !defined $header{$_} } keys %header };
	return $issuer->sign(\%header, claims());
}

# user_a's token, with a part that was changed by a function.
sub bent
{
	my ($part, $change) = @_;
	my @parts = split /\./, good_token('user_a');
	$parts[$part] = $change->($parts[$part]);
	return join '.', @parts;
}

sub public_pem
{
	my ($issuer, @form) = @_;
	my $out = '';
	IPC::Run::run([ 'openssl', 'pkey', '-in', $issuer->{file}, '-pubout', @form ], '>', \$out) or die 'openssl';
	return $out;
}

my $honest = good_token('user_b');
my ($head, $payload, $signature) = split /\./, $honest;
my $attackers_jwk = $mine->{jwk};
my @guesses = ('', 'secret', 'your-256-bit-secret', 'your-secret-key', 'changeme', 'password', 'jwt_secret', 'app', 'q7', 'supersecretkey', 'key_vault',
	'0' x 32, '0' x 64, "\0" x 32, 'your_jwt_secret_key_goes_here_32', 'https://partner.example');

# Each: what it is, the token, what the message says of it, and the honest one.
my @forged = (
	# times
	[ 'expired', good_token('user_b', exp => time - 60), qr/expired/ ],
	[ 'expired a moment ago, beyond the skew of clocks', good_token('user_b', exp => time - 31), qr/expired/, good_token('user_b', exp => time - 5) ],
	[ 'not valid yet', good_token('user_b', nbf => time + 600), qr/not valid yet/, good_token('user_b', nbf => time - 1) ],
	[ 'issued in the future', good_token('user_b', iat => time + 600), qr/future|ahead/ ],
	[ 'issued too long ago', good_token('user_b', iat => time - 90000), qr/ago|old/, good_token('user_b', iat => time - 3600) ],
	[ 'without an end', good_token('user_b', exp => undef), qr/exp/ ],
	[ 'without a beginning', good_token('user_b', iat => undef), qr/iat/ ],
	[ 'an end that is a text', good_token('user_b', exp => '' . (time + 300) . ''), qr/time/ ],
	[ 'an end that is null', $login->sign({ alg => 'ES256', kid => 'first' }, '{"iss":"https://login.example","aud":"app","sub":"user_b","iat":1,"exp":null}'), qr/exp|time/ ],
	[ 'an end beyond all times', $login->sign({ alg => 'ES256', kid => 'first' }, claims_with('"exp2":1') =~ s/"exp":\d+/"exp":1e308/r), qr/time/ ],

	# for whom
	[ 'for another audience', good_token('user_b', aud => 'shop'), qr/audience/ ],
	[ 'for no audience', good_token('user_b', aud => undef), qr/audience/ ],
	[ 'for an audience that begins like ours', good_token('user_b', aud => 'apple'), qr/audience/ ],
	[ 'for several audiences, not ours', good_token('user_b', aud => [ 'shop', 'App', ' app' ]), qr/audience/, good_token('user_b', aud => [ 'shop', 'app' ]) ],
	[ 'for an audience that is null', $login->sign({ alg => 'ES256', kid => 'first' }, $json->encode(claims(aud => 'x')) =~ s/"aud":"x"/"aud":null/r), qr/audience/ ],
	[ 'for an audience that is an object', good_token('user_b', aud => { app => 1 }), qr/audience/ ],

	# by whom
	[ 'of an unknown issuer', $mine->token(iss => 'https://mine.example', sub => 'user_b'), qr/issuer/ ],
	[ 'of no issuer', good_token('user_b', iss => undef), qr/iss/ ],
	[ 'of an issuer with a slash more', good_token('user_b', iss => 'https://login.example/'), qr/issuer/ ],
	[ 'of an issuer in capitals', good_token('user_b', iss => 'HTTPS://LOGIN.EXAMPLE'), qr/issuer/ ],
	[ 'of two issuers', good_token('user_b', iss => [ 'https://login.example' ]), qr/iss/ ],
	[ 'by a key of the attacker\'s with the id of the issuer\'s', $mine->token(sub => 'user_b'), qr/signature/ ],
	[ 'the same, RSA', $mine_rsa->token(sub => 'user_b'), qr/signature/, $rsa->token(sub => 'user_b') ],
	[ 'by the other issuer\'s key', $partner->sign({ alg => 'HS256', kid => 'theirs' }, claims()), qr/key/ ],
	[ 'by the other issuer\'s key, under an id of ours', $partner->sign({ alg => 'HS256', kid => 'first' }, claims()), qr/algorithm/ ],
	[ 'by the other issuer\'s key, under no id', $partner->sign({ alg => 'HS256' }, claims()), qr/key/ ],
	[ 'user_a\'s with user_b\'s subject', bent(1, sub { b64(claims()) }), qr/signature/ ],
	[ 'user_a\'s with another header', bent(0, sub { b64({ alg => 'ES256', kid => 'first', x => 1 }) }), qr/signature/ ],
	[ 'user_a\'s signature under user_b\'s claims, cut', "$head.$payload." . substr(good_token('user_a') =~ s/.*\.//r, 0, 40), qr/signature/ ],

	# no signature
	[ 'without a signature', "$head.$payload.", qr/signature|compact|base64/ ],
	[ 'without the part of a signature', "$head.$payload", qr/compact|parts/ ],
	(map { [ "unsigned, \"$_\"", unsigned($_), qr/signed|algorithm/ ] } 'none', 'None', 'NONE', 'nOnE', '', ' none'),
	[ 'unsigned with an honest signature', unsigned('none', $signature), qr/signed/ ],
	[ 'unsigned with the id of a key', join('.', b64({ alg => 'none', kid => 'first' }), $payload, ''), qr/signed/ ],
	[ 'a signature of zeros', join('.', $head, $payload, b64("\0" x 64)), qr/signature/ ],
	[ 'a signature of ones', join('.', $head, $payload, b64(("\0" x 31 . "\1") x 2)), qr/signature/ ],
	[ 'a signature with bytes behind it', "$honest" . 'AAAA', qr/signature|base64/ ],

	# the wrong algorithm
	[ 'HS256 with the RSA key\'s text for a secret', with_secret(public_pem($rsa)), qr/algorithm/, $rsa->token(sub => 'user_b') ],
	[ 'HS256 with that text without its last line end', with_secret(public_pem($rsa) =~ s/\n\z//r), qr/algorithm/ ],
	[ 'HS256 with the RSA key\'s DER', with_secret(public_pem($rsa, '-outform', 'DER')), qr/algorithm/ ],
	[ 'HS256 with the RSA key\'s modulus', with_secret(decode_base64url($rsa->{jwk}{n})), qr/algorithm/ ],
	[ 'HS256 with the RSA key as JWK', with_secret($json->encode($rsa->{jwk})), qr/algorithm/ ],
	[ 'HS256 with the RSA key\'s text, under no id', with_secret(public_pem($rsa), kid => undef), qr/key|algorithm/ ],
	[ 'HS256 with the EC key\'s text', with_secret(public_pem($login), kid => 'first'), qr/algorithm/ ],
	[ 'HS256 that says RS256', new_issuer(algorithm => 'HS256', secret => public_pem($rsa))->sign({ alg => 'RS256', kid => 'second' }, claims()), qr/signature/ ],
	[ 'PS256 by a key that is for RS256', bless({ %$rsa, algorithm => 'PS256' }, ref $rsa)->sign({ alg => 'PS256', kid => 'second' }, claims()), qr/algorithm/ ],
	[ 'RS512 by a key that is for RS256', bless({ %$rsa, algorithm => 'RS512' }, ref $rsa)->sign({ alg => 'RS512', kid => 'second' }, claims()), qr/algorithm/ ],
	[ 'ES256 that says it is ES384', with_header($login, alg => 'ES384'), qr/algorithm/ ],
	[ 'an algorithm that nobody knows', with_header($login, alg => 'EdDSA'), qr/algorithm/ ],
	[ 'an algorithm that is a list', with_header($login, alg => ['ES256']), qr/header|algorithm/ ],
	[ 'no algorithm', with_header($login, alg => undef), qr/header|algorithm/ ],
	(map { [ 'a guessed secret, ' . length($_) . ' bytes', new_issuer(algorithm => 'HS256', secret => $_)->sign({ alg => 'HS256', kid => 'theirs' },
		claims(iss => 'https://partner.example')), qr/signature/, undef ] } @guesses),

	# the key's id, and keys that a token brings along
	(map { [ "kid $_->[0]", with_header($mine, kid => $_->[1]), $_->[2] // qr/key/ ] }
		[ 'as a path', '../../../../dev/null' ], [ 'as a path of a file', keyring_path($node) ], [ 'as SQL', q{x' UNION SELECT 'first' --} ],
		[ 'as SQL that is always true', q{' OR '1'='1} ], [ 'as a command', '|cat /etc/passwd' ], [ 'of the other issuer', 'theirs' ],
		[ 'as an address', "$trap/keys" ], [ 'empty', '' , qr/key|header/ ], [ 'as a number', 1, qr/header|key/ ], [ 'as a list', ['first'], qr/header/ ],
		[ 'with a NUL behind it', "first\0", qr/header|key/ ], [ 'of 10 kB', 'k' x 10000 ]),
	[ 'kid as null', $mine->sign('{"alg":"ES256","kid":null}', claims()), qr/header/ ],
	[ 'kid as a path to nothing, with an empty secret', with_secret('', kid => '../../../../dev/null'), qr/key|algorithm/ ],
	[ 'jwk: the attacker\'s key', with_header($mine, jwk => $attackers_jwk), qr/signature/, with_header($login, jwk => $attackers_jwk) ],
	[ 'jwk, under no id', with_header($mine, jwk => $attackers_jwk, kid => undef), qr/signature|key/, with_header($login, kid => undef) ],
	[ 'jku: where the attacker\'s keys are', with_header($mine, jku => "$trap/jwks.json"), qr/signature/, with_header($login, jku => "$trap/jwks.json") ],
	[ 'x5u: where its certificate is', with_header($mine, x5u => "$trap/cert.pem", 'x5t' => 'abc'), qr/signature/, with_header($login, x5u => "$trap/cert.pem") ],
	[ 'x5c: its certificate', with_header($mine, x5c => ['MIIB']), qr/signature/, with_header($login, x5c => ['MIIB']) ],
	[ 'all of them, and an issuer where keys could be found', $mine->sign({ alg => 'ES256', kid => "$trap/k", jku => "$trap/j", x5u => "$trap/x", jwk => $attackers_jwk },
		claims(iss => $trap)), qr/issuer/ ],
	[ 'crit', with_header($login, crit => ['exp']), qr/crit/ ],
	[ 'an unencoded payload (b64)', with_header($login, b64 => JSON::PP::false, crit => ['b64']), qr/crit/ ],

	# JSON that two readers read differently
	[ 'two subjects', $login->sign({ alg => 'ES256', kid => 'first' }, claims_with('"sub":"user_a"')), qr/twice|duplicate/ ],
	[ 'two subjects, one spelled with an escape', $login->sign({ alg => 'ES256', kid => 'first' }, claims_with('"s\u0075b":"user_a"')), qr/twice|duplicate/ ],
	[ 'two algorithms', $mine->sign('{"alg":"none","kid":"first","alg":"ES256"}', claims()), qr/twice|duplicate/ ],
	[ 'two members deep inside', $login->sign({ alg => 'ES256', kid => 'first' }, claims_with('"x":{"a":1,"a":2}')), qr/twice|duplicate/ ],
	[ 'something behind the claims', $login->sign({ alg => 'ES256', kid => 'first' }, $json->encode(claims()) . '{}'), qr/claims|JSON|object/ ],
	[ 'a list of claims', $login->sign({ alg => 'ES256', kid => 'first' }, '[' . $json->encode(claims()) . ']'), qr/claims|JSON|object/ ],
	[ 'a byte order mark', $login->sign({ alg => 'ES256', kid => 'first' }, "\xef\xbb\xbf" . $json->encode(claims())), qr/claims|JSON|object/ ],
	[ 'text that is not UTF-8', $login->sign({ alg => 'ES256', kid => 'first' }, claims_with(qq{"x":"\xff"})), qr/claims|JSON|object/ ],
	[ 'a subject with a NUL behind it', $login->sign({ alg => 'ES256', kid => 'first' }, $json->encode(claims()) =~ s/user_b/user_b\\u0000x/r), qr/claims|JSON|object|subject|user/ ],
	[ 'lists in lists, 100', $login->sign({ alg => 'ES256', kid => 'first' }, claims_with('"x":' . '[' x 100 . ']' x 100)), qr/deep/ ],
	[ 'lists in lists, 5,000', $login->sign({ alg => 'ES256', kid => 'first' }, claims_with('"x":' . '[' x 5000 . ']' x 5000)), qr/deep/ ],
	[ 'objects in objects, 1,500, in the header', $login->sign('{"alg":"ES256","kid":"first","x":' . '{"a":' x 1500 . '1' . '}' x 1501, claims()), qr/deep/ ],
	[ 'lists that never end', $login->sign({ alg => 'ES256', kid => 'first' }, claims_with('"x":' . '[' x 8000)), qr/deep|claims|JSON|object/ ],
	[ 'a token of 17 kB', good_token('user_b', x => 'x' x 12300), qr/long|bytes/, good_token('user_b', x => 'x' x 10000) ],
	[ 'a token of 10 MB', good_token('user_b', x => 'x' x 7500000), qr/long|bytes/ ],

	# the subject
	[ 'a team as subject', good_token('team:acme'), qr/user|subject|team/ ],
	[ 'an empty subject', good_token(''), qr/user|subject/ ],
	[ 'a subject of 256 bytes', good_token('b' x 256), qr/user|subject/ ],
	[ 'a subject that is a list', good_token([ 'user_b' ]), qr/user|subject/ ],
	[ 'a subject that is a number', good_token(7), qr/user|subject/ ],
	[ 'no subject', good_token(undef), qr/user|subject/ ],

	# other forms
	[ 'a token in a token', $login->sign({ alg => 'ES256', kid => 'first', cty => 'JWT' }, $honest), qr/claims|JSON|object/ ],
	[ 'five parts', "$head..$payload.$signature.AA", qr/encrypted/ ],
	[ 'the JSON form', $json->encode({ protected => $head, payload => $payload, signature => $signature }), qr/compact|parts/ ],
	[ 'padding', "$head.$payload.$signature==", qr/base64/ ],
	[ 'the other alphabet', join('.', $head, $payload, $signature =~ tr{-_}{+/}r) =~ s/(.)\z/+/r, qr/base64|signature/ ],
	[ 'a blank before it', " $honest", qr/base64/ ],
	[ 'a line end behind it', "$honest\n", qr/base64/ ],
	[ '"Bearer" before it', "Bearer $honest", qr/base64/ ],
	[ 'nothing', '', qr/compact|parts/ ],
	[ 'dots', '..', qr/header|compact|JSON|object|base64/ ],
	[ 'many dots', '.' x 3000, qr/compact|parts|encrypted/ ]);

# --- Each of them

sub subject_of
{
	my ($token) = @_;
	my @came = request($session, $token, [ q{SELECT key_vault.get(NULL, 'gemini')} ]);
	return ($came[1]{error} ? $came[1]{error}{state} : $came[1]{rows}[0][0], @came);
}

is((subject_of($honest))[0], $b, 'the control: an honest token is accepted');
for my $forged (@forged)
{
	my ($name, $token, $says, @accepted) = @$forged;
	my ($outcome, @came) = subject_of($token);
	is($outcome, '28000', "refused: $name") or diag(heard(@came));
	like($came[1]{error}{message}, $says, '... for that reason');
	my $heard = heard(@came);
	my ($shown) = grep { length $_ > 12 && index($heard, substr $_, 0, 60) >= 0 } $token, split /\./, $token;
	is($shown, undef, '... with nothing of the token in the message');
	is(belongs_to_b($heard), undef, '... and nothing of user_b\'s');
	is((subject_of($_))[0], $b, '... while the honest one is accepted') for grep { defined } @accepted;
}
is((subject_of($honest))[0], $b, 'the control, after all of them');

# What belongs to another issuer's users is theirs: the prefix keeps them apart
is((subject_of($partner->token(sub => 'user_b')))[0], 'partner:user_b', 'the other issuer\'s user_b is another user');
is((subject_of($partner->token(sub => 'user_b')))[3]{rows}[0][0], undef, '... who has no key');

# --- NULL, and parts of a transaction

outcome_is($session, '22004', 'NULL for a token', 'SELECT key_vault.authenticate(NULL)');
my $own = good_token('user_a');
$session->run('BEGIN');
outcome_is($session, 'login:user_a', 'user_a\'s token', 'SELECT key_vault.authenticate($1)', $own);
$session->run('SAVEPOINT s');
outcome_is($session, '42501', 'with user_b\'s honest one in the same transaction: a transaction is one user\'s', 'SELECT key_vault.authenticate($1)', $honest);
$session->run('ROLLBACK TO s');
outcome_is($session, '28000', 'and with a forged one', 'SELECT key_vault.authenticate($1)', $mine->token(sub => 'user_b'));
$session->run('ROLLBACK TO s');
outcome_is($session, $keys{user_a}, 'after both, the transaction is user_a\'s', q{SELECT key_vault.get(NULL, 'gemini')});
$session->run('ROLLBACK');

$session->run('BEGIN', 'SAVEPOINT s');
outcome_is($session, 'login:user_a', 'authenticated in a savepoint', 'SELECT key_vault.authenticate($1)', $own);
$session->run('ROLLBACK TO s');
outcome_is($session, '22004', '... which is rolled back: the transaction is nobody\'s', q{SELECT key_vault.get(NULL, 'gemini')});
$session->run('ROLLBACK', 'BEGIN', 'SAVEPOINT s');
outcome_is($session, 'login:user_a', 'authenticated in a savepoint', 'SELECT key_vault.authenticate($1)', $own);
$session->run('ROLLBACK TO s');
outcome_is($session, $b, '... that is rolled back: another token may follow', 'SELECT key_vault.authenticate($1)', $honest);
outcome_is($session, $keys{user_b}, '... and is the one that counts', q{SELECT key_vault.get(NULL, 'gemini')});
$session->run('ROLLBACK', 'BEGIN', 'SAVEPOINT s');
outcome_is($session, 'login:user_a', 'authenticated in a savepoint', 'SELECT key_vault.authenticate($1)', $own);
$session->run('RELEASE s');
outcome_is($session, $keys{user_a}, '... that is released: it stays', q{SELECT key_vault.get(NULL, 'gemini')});
outcome_is($session, '42501', '... and no other may follow', 'SELECT key_vault.authenticate($1)', $honest);
$session->run('ROLLBACK');

# --- Revoked, and an issuer that is not trusted any more: in a session that has seen the token

my $kept = good_token('user_b', iat => time - 300);
is((subject_of($kept))[0], $b, 'a token before it is revoked');
$session->run('BEGIN');
is($session->value('SELECT key_vault.authenticate($1)', $kept), $b, '... and in a transaction that goes on');
$node->safe_psql('postgres', q{SELECT key_vault.revoke_tokens('login:user_b', now() - interval '200 seconds')});
outcome_is($session, '28000', 'a token that is revoked meanwhile', q{SELECT key_vault.get(NULL, 'gemini')});
$session->run('ROLLBACK');
is((subject_of($kept))[0], '28000', '... and ever after');
is((subject_of($honest))[0], $b, 'one that was issued later is accepted');

$node->safe_psql('postgres', q{SELECT key_vault.distrust_issuer('https://login.example')});
is((subject_of($honest))[0], '28000', 'an issuer that is not trusted any more');
$mine->trusted_by($node, user_prefix => "'login:'");
is((subject_of($honest))[0], '28000', 'an issuer whose key was replaced: the old key signs nothing');
is((subject_of($mine->token(sub => 'user_b')))[0], $b, '... and the new one does');

# --- Nothing was fetched, and nothing is in the log

is(scalar(IO::Select->new($listener)->can_read(0)), undef, 'nobody came to fetch keys');
my $visitor = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $listener->sockport);
ok(IO::Select->new($listener)->can_read(5), 'the control: who comes is seen');
my $log = slurp_file($node->logfile);
my @logged = grep { length > 60 && index($log, substr $_, 0, 60) >= 0 } map { $_->[1] } @forged;
is_deeply(\@logged, [], 'no token is in the log');

done_testing();
