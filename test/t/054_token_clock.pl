# A clock that jumps, forwards past a token's end and backwards before its beginning: what counts
# is the clock at each call, for a token that is remembered and for one that a transaction has.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use KeyVaultToken;
use PostgreSQL::Test::Utils;
use Test::More;

my ($library) = glob('/usr/lib/*/faketime/libfaketime.so.1');
plan skip_all => 'libfaketime is not installed' unless defined $library;

# How many seconds the server's clock is ahead stands in a file, which is read at each call
my $offset = PostgreSQL::Test::Utils::tempdir . '/offset';
sub jump_to
{
	my ($seconds) = @_;
	open my $file, '>', "$offset.new" or die $!;
	printf $file "%+d\n", $seconds;
	close $file;
	rename "$offset.new", $offset or die $!;
	return;
}
jump_to(0);

my $node = new_vault('clock');
add_role($node, 'regress_kv_user', 'user');
$node->safe_psql('postgres', q{SELECT key_vault.set('user_a', 'gemini', 'AIza-of-user_a')});
$node->stop;
{
	local %ENV = (%ENV, LD_PRELOAD => $library, FAKETIME_TIMESTAMP_FILE => $offset, FAKETIME_NO_CACHE => 1, FAKETIME_DONT_FAKE_MONOTONIC => 1);
	$node->start;
}
my $super = session($node);
jump_to(7200);
my $ahead = $super->value('SELECT extract(epoch FROM clock_timestamp())') - time;
cmp_ok(abs($ahead - 7200), '<', 60, 'the server\'s clock jumps');
jump_to(0);

my $issuer = new_issuer(algorithm => 'ES256');
$issuer->trusted_by($node, max_age => q{'24 hours'}, clock_skew => q{'30 seconds'});
my $session = session($node, 'regress_kv_user');
my $authenticate = 'SELECT key_vault.authenticate($1)';
my $get = q{SELECT key_vault.get(NULL, 'gemini')};
my $whoami = 'SELECT key_vault.current_user_id()';

# in_and_out(name, claims, seconds that the clock jumps, why it is refused then)
sub in_and_out
{
	my ($name, $claims, $seconds, $why) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $now = time;
	my $token = $issuer->token(map { $_ => $now + $claims->{$_} } keys %$claims);
	outcome_is($session, 'user_a', "$name: good now", $authenticate, $token);
	$session->run('BEGIN');
	outcome_is($session, 'user_a', "$name: good now, in a transaction", $authenticate, $token);
	outcome_is($session, 'AIza-of-user_a', "$name: which it serves", $get);
	$session->run('SAVEPOINT s');

	jump_to($seconds);
	my $refused = sub {
		my ($how, @query) = @_;
		my $error = $session->query(@query)->{error} // {};
		is($error->{state}, '28000', "$name: $how");
		like($error->{message}, $why, "$name: $how: why");
	};
	$refused->('get in the transaction', $get);
	$session->run('ROLLBACK TO s');
	$refused->('a policy in it', $whoami);
	$session->run('ROLLBACK TO s');
	$refused->('authenticate in it', $authenticate, $token);

	# and back: the token is what it was
	jump_to(0);
	$session->run('ROLLBACK TO s');
	outcome_is($session, 'AIza-of-user_a', "$name: the clock is right again", $get);
	$session->run('ROLLBACK');

	jump_to($seconds);
	$refused->('remembered', $authenticate, $token);
	my $fresh = session($node, 'regress_kv_user');
	outcome_is($fresh, '28000', "$name: not remembered", $authenticate, $token);
	$fresh->close;
	jump_to(0);
	outcome_is($session, 'user_a', "$name: the clock is right again, outside of a transaction", $authenticate, $token);
	return;
}

in_and_out('past exp', { iat => 0, exp => 300 }, 900, qr/expired/);
in_and_out('past exp, by years', { iat => 0, exp => 300 }, 10 * 365 * 86400, qr/expired/);
in_and_out('past max_age', { iat => 0, exp => 200000 }, 90000, qr/max_age/);
in_and_out('before iat', { iat => 0, exp => 300 }, -900, qr/issued in the future/);
in_and_out('before nbf', { iat => -2000, nbf => 0, exp => 300 }, -900, qr/not valid yet/);
in_and_out('before all, by years', { iat => 0, nbf => 0, exp => 300 }, -10 * 365 * 86400, qr/issued in the future|not valid yet/);

# Within clock_skew it does not matter
my $token = $issuer->token(iat => time, exp => time + 300);
for my $seconds (-20, 20)
{
	jump_to($seconds);
	outcome_is($session, 'user_a', "$seconds seconds off", $authenticate, $token);
}

# What was revoked when the clock was behind is refused as of then; and nothing is revoked ahead
jump_to(-3600);
my $earlier = $issuer->token(iat => time - 3700, exp => time + 300);
outcome_is($session, 'user_a', 'a token from before', $authenticate, $earlier);
outcome_is($super, '', 'revoked an hour behind', q{SELECT key_vault.revoke_tokens('user_a')});
outcome_is($session, '28000', 'what was issued before that is refused', $authenticate, $earlier);
jump_to(0);
outcome_is($session, '28000', 'also when the clock is right', $authenticate, $earlier);
outcome_is($session, 'user_a', 'what was issued later is not', $authenticate, $token);

$node->stop;
done_testing();
