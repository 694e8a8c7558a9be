# Keys of issuers and the tokens (JWT) that they sign, made by openssl and Perl's own
# modules, so that no library's idea of a good token stands between a test and what it sends.
package KeyVaultToken;

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256 hmac_sha384 hmac_sha512);
use Exporter 'import';
use JSON::PP;
use MIME::Base64 qw(encode_base64url);
use PostgreSQL::Test::Utils;

our @EXPORT = qw(token_key token_jwk token_jwks token_claims token_of token_parts token_signature token_trust json_text);

my $json = JSON::PP->new->canonical->utf8->allow_nonref;
my %hmacs = (HS256 => \&hmac_sha256, HS384 => \&hmac_sha384, HS512 => \&hmac_sha512);
my %curves = (ES256 => [ 'P-256', 32 ], ES384 => [ 'P-384', 48 ], ES512 => [ 'P-521', 66 ]);
my $folder;
my $made = 0;

sub json_text { return $json->encode(shift); }

# What openssl prints.
sub _openssl
{
	my ($input, @arguments) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'openssl', @arguments ], '<', \$input, '>', \$out, '2>', \$err) or die "openssl @arguments: $err";
	return $out;
}

# token_key(algorithm, kid, secret => bytes for HS..., bits => of RSA): a key that signs.
sub token_key
{
	my ($algorithm, $kid, %option) = @_;
	my $key = { alg => $algorithm, kid => $kid };
	if ($hmacs{$algorithm})
	{
		$key->{secret} = $option{secret} // join '', map { chr int rand 256 } 1 .. 64;
		return $key;
	}
	$folder //= PostgreSQL::Test::Utils::tempdir;
	$key->{pem} = "$folder/" . ++$made . '.pem';
	_openssl('', 'genpkey', '-quiet', '-out', $key->{pem}, $curves{$algorithm}
		? ('-algorithm', 'EC', '-pkeyopt', "ec_paramgen_curve:$curves{$algorithm}[0]")
		: ('-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:' . ($option{bits} // 2048)));
	return $key;
}

# The key as its issuer publishes it, a hash; of a symmetric one the secret.
sub token_jwk
{
	my ($key, %more) = @_;
	my %jwk = (alg => $key->{alg}, defined $key->{kid} ? (kid => $key->{kid}) : (), %more);
	if (defined $key->{secret})
	{
		return { kty => 'oct', k => encode_base64url($key->{secret}), %jwk };
	}
	if (my $curve = $curves{ $key->{alg} })
	{
		my $point = substr _openssl('', 'pkey', '-in', $key->{pem}, '-pubout', '-outform', 'DER'), -2 * $curve->[1];
		return { kty => 'EC', crv => $curve->[0], use => 'sig', %jwk,
			x => encode_base64url(substr $point, 0, $curve->[1]), y => encode_base64url(substr $point, $curve->[1]) };
	}
	my ($modulus) = _openssl('', 'rsa', '-in', $key->{pem}, '-noout', '-modulus') =~ /=(\w+)/;
	return { kty => 'RSA', use => 'sig', n => encode_base64url(pack 'H*', $modulus), e => 'AQAB', %jwk };
}

# A JWK Set, as JSON.
sub token_jwks
{
	my (@keys) = @_;
	return json_text({ keys => [ map { token_jwk($_) } @keys ] });
}

# What a user's token says, for issuer and audience; undef in %more leaves a claim out.
sub token_claims
{
	my ($issuer, $audience, $user, %more) = @_;
	my %claims = (iss => $issuer, aud => $audience, sub => $user, iat => time, exp => time + 300, %more);
	delete @claims{ grep { !defined $claims{$_} } keys %claims };
	return \%claims;
}

# The bytes that a key signs a text with; algorithm may be another than the key's own.
sub token_signature
{
	my ($key, $text, $algorithm) = @_;
	$algorithm //= $key->{alg};
	return $hmacs{$algorithm}->($text, $key->{secret}) if $hmacs{$algorithm};
	my ($bits) = $algorithm =~ /(\d+)$/;
	my @pss = $algorithm =~ /^PS/ ? qw(-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest) : ();
	my $signature = _openssl($text, 'dgst', "-sha$bits", '-sign', $key->{pem}, @pss);
	return $signature unless $curves{$algorithm};

	# DER: a sequence of two integers
	my (undef, undef, @integers) = $bits == 512 ? unpack('a2 a1 (x C/a)2', $signature) : unpack('a1 a1 (x C/a)2', $signature);
	return join '', map { substr "\0" x $curves{$algorithm}[1] . $_, -$curves{$algorithm}[1] } @integers;
}

# token_of(key, claims, header members): undef leaves a member out.  Claims and header may be
# JSON as text, when it is to be odd.
sub token_of
{
	my ($key, $claims, %header) = @_;
	my $head = { alg => $key->{alg}, typ => 'JWT', kid => $key->{kid}, %header };
	delete @$head{ grep { !defined $head->{$_} } keys %$head };
	return token_parts($key, $head, $claims);
}

# token_parts(key or undef for no signature, header, claims): header as hash or text.
sub token_parts
{
	my ($key, $header, $claims, $algorithm) = @_;
	my $text = join '.', map { encode_base64url(ref $_ ? json_text($_) : $_) } $header, $claims;
	return "$text." . (defined $key ? encode_base64url(token_signature($key, $text, $algorithm)) : '');
}

# token_trust(node, issuer, audience, [keys], argument => SQL, ...): the server trusts the issuer.
sub token_trust
{
	my ($node, $issuer, $audience, $keys, %more) = @_;
	my $rest = join '', map { ", $_ => $more{$_}" } sort keys %more;
	return $node->safe_psql('postgres', "SELECT key_vault.trust_issuer('$issuer', '{$audience}', '" . token_jwks(@$keys) . "'$rest)");
}

1;
