# A core dump of a backend that authenticated: it holds no issuer's symmetric key, also within the
# transaction, and also what the server's shared memory keeps of the session that named the issuer;
# and after its COMMIT no token, once the server's own memory of what a client last
# sent (its buffer, the statement's parameters) was used again.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use KeyVaultToken;
use PostgreSQL::Test::Utils;
use Test::More;

my $gcore = (grep { -x } map { "$_/gcore" } split /:/, $ENV{PATH})[0];
plan skip_all => 'gcore, of gdb, is not installed' unless defined $gcore;

my $folder = PostgreSQL::Test::Utils::tempdir;
# what the log gets is put together in memory, which is given back as it is; all that the server
# shares is in each core dump
my $node = new_vault('token_memory', conf => "shared_preload_libraries = 'key_vault'\nlog_statement = none\nshared_buffers = 4MB\n");
add_role($node, 'regress_kv_user', 'user');
my ($hs, $es) = map { new_issuer(issuer => "https://$_->[0].example", algorithm => $_->[1], kid => $_->[0]) } [ hs => 'HS256' ], [ es => 'ES256' ];
# a session that stays: its text in pg_stat_activity is in memory that all processes share
my $owner = session($node);
$owner->run("SELECT key_vault.trust_issuer('https://hs.example', '{key_vault}', '" . $hs->jwks . "', user_prefix => 'hs:')");
$es->trusted_by($node, user_prefix => q{'es:'});
my $authenticate = 'SELECT key_vault.authenticate($1)';

# A core dump of a session's process, or undef when the system does not let us take one.
sub core_of
{
	my ($session) = @_;
	my $pid = $session->pid;
	note `gcore -o $folder/core $pid 2>&1`;
	return unless -s "$folder/core.$pid";
	my $core = slurp_file("$folder/core.$pid");
	unlink "$folder/core.$pid";
	return $core;
}

# Which parts of a text, of so many bytes, stand in a core dump.
sub parts_in
{
	my ($core, $text, $size) = @_;
	return [ grep { index($core, substr($text, $_, $size)) >= 0 } map { $_ * $size } 0 .. int(length($text) / $size) - 1 ];
}

sub signature_of { my ($token) = @_; return (split /\./, $token)[2]; }

# What a client sends lies where the server has received and read it until the next one comes: a
# statement of the same form and length overwrites that
$node->safe_psql('postgres', 'CREATE FUNCTION public.authenticate_12(text) RETURNS text LANGUAGE sql RETURN left($1, 1)');
sub send_the_like { my ($session, $token) = @_; $session->query('SELECT public.authenticate_12($1)', 'y' x length $token); return; }

my $user = session($node, 'regress_kv_user');
my $canary = 'canary 3c9e1f';
$user->run("SET application_name = '$canary'");
SKIP:
{
	my %token = map { ($_->{kid} => $_->token(sub => 'a')) } $hs, $es;
	for my $kid (sort keys %token)
	{
		$user->run('BEGIN');
		is($user->value($authenticate, $token{$kid}), "$kid:a", "$kid: authenticated");
		my $during = core_of($user) // skip 'the system does not let gcore look at a process', 1;
		$user->run('COMMIT');
		my $at_once = core_of($user);
		note "$kid: at once after COMMIT: parts @{ parts_in($at_once, $token{$kid}, 20) } of ", int(length($token{$kid}) / 20);
		send_the_like($user, $token{$kid});
		my $core = core_of($user);
		ok(index($core, $canary) >= 0, "$kid: the core dump is of that backend");
		# pieces of it may stand in memory that the server has given back and not used again
		note "$kid: later: parts @{ parts_in($core, $token{$kid}, 20) }";
		is(index($core, $token{$kid}), -1, "$kid: the token is not in it");
		is(index($core, signature_of($token{$kid})), -1, "$kid: nor its signature");
		is_deeply(parts_in($_, $hs->{secret}, 8), [], "$kid: no part of the symmetric key") for $during, $core;
		is_deeply(parts_in($_, $hs->{jwk}{k}, 12), [], "$kid: nor of its base64url") for $during, $core;
	}
}
done_testing();
