# Root keys of keys that Citus has distributed: one is retired when no shard holds anything of it,
# and what a lost one sealed is removed from all shards, and goes on after a worker was down.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultCitus;
use KeyVaultTest;
use PostgreSQL::Test::Utils;
use Test::More;

citus_or_skip();

my ($coordinator, $workers) = new_cluster('roots');
my $ring = keyring_path($coordinator);

sub sql { return $coordinator->safe_psql('postgres', @_); }

my $of_user = q{SELECT key_vault.set('user_' || i, 'exa', 'exa-0123456789-of-' || i), key_vault.set('user_' || i, 'gemini', 'AIza-0123456789-of-' || i) FROM generate_series(1, 30) i};
sql($of_user);
sql('SELECT key_vault.distribute()');
my $session = session($coordinator);
my $sealed = sub { return sql("SELECT secrets FROM key_vault.root_keys WHERE id = '$_[0]'"); };

# --- Retired

my $first = sql('SELECT id FROM key_vault.root_keys');
my $open = session($coordinator);
$open->run('BEGIN', q{SELECT key_vault.set('user_99', 'exa', 'exa-0123456789-of-99')});
my $second = sql('SELECT key_vault.create_root_key()');
sql("SELECT key_vault.activate_root_key('$second')");
outcome_is($session, '55P03', 'a root key is not retired while a set is not committed', "SELECT key_vault.retire_root_key('$first')");
is($sealed->($first), 60, 'it seals what is in shards');
sql('CALL key_vault.rotate_root_key(17)');
is($sealed->($first), 0, 'after a rotation nothing that is committed');
$open->run('COMMIT');
outcome_is($session, '55000', 'nor when a shard holds what it sealed', "SELECT key_vault.retire_root_key('$first')");
sql('CALL key_vault.rotate_root_key()');
outcome_is($session, '', 'then it is retired', "SELECT key_vault.retire_root_key('$first')");
outcome_is($session, 'exa-0123456789-of-99', 'and everything opens', q{SELECT key_vault.get('user_99', 'exa')});
is(sql(q{SELECT count(*) FROM generate_series(1, 30) i WHERE key_vault.get('user_' || i, 'exa') = 'exa-0123456789-of-' || i}), 30, 'of all shards');
is(sql(q{SELECT key_vault.forget('user_99')}), 1, 'forgotten');

# --- Lost

my $third = sql('SELECT key_vault.create_root_key()');
sql("SELECT key_vault.activate_root_key('$third')");
sql(q{SELECT key_vault.set('user_' || i, 'exa', 'exa-0123456789-later-' || i) FROM generate_series(1, 10) i});
sql(q{SELECT key_vault.set('kept_' || i, 'exa', 'exa-0123456789-kept-' || i) FROM generate_series(1, 10) i});
sql(q{SELECT key_vault.record_outcome('user_' || i, 'gemini', 'quota') FROM generate_series(1, 10) i});
my $discard = "CALL key_vault.discard_secrets('$second', 4)";
outcome_is($session, '55000', 'a root key that is there is not discarded', $discard);
(my $rest = slurp_file($ring)) =~ s/^$second .*\n//m;
unlink $ring or die "unlink: $!";
append_to_file($ring, $rest);
chmod 0600, $ring or die "chmod: $!";
$session = session($coordinator);
outcome_is($session, 'missing', 'now it is lost', "SELECT state FROM key_vault.root_keys WHERE id = '$second'");
outcome_is($session, 'F0000', 'and what it sealed does not open', q{SELECT key_vault.get('user_20', 'exa')});

my $holder = session($coordinator);
$holder->run('BEGIN', q{SELECT FROM key_vault_data.secrets WHERE user_id = 'user_20' FOR UPDATE});
$workers->[1]->stop('immediate');
like($session->outcome($discard), qr/^(08006|57P01)$/, 'a worker that is down stops it');
$workers->[1]->start;
$holder->run('ROLLBACK');
my ($left) = $sealed->($second);
cmp_ok($left, '<=', 60, 'what was removed before stays so');
$session = session($coordinator);
$holder = session($coordinator);
$holder->run('BEGIN', q{SELECT FROM key_vault_data.secrets WHERE user_id = 'user_20' FOR UPDATE});
my $result = $session->query($discard);
is($result->{error}, undef, 'it goes on');
like(join("\n", map { $_->{message} } @{ $result->{notices} }), qr/^2 secrets that root key $second sealed are not removed$/m, 'waits for no row, and says what is left');
outcome_is($session, '55000', 'the root key cannot be retired yet', "SELECT key_vault.retire_root_key('$second')");
$holder->run('ROLLBACK');
is($session->query($discard)->{error}, undef, 'once more');
is($sealed->($second), 0, 'nothing is left of it');
outcome_is($session, '', 'and it is retired', "SELECT key_vault.retire_root_key('$second')");
is(sql(q{SELECT count(*) FROM key_vault.inventory}), 20, 'all else is there');
is(sql(q{SELECT count(*) FROM key_vault.inventory WHERE key_vault.get(user_id, provider) LIKE 'exa-0123456789-%'}), 20, 'and opens');
is(sql(q{SELECT version FROM key_vault.inventory WHERE user_id = 'user_3'}), 2, 'of a key that was set anew, the version that opens');
is(sql(q{SELECT count(*) FROM key_vault_data.outcomes}), 0, 'what providers said of what is gone, is gone');
is(sql(q{SELECT count(*) FROM key_vault.verify_secrets()}), 0, 'all is verified');

done_testing();
