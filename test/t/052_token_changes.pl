# What changes under a token: its time, its issuer, its user's revocations. The next call knows,
# also in the middle of a transaction, and a session that remembers the token.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use KeyVaultToken;
use Test::More;
use Time::HiRes qw(sleep);

my $node = new_vault('changes');
add_role($node, 'regress_kv_user', 'user');
add_role($node, 'regress_kv_service', 'service');
add_role($node, 'regress_kv_dba', 'admin');
$node->safe_psql('postgres', q{SELECT key_vault.set(u, 'gemini', 'AIza-of-' || u) FROM unnest('{user_a,user_b}'::text[]) u});

my $iss = 'https://issuer.example';
my ($old, $new) = map { new_issuer(issuer => $iss, algorithm => 'ES256', kid => $_) } qw(old new);
# time for tokens to expire and be revoked at once
my %rules = (clock_skew => q{'0'});
$old->trusted_by($node, %rules);

my $session = session($node, 'regress_kv_user');
my $authenticate = 'SELECT key_vault.authenticate($1)';
my $whoami = 'SELECT key_vault.current_user_id()';
my $get = q{SELECT key_vault.get(NULL, 'gemini')};

# --- The clock

my $short = $old->token(exp => time + 3);
$session->run('BEGIN');
outcome_is($session, 'user_a', 'a token that is about to expire', $authenticate, $short);
$session->run('DECLARE c CURSOR FOR SELECT key_vault.get(NULL, \'gemini\') FROM generate_series(1, 3)');
outcome_is($session, 'AIza-of-user_a', '... serves', $get);
outcome_is($session, 'AIza-of-user_a', '... a cursor, too', 'FETCH c');
sleep 3.2;
$session->run('SAVEPOINT s');
outcome_is($session, '28000', 'expired, at the next row of a cursor', 'FETCH c');
$session->run('ROLLBACK TO s');
outcome_is($session, '28000', 'expired, at the next call', $get);
$session->run('ROLLBACK TO s');
outcome_is($session, '28000', 'expired, in a policy', 'SELECT count(*) FROM key_vault.secrets');
$session->run('ROLLBACK TO s');
outcome_is($session, '42501', 'expired, another user', $authenticate, $old->token(sub => 'user_b'));
$session->run('ROLLBACK TO s');
outcome_is($session, 'user_a', 'expired, a new token of the same user', $authenticate, $old->token);
outcome_is($session, 'AIza-of-user_a', '... serves', $get);
$session->run('ROLLBACK');
outcome_is($session, '28000', 'expired, though it is remembered', $authenticate, $short);

# --- Issuers

my $token = $old->token;
my $admin = session($node);
sub from_now_on
{
	my ($name, $change, $expected, $back) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	outcome_is($session, 'user_a', "$name: before", $authenticate, $token);
	$session->run('BEGIN ISOLATION LEVEL REPEATABLE READ');
	outcome_is($session, 'user_a', "$name: before, in a transaction", $authenticate, $token);
	outcome_is($session, 'AIza-of-user_a', "$name: which serves", $get);
	$change->();
	$session->run('SAVEPOINT s');
	outcome_is($session, $expected ? 'AIza-of-user_a' : '28000', "$name: the next call in it", $get);
	$session->run('ROLLBACK TO s');
	outcome_is($session, $expected ? 'user_a' : '28000', "$name: ... and a policy", $whoami);
	$session->run('ROLLBACK');
	outcome_is($session, $expected ? 'user_a' : '28000', "$name: the next transaction", $authenticate, $token);
	$back->() if $back;
	return;
}
my $restore = sub { $old->trusted_by($node, with => [$new], %rules) };
from_now_on('the issuer gets a further key', $restore, 1);
from_now_on('the issuer is not trusted', sub { $admin->run("SELECT key_vault.distrust_issuer('$iss')") }, 0, $restore);
from_now_on('the key is gone', sub { $new->trusted_by($node, %rules) }, 0, $restore);
from_now_on('another key has its id', sub { new_issuer(%$old)->trusted_by($node, %rules) }, 0, $restore);
from_now_on('another audience', sub { bless({ %$old, audience => 'elsewhere' }, ref $old)->trusted_by($node, %rules) }, 0, $restore);
from_now_on('a shorter max_age', sub { sleep 1.1; $old->trusted_by($node, %rules, max_age => q{'1 second'}) }, 0, $restore);
from_now_on('what was changed is rolled back', sub { $admin->run('BEGIN', "SELECT key_vault.distrust_issuer('$iss')", 'ROLLBACK') }, 1);
from_now_on('the table is emptied', sub { $admin->run('BEGIN', 'CREATE TABLE kept AS SELECT * FROM key_vault_data.sealed_records', 'TRUNCATE key_vault_data.sealed_records', 'COMMIT') }, 0,
	sub { $admin->run('INSERT INTO key_vault_data.sealed_records SELECT * FROM kept') });

# A user of a token who becomes another one by what the issuer's prefix is
$session->run('BEGIN');
outcome_is($session, 'user_a', 'a token', $authenticate, $token);
$old->trusted_by($node, %rules, user_prefix => q{'x:'});
outcome_is($session, '28000', 'its user is another one now', $get);
$session->run('ROLLBACK');
$restore->();

# A row that was changed: nobody is refused silently
$admin->run(q{UPDATE key_vault_data.sealed_records SET sealed = set_byte(sealed, 60, get_byte(sealed, 60) # 1) WHERE kind = 'issuer'});
outcome_is($session, 'XX001', 'an issuer\'s row that was changed', $authenticate, $token);
$restore->();
outcome_is($session, 'user_a', '... and is made anew', $authenticate, $token);

# --- Revocations

my $service = session($node, 'regress_kv_service');
my $dba = session($node, 'regress_kv_dba');
my $fresh = sub { sleep 1.1; $token = $old->token };
from_now_on('revoked by a service', sub { sleep 1.1; $service->run(q{SELECT key_vault.revoke_tokens('user_a')}) }, 0, $fresh);
from_now_on('revoked by an admin', sub { sleep 1.1; $dba->run(q{SELECT key_vault.revoke_tokens('user_a')}) }, 0, $fresh);
from_now_on('another user\'s', sub { $service->run(q{SELECT key_vault.revoke_tokens('user_b')}) }, 1);
from_now_on('of before it was issued', sub { $service->run(q{SELECT key_vault.revoke_tokens('user_a', now() - interval '1 hour')}) }, 1);
is($admin->value('SELECT count(*) FROM key_vault_data.revocations'), '2', 'a row for each user is kept');
from_now_on('the user is forgotten', sub { sleep 1.1; $service->run(q{SELECT key_vault.forget('user_a')}) }, 0,
	sub { $fresh->(); $service->run(q{SELECT key_vault.set('user_a', 'gemini', 'AIza-of-user_a')}) });
is($admin->value(q{SELECT count(*) FROM key_vault_data.revocations WHERE encode(user_hash, 'escape') LIKE '%user_a%'}), '0', 'revocations name no user');

$session->run('BEGIN');
outcome_is($session, 'user_a', 'a user', $authenticate, $token);
sleep 1.1;
outcome_is($session, '', '... revokes the own tokens', 'SELECT key_vault.revoke_tokens(NULL)');
$session->run('SAVEPOINT s');
outcome_is($session, '28000', '... this one, too', $get);
$session->run('ROLLBACK');
outcome_is($session, 'user_a', '... which was rolled back', $authenticate, $token);
$session->run('BEGIN');
$session->query($authenticate, $token);
outcome_is($session, '42501', '... and nobody else\'s', q{SELECT key_vault.revoke_tokens('user_b')});
$session->run('ROLLBACK');
outcome_is($dba, '22004', 'an admin names a user', 'SELECT key_vault.revoke_tokens(NULL)');
outcome_is($dba, '22023', '... of at least a byte', q{SELECT key_vault.revoke_tokens('')});
add_role($node, 'regress_kv_dba_b', 'admin', 'user_b');
my $dba_b = session($node, 'regress_kv_dba_b');
outcome_is($dba_b, '42501', 'an admin with an identity revokes nobody else\'s', q{SELECT key_vault.revoke_tokens('user_a')});
outcome_is($dba_b, '', '... but the own', q{SELECT key_vault.revoke_tokens('user_b')});
outcome_is($service, '22004', 'a time', q{SELECT key_vault.revoke_tokens('user_a', NULL)});
outcome_is($service, '22023', '... that has passed', q{SELECT key_vault.revoke_tokens('user_a', now() + interval '1 day')});
outcome_is($service, '22023', '... and is one', q{SELECT key_vault.revoke_tokens('user_a', 'infinity')});
outcome_is($service, '22023', '... and is one', q{SELECT key_vault.revoke_tokens('user_a', '-infinity')});

# A tenant whose transaction does not end keeps nobody from revoking its tokens
$session->run('BEGIN');
$session->query($authenticate, $token);
$session->run('SELECT key_vault.revoke_tokens(NULL)');
$service->run(q{SET statement_timeout = '5s'});
outcome_is($service, '', 'revoked beside an open transaction that revokes', q{SELECT key_vault.revoke_tokens('user_a')});
outcome_is($service, '0', 'forgotten, too', q{SELECT key_vault.forget('user_b') * 0});
$session->run('ROLLBACK');
outcome_is($session, '28000', 'and it counts', $authenticate, $token);

# What is young enough is kept, and purged when it is not
is($admin->value('SELECT count(DISTINCT user_hash) FROM key_vault_data.revocations'), '2', 'there are revocations');
$admin->run('CALL key_vault.purge()');
is($admin->value('SELECT count(DISTINCT user_hash) FROM key_vault_data.revocations'), '2', 'purge leaves them for as long as there may be tokens');
$admin->run(q{UPDATE key_vault_data.revocations SET issued_before = issued_before - interval '25 hours'});
$admin->run('CALL key_vault.purge()');
is($admin->value('SELECT count(*) FROM key_vault_data.revocations'), '0', '... and no longer');
$old->trusted_by($node, %rules, max_age => q{'30 days'});
$service->run(q{SELECT key_vault.revoke_tokens('user_a', now() - interval '29 days')});
$admin->run('CALL key_vault.purge()');
is($admin->value('SELECT count(*) FROM key_vault_data.revocations'), '1', '... longer where tokens are good for longer');
$admin->run(q{UPDATE key_vault_data.sealed_records SET sealed = set_byte(sealed, 60, get_byte(sealed, 60) # 1) WHERE kind = 'issuer'});
cmp_ok(warned($admin->query('CALL key_vault.purge()'), 'XX001'), '>', 0, '... and for how long is not known of an issuer whose row does not open');
is($admin->value('SELECT count(*) FROM key_vault_data.revocations'), '1', '... so none is removed');

# To the minute: a token is good for max_age and clock_skew, and was refused for clock_skew after the revocation
sub kept
{
	my ($ago, %of) = @_;
	$old->trusted_by($node, %of);
	$admin->run('TRUNCATE key_vault_data.revocations');
	$service->run("SELECT key_vault.revoke_tokens('user_a', now() - interval '$ago')");
	$admin->run('CALL key_vault.purge()');
	return $admin->value('SELECT count(*) FROM key_vault_data.revocations');
}
my %long = (max_age => q{'2 days'}, clock_skew => q{'10 minutes'});
is(kept('2 days 19 minutes', %long), '1', 'a revocation stays while a token may be good by max_age and twice clock_skew');
is(kept('2 days 21 minutes', %long), '0', '... and goes then');
is(kept('25 hours', %rules, max_age => q{'1 second'}), '0', 'where max_age is short, a revocation goes after a day');
is(kept('23 hours', %rules, max_age => q{'1 second'}), '1', '... and not before, for max_age may be raised again');
$restore->();

# Without the key by which users are known, nobody passes for not revoked
$admin->run('DROP TABLE kept', q{CREATE TABLE kept AS SELECT * FROM key_vault_data.sealed_records WHERE kind = 'hash key'}, q{DELETE FROM key_vault_data.sealed_records WHERE kind = 'hash key'});
$fresh->();
outcome_is($session, 'XX001', 'the key of revocations is missing', $authenticate, $token);
outcome_is($service, 'XX001', '... nobody is revoked', q{SELECT key_vault.revoke_tokens('user_b')});
is(warned($service->query(q{SELECT key_vault.forget('user_b')}), 'XX001'), 1, '... and who is forgotten is forgotten, with a warning');
outcome_is($admin, 'XX001', '... and is not made anew over old rows', "SELECT key_vault.trust_issuer('$iss', '{x}', '" . $old->jwks . "')");
$admin->run('INSERT INTO key_vault_data.sealed_records SELECT * FROM kept');
outcome_is($session, 'user_a', '... until it is restored', $authenticate, $token);

# --- The cache: more tokens than it has room for, and each is still its own user's

my @many = map { $old->token(sub => "user_$_") } 1 .. 150;
my @wrong = grep { $session->outcome($authenticate, $many[ $_ - 1 ]) ne "user_$_" } (1 .. 150, 1 .. 150, reverse 1 .. 150);
is_deeply(\@wrong, [], 'more tokens than a session remembers');

# A clock that is off by clock_skew may have issued a token after the revocation that says before
$old->trusted_by($node, clock_skew => q{'60 seconds'});
$admin->run('TRUNCATE key_vault_data.revocations');
$token = $old->token;
$service->run(q{SELECT key_vault.revoke_tokens('user_a', now() - interval '90 seconds')});
outcome_is($session, 'user_a', 'revoked more than clock_skew before it was issued', $authenticate, $token);
$service->run(q{SELECT key_vault.revoke_tokens('user_a', now() - interval '30 seconds')});
outcome_is($session, '28000', 'revoked less than clock_skew before', $authenticate, $token);


# Before is before: to the microsecond, and a token that was issued at that very time is not older
$admin->run('TRUNCATE key_vault_data.revocations');
my $issued = time - 100;
$token = $old->token(iat => $issued);
$service->run("SELECT key_vault.revoke_tokens('user_a', to_timestamp($issued) - interval '60 seconds')");
outcome_is($session, 'user_a', 'revoked is what was issued before exactly then', $authenticate, $token);
$service->run("SELECT key_vault.revoke_tokens('user_a', to_timestamp($issued) - interval '60 seconds' + interval '1 microsecond')");
outcome_is($session, '28000', '... and a microsecond later', $authenticate, $token);

done_testing();
