# Secrets that do not open, when it is the keyring's fault and when there are many: no
# keyring at all is an error, a root key that it lacks takes only what it sealed, and
# status() tries as many secrets as it can afford.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_vault('unopened');
add_role($node, 'app', 'service');
add_role($node, 'admin', 'admin');

my $keyring = keyring_path($node);
my $get_all = q(SELECT key_vault.get_all('user_a'));
my $missing = q(SELECT string_agg(provider || ': ' || missing, '; ' ORDER BY provider) FROM key_vault.onboarding('user_a') WHERE missing IS NOT NULL);
my $unopened = q(SELECT string_agg(provider || ': ' || reason, '; ' ORDER BY provider) FROM key_vault.verify_secrets());

sub write_keyring
{
	my ($text) = @_;
	unlink $keyring;
	append_to_file($keyring, $text);
	chmod 0600, $keyring;
	return;
}

# What a fresh session of the admin's says of the item.
sub finding
{
	my ($column) = @_;
	return session($node, 'admin')->value("SELECT $column FROM key_vault.status() WHERE item = 'sealed_rows'");
}

my $set = 'SELECT key_vault.set($1, $2, $3)';
my $app = session($node, 'app');
$app->value($set, 'user_a', 'exa', 'exa-of-the-first-root-key');
my $first = session($node, 'admin')->value('SELECT id FROM key_vault.root_keys');
session($node, 'admin')->value('SELECT key_vault.activate_root_key(key_vault.create_root_key())');
$app->value($set, 'user_a', 'copilotkit', 'ck_of_the_second_root_key');
$app->value($set, 'user_a', 'gemini', 'AIza-of-the-second-root-key');
is(finding('detail'), 'Every secret opens (tried: 3).', 'all is well');

# --- The keyring lacks one root key

my $whole = slurp_file($keyring);
(my $part = $whole) =~ s/^$first .*\n//m;
write_keyring($part);
my $result = session($node, 'app')->query($get_all);
is($result->{rows}[0][0], '{"exa": null, "gemini": "AIza-of-the-second-root-key", "copilotkit": "ck_of_the_second_root_key"}', 'a root key that is missing takes what it sealed');
is(warned($result, 'XX001'), 1, '... with a WARNING');
like($result->{notices}[0]{detail}, qr/root key $first is not in the keyring/, '... that names it');
outcome_is(session($node, 'app'), 'F0000', 'get is an error', q(SELECT key_vault.get('user_a', 'exa')));
like(session($node, 'app')->value($missing), qr/^exa: Exa API key has to be entered again[^;]*\z/, 'onboarding tells of that key alone');
is(session($node, 'admin')->value($unopened), "exa: its root key $first is not in the keyring", 'verify_secrets lists it');
is(finding('state'), 'error', 'status says so');
is(finding('detail'), "1 of 3 secrets does not open: 1 sealed with root key $first, which the keyring lacks.", '... with the root key');

# --- No keyring at all: an error, not a vault full of keys that users have to enter again

unlink $keyring;
outcome_is(session($node, 'app'), 'F0000', "without a keyring: $_", $_) for $get_all, $missing;
outcome_is(session($node, 'admin'), 'F0000', 'verify_secrets is an error', $unopened);
is(finding('state'), 'error', 'and what status says');
like(finding('detail'), qr/^It could not be found out: .*No such file/, '... is why it cannot tell');

write_keyring($whole);
is(session($node, 'app')->value($missing), undef, 'with the keyring back nobody has to enter anything');
is(session($node, 'admin')->value($unopened), undef, 'everything opens');

# --- Many

my $many = 15_000;
$node->safe_psql('postgres', "SELECT count(key_vault.set('user_' || n, 'exa', 'exa-' || repeat('x', 20))) FROM generate_series(1, $many) n");
like(finding('detail'), qr/^Every secret of a sample opens \(tried: [1-9]\d* of about [1-9]\d*\)\.$/, 'of many secrets a sample is tried, also before ANALYZE');
$node->safe_psql('postgres', 'VACUUM ANALYZE key_vault_data.secrets');
my ($tried, $there) = finding('detail') =~ /^Every secret of a sample opens \(tried: (\d+) of about (\d+)\)\.$/;
is($there, $many + 3, 'status tells of how many');
cmp_ok($tried, '>', 1000, '... and tries a good part');
cmp_ok($tried, '<=', 5000, '... but not more than it can afford');
$node->safe_psql('postgres', q(UPDATE key_vault_data.secrets SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) WHERE user_id LIKE 'user_%0'));
like(finding('detail'), qr/^[1-9]\d* of a sample of \d+ of about \d+ secrets do not open: \d+ changed, or moved from elsewhere\.$/, 'it finds that some do not open');
is(session($node, 'admin')->value('SELECT count(*) FROM key_vault.verify_secrets()'), $many / 10, 'verify_secrets tries all');
is(session($node, 'admin')->value(q(SELECT count(*) FROM key_vault.verify_secrets() WHERE user_id NOT LIKE 'user_%0')), 0, '... and lists the right ones');

# --- Many root keys that are not this database's

$node->safe_psql('postgres', q(TRUNCATE key_vault_data.secrets));
$node->safe_psql('postgres', q(SELECT count(key_vault.set('user_' || n, 'exa', 'exa-' || repeat('x', 20))) FROM generate_series(1, 30) n));
$node->safe_psql('postgres', q(UPDATE key_vault_data.secrets SET root_key_id = lpad(substr(user_id, 6), 16, '0'), sealed = overlay(sealed PLACING decode(lpad(substr(user_id, 6), 16, '0'), 'hex') FROM 2 FOR 8)));
like(finding('detail'), qr/^30 of 30 secrets do not open: (?:1 sealed with root key \w{16}, which this database did not register; ){20}10 sealed with further root keys, which this database did not register\.$/, 'of very many root keys some are named');
my @remedies = session($node, 'admin')->value(q(SELECT remedy FROM key_vault.status() WHERE item = 'sealed_rows')) =~ /^SELECT key_vault.activate_root_key\('\w{16}'\);$/mg;
is(scalar @remedies, 21, '... each with what to do, and the active one last');

done_testing();
