# Issuers and their tokens: made here with openssl, and with what perl has.
#
#	my $issuer = new_issuer(issuer => 'https://a.example', algorithm => 'ES256', kid => 'one');
#	$issuer->trusted_by($node, user_prefix => "'a:'");	arguments of trust_issuer() as SQL
#	$issuer->token(sub => 'user_a', exp => time + 60)	a signed token; undef leaves a claim out
#	$issuer->sign($header, $claims)				one that is as odd as a test wants it
#	$issuer->jwks						the key set, for trust_issuer()
package KeyVaultToken;

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256 hmac_sha384 hmac_sha512);
use Exporter 'import';
use IPC::Run ();
use JSON::PP ();
use MIME::Base64 qw(encode_base64url decode_base64url);
use PostgreSQL::Test::Utils ();

our @EXPORT = qw(new_issuer encode_base64url decode_base64url);

my %hmac = (HS256 => \&hmac_sha256, HS384 => \&hmac_sha384, HS512 => \&hmac_sha512);
my %ec = (ES256 => [ 'P-256', 'prime256v1', 32, 'sha256' ], ES384 => [ 'P-384', 'secp384r1', 48, 'sha384' ]);
my $json = JSON::PP->new->canonical->utf8;
my $folder;

sub openssl
{
	my ($input, @arguments) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'openssl', @arguments ], '<', \$input, '>', \$out, '2>', \$err) or die "openssl @arguments: $err";
	return $out;
}

sub private_key_file
{
	my ($text) = @_;
	$folder //= PostgreSQL::Test::Utils::tempdir();
	my $file = "$folder/" . int(rand 1e12);
	PostgreSQL::Test::Utils::append_to_file($file, $text);
	return $file;
}

# A DER text's INTEGERs r and s as the bytes that a JWS has.
sub raw_signature
{
	my ($der, $len) = @_;
	my @numbers = $der =~ /\A\x30(?:[\x00-\x7f]|\x81.)\x02(.)/s or die 'not a DER signature';
	my $at = substr($der, 1, 1) eq "\x81" ? 3 : 2;
	my $raw = '';
	for (1 .. 2)
	{
		my $size = ord substr($der, $at + 1, 1);
		my $number = substr($der, $at + 2, $size);
		$number =~ s/\A\x00+//;
		$raw .= ("\0" x ($len - length $number)) . $number;
		$at += 2 + $size;
	}
	return $raw;
}

# new_issuer(issuer, algorithm, kid, audience, secret, bits): with a key of its own.
sub new_issuer
{
	my (%self) = (issuer => 'https://issuer.example', algorithm => 'HS256', kid => 'one', audience => 'key_vault', bits => 2048, @_);
	my $algorithm = $self{algorithm};

	if ($hmac{$algorithm})
	{
		$self{secret} //= join '', map { chr int rand 256 } 1 .. 64;
		$self{jwk} = { kty => 'oct', k => encode_base64url($self{secret}) };
	}
	elsif (my $curve = $ec{$algorithm})
	{
		my $pem = openssl('', qw(genpkey -algorithm EC -pkeyopt), "ec_paramgen_curve:$curve->[1]");
		my $point = substr(openssl($pem, qw(pkey -pubout -outform DER)), -2 * $curve->[2]);
		$self{file} = private_key_file($pem);
		$self{jwk} = { kty => 'EC', crv => $curve->[0], x => encode_base64url(substr $point, 0, $curve->[2]), y => encode_base64url(substr $point, $curve->[2]) };
	}
	else
	{
		my $pem = openssl('', qw(genpkey -algorithm RSA -pkeyopt), "rsa_keygen_bits:$self{bits}");
		my ($modulus) = openssl($pem, qw(rsa -noout -modulus)) =~ /Modulus=([0-9A-F]+)/;
		$self{file} = private_key_file($pem);
		$self{jwk} = { kty => 'RSA', n => encode_base64url(pack 'H*', $modulus), e => 'AQAB' };
	}
	$self{jwk}{alg} = $algorithm;
	$self{jwk}{kid} = $self{kid} if defined $self{kid};
	return bless \%self, __PACKAGE__;
}

# The key set of its own key, and of others'.
sub jwks { return $json->encode({ keys => [ map { $_->{jwk} } @_ ] }); }

# trusted_by(node, with => [issuers that have further keys], argument => SQL, ...)
sub trusted_by
{
	my ($self, $node, %more) = @_;
	my $jwks = $self->jwks(@{ delete $more{with} // [] });
	my $rest = join '', map { ", $_ => $more{$_}" } sort keys %more;
	return $node->safe_psql('postgres', "SELECT key_vault.trust_issuer('$self->{issuer}', '{$self->{audience}}', '$jwks'$rest)");
}

# The bytes that sign a text.
sub signature
{
	my ($self, $text) = @_;
	my $algorithm = $self->{algorithm};

	return $hmac{$algorithm}->($text, $self->{secret}) if $hmac{$algorithm};
	return raw_signature(openssl($text, 'dgst', "-$ec{$algorithm}[3]", '-sign', $self->{file}), $ec{$algorithm}[2]) if $ec{$algorithm};
	my ($hash) = $algorithm =~ /(\d+)/;
	my @padding = $algorithm =~ /^PS/ ? qw(-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:-1) : ();
	return openssl($text, 'dgst', "-sha$hash", '-sign', $self->{file}, @padding);
}

# sign(header, claims), both of them texts of JSON or hashes.
sub sign
{
	my ($self, $header, $claims) = @_;
	my $text = join '.', map { encode_base64url(ref $_ ? $json->encode($_) : $_) } $header, $claims;
	return "$text." . encode_base64url($self->signature($text));
}

sub token
{
	my ($self, %claims) = @_;
	my %all = (iss => $self->{issuer}, aud => $self->{audience}, sub => 'user_a', iat => time, exp => time + 3600, %claims);
	my %header = (alg => $self->{algorithm}, typ => 'JWT');
	$header{kid} = $self->{kid} if defined $self->{kid};
	delete $all{$_} for grep { !defined $all{$_} } keys %all;
	return $self->sign(\%header, \%all);
}

1;
