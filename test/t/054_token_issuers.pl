# Several issuers beside each other, and what a session keeps of them: names of one length, more
# issuers than it has room for, a keyring that is exchanged; and a database that is not in UTF-8,
# whose users and teams are the tokens'.
use strict;
use warnings;
use utf8;

use Digest::SHA qw(sha256);
use Encode qw(encode);
use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use KeyVaultToken;
use MIME::Base64 qw(encode_base64);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_vault('issuers');
add_role($node, 'regress_kv_user', 'user');
my $authenticate = 'SELECT key_vault.authenticate($1)';
my $session = session($node, 'regress_kv_user');

# Their names have one length, their keys one id
my @names = map { "https://$_.example" } 'a' .. 'l';
my %issuer = map { $_ => new_issuer(issuer => $_) } @names;
for my $name (@names)
{
	my ($letter) = $name =~ m{//(.)};
	$issuer{$name}->trusted_by($node, user_prefix => "'$letter:'");
}

my @both = map { $issuer{$_} } @names[ 0, 1 ];
for my $round (1, 2)
{
	outcome_is($session, 'a:user', "round $round: one issuer", $authenticate, $both[0]->token(sub => 'user', jti => "$round"));
	outcome_is($session, 'b:user', "round $round: another, whose name is as long", $authenticate, $both[1]->token(sub => 'user', jti => "$round"));
}
outcome_is($session, '28000', 'one issuer\'s name over the other\'s signature', $authenticate, $both[0]->token(sub => 'user', iss => $names[1]));
outcome_is($session, '28000', '... and the other way round', $authenticate, $both[1]->token(sub => 'user', iss => $names[0]));

# Each token is new, so that no session remembers it
for my $round (1 .. 3)
{
	my @wrong = grep { $session->outcome($authenticate, $issuer{$_}->token(sub => 'user', jti => "more $round")) ne substr($_, 8, 1) . ':user' } $round % 2 ? @names : reverse @names;
	is_deeply(\@wrong, [], "round $round: more issuers than a session keeps");
}

# --- Teams have no prefix: who vouches for them vouches for all, and nobody does who has no team_claim

$node->safe_psql('postgres', q{SELECT key_vault.set('team:acme', 'gemini', 'AIza-of-acme')});
my $get_by = q{SELECT key_vault.get(NULL, 'gemini') FROM key_vault.authenticate($1)};
$both[0]->trusted_by($node, user_prefix => q{'a:'}, team_claim => q{'team'});
outcome_is($session, 'AIza-of-acme', 'a team of one issuer', $get_by, $both[0]->token(team => 'acme'));
outcome_is($session, 'NULL', '... is none by the token of another that has no team_claim', $get_by, $both[1]->token(team => 'acme'));
$both[1]->trusted_by($node, user_prefix => q{'b:'}, team_claim => q{'team'});
outcome_is($session, 'AIza-of-acme', '... and is the same team by that of one that has', $get_by, $both[1]->token(team => 'acme'));

# --- A keyring that lacks the issuers' root key

{
	my $token = $both[0]->token(sub => 'user');
	my $path = keyring_path($node);
	my $other = PostgreSQL::Test::Utils::tempdir . '/other';
	my $key = 'x' x 32;
	append_to_file($other, unpack('H16', sha256("key_vault root key v1$key")) . ' ' . encode_base64($key, '') . " 2026-01-31T23:59:59Z\n");
	chmod 0600, $other;
	my $kept_by = sub {
		my ($file) = @_;
		$node->safe_psql('postgres', "ALTER SYSTEM SET key_vault.keyring_file = '$file'");
		$node->reload;
		$node->poll_query_until('postgres', "SELECT current_setting('key_vault.keyring_file') = '$file'");
		return;
	};
	outcome_is($session, 'a:user', 'a token that is remembered', $authenticate, $token);
	$kept_by->($other);
	outcome_is($session, 'F0000', '... is asked about anew when another keyring is set', $authenticate, $token);
	$kept_by->($path);
	outcome_is($session, 'a:user', '... and accepted with the one that has the root key', $authenticate, $token);
}

# --- A database in LATIN1

$node->safe_psql('postgres', q{CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'});
install_vault($node, 'latin');
$node->safe_psql('latin', q{SELECT key_vault.grant_access('regress_kv_user', 'user')});
$node->safe_psql('latin', "SELECT key_vault.trust_issuer('$names[0]', '{key_vault}', '" . $both[0]->jwks . q{', team_claim => 'team', clock_skew => '0')});
my $owner = session($node, undef, dbname => 'latin');
my $latin = session($node, 'regress_kv_user', dbname => 'latin');
$_->run(q{SET client_encoding = 'UTF8'}) for $owner, $latin;

my ($zoe, $cafe) = map { encode('UTF-8', $_) } 'zoë', 'café';
sub of { my ($user, %claims) = @_; return $both[0]->token(sub => $user, iat => time - 60, %claims); }
$owner->run("SELECT key_vault.set('$zoe', 'gemini', 'AIza-of-zoe')", "SELECT key_vault.set('team:$cafe', 'exa', 'key-of-the-team')");
my $mine = of('zoë', team => 'café');
for my $how ('verified', 'remembered')
{
	outcome_is($latin, 'AIza-of-zoe', "LATIN1, $how: the token's user is the database's", q{SELECT key_vault.get(NULL, 'gemini') FROM key_vault.authenticate($1)}, $mine);
	outcome_is($latin, 'key-of-the-team', "LATIN1, $how: so is the team", q{SELECT key_vault.get(NULL, 'exa') FROM key_vault.authenticate($1)}, $mine);
}
$latin->run('BEGIN');
outcome_is($latin, $zoe, 'LATIN1: who authenticates', $authenticate, $mine);
outcome_is($latin, '3', 'LATIN1: a character is one byte', 'SELECT octet_length(key_vault.current_user_id())');
outcome_is($latin, $cafe, 'LATIN1: the team\'s id', 'SELECT key_vault.current_team_id()');
$latin->run('COMMIT');

for my $claims ([ '日本' ], [ 'zoë', team => '日本' ])
{
	my $error = $latin->query($authenticate, of(@$claims))->{error} // {};
	is($error->{state}, '28000', 'LATIN1: what has no form in it is nobody');
	like($error->{message}, qr/no form in the encoding/, '... for that reason');
}
$owner->run("SELECT key_vault.revoke_tokens('$zoe')");
outcome_is($latin, '28000', 'LATIN1: a revocation reaches the token', $authenticate, $mine);

done_testing();
