# Issuers, and the key by which revoked users are known, whose root key is lost: who looks is told,
# a token is refused with what is missing, a user is forgotten all the same, and discard_secrets()
# lets issuers be trusted again.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use KeyVaultToken;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my ($old, $new) = map { new_issuer(issuer => "https://$_.example", kid => $_) } qw(old new);
sub trust { my ($node, $issuer) = @_; return $issuer->trusted_by($node, user_prefix => "'$issuer->{kid}:'", clock_skew => q{'0'}); }
my $authenticate = 'SELECT key_vault.authenticate($1)';

# A vault whose issuer "old" and hash key a lost root key sealed, and with "new" whose root key is there.
sub vault_with_loss
{
	my ($name, $has_new) = @_;
	my $node = new_vault($name);
	add_role($node, 'regress_kv_user', 'user');
	add_role($node, 'regress_kv_service', 'service');
	my $lost = $node->safe_psql('postgres', 'SELECT id FROM key_vault.root_keys');
	trust($node, $old);
	$node->safe_psql('postgres', q{SELECT key_vault.revoke_tokens('old:b')});
	$node->safe_psql('postgres', 'SELECT key_vault.activate_root_key(key_vault.create_root_key())');
	trust($node, $new) if $has_new;
	my $before = session($node, 'regress_kv_user');
	outcome_is($before, 'old:a', "$name: as long as the root key is there", $authenticate, $old->token(sub => 'a'));
	my $ring = keyring_path($node);
	my $rest = slurp_file($ring) =~ s/^$lost .*\n//mr;
	unlink $ring;
	append_to_file($ring, $rest);
	chmod 0600, $ring;
	return ($node, $lost);
}

for my $has_new (0, 1)
{
	my $name = $has_new ? 'beside another' : 'alone';
	my ($node, $lost) = vault_with_loss($has_new ? 'beside' : 'alone', $has_new);
	my $admin = session($node);
	my $session = session($node, 'regress_kv_user');

	# Who looks
	my $result = $admin->query('SELECT * FROM key_vault.verify_secrets()');
	my $said = join "\n", map { join ' ', map { $_ // '' } @$_ } @{ $result->{rows} };
	like($said, qr/old\.example.*$lost/, "$name: verify_secrets names the issuer and the root key");
	like($said, qr/revocations.*$lost/, "$name: and the key of the revocations");
	outcome_is($admin, 'missing', "$name: root_keys says that the root key is missing", "SELECT state FROM key_vault.root_keys WHERE id = '$lost'");
	outcome_is($admin, 'error', "$name: as does status of the issuer", q{SELECT state FROM key_vault.status() WHERE detail LIKE '%issuer https://old.example does not open%'});
	$result = $admin->query('SELECT issuer, keys IS NULL FROM key_vault.issuers ORDER BY issuer');
	is_deeply($result->{rows}, [ $has_new ? [ 'https://new.example', 'f' ] : (), [ 'https://old.example', 't' ] ], "$name: the view has it, without what is sealed");
	is(warned($result, 'XX001'), 1, "$name: and warns");
	my $error = $session->query($authenticate, $old->token(sub => 'a'))->{error};
	is($error->{state}, 'F0000', "$name: its token is refused");
	like($error->{message}, qr/root key $lost is not in the keyring/, "$name: for what is missing");
	outcome_is($admin, 'F0000', "$name: it cannot be trusted anew beside what is revoked", q{SELECT key_vault.trust_issuer('https://old.example', '{key_vault}', $1::jsonb, user_prefix => 'old:')}, $old->jwks);
	like($admin->query("SELECT key_vault.retire_root_key('$lost')")->{error}{hint} // '', qr/discard_secrets/, "$name: the root key cannot be retired yet");

	# Whoever asks for erasure gets it all the same, and is told what is out of reach
	$admin->run(q{SELECT key_vault.set(u, 'gemini', 'AIza-of-' || u), key_vault.record_usage(u, 'gemini') FROM unnest('{new:c,old:c}'::text[]) u});
	for my $user (qw(new:c old:c))
	{
		$result = session($node, 'regress_kv_service')->query("SELECT key_vault.forget('$user')");
		is($result->{rows}[0][0], '1', "$name: $user is forgotten");
		my ($warning) = grep { $_->{severity} eq 'WARNING' } @{ $result->{notices} };
		is($warning->{state}, 'F0000', "$name: with a warning");
		like("$warning->{message} $warning->{hint}", qr/tokens are not revoked: root key $lost is not in the keyring.*revoke_tokens\(\)/, "$name: of what is missing, and what to do then");
		is($admin->value("SELECT count(*) FROM key_vault_data.secrets s FULL JOIN key_vault_data.usage u USING (user_id) WHERE user_id = '$user'"), '0', "$name: nothing is stored about $user");
	}
	outcome_is(session($node, 'regress_kv_service'), 'F0000', "$name: but revoke_tokens says that it revoked nothing", q{SELECT key_vault.revoke_tokens('new:c')});

	# Given up
	$result = $admin->query("CALL key_vault.discard_secrets('$lost')");
	is($result->{error}, undef, "$name: discarded");
	my ($told) = grep { $_->{message} =~ /issuers/ } @{ $result->{notices} };
	like("$told->{message} $told->{hint}", qr/$lost.*trust_issuer\(\).*revoked.*accepted again/, "$name: and said what that means");
	is($admin->value('SELECT count(*) FROM key_vault.verify_secrets()'), '0', "$name: all that is left opens");
	is($admin->value('SELECT count(*) FROM key_vault_data.revocations'), '0', "$name: no revocation without its key is left");
	outcome_is($admin, '', "$name: the root key can be retired", "SELECT key_vault.retire_root_key('$lost')");
	outcome_is($session, '28000', "$name: the issuer is trusted no more", $authenticate, $old->token(sub => 'a'));

	# Without anybody having been trusted since
	my $service = session($node, 'regress_kv_service');
	my $revoke = q{SELECT key_vault.revoke_tokens('new:a')};
	if ($has_new)
	{
		my $token = $new->token(sub => 'a');
		outcome_is($session, 'new:a', "$name: the other one is trusted as before", $authenticate, $token);
		sleep 1.1;
		is($service->query($revoke)->{error}, undef, "$name: its users can be revoked");
		outcome_is($session, '28000', "$name: and are", $authenticate, $token);
		sleep 1.1;
		$token = $new->token(sub => 'a');
		outcome_is($session, 'new:a', "$name: but for tokens from then on", $authenticate, $token);
		sleep 1.1;
		$service->run(q{SELECT key_vault.forget('new:a')});
		outcome_is($session, '28000', "$name: or forgotten", $authenticate, $token);
	}
	else
	{
		outcome_is($service, '55000', "$name: nobody can be revoked without an issuer", $revoke);
	}

	# Trusted again
	trust($node, $old);
	outcome_is($session, 'old:a', "$name: trusted again", $authenticate, $old->token(sub => 'a'));
	is($admin->value('SELECT count(*) FROM key_vault_data.sealed_records WHERE root_key_id <> (SELECT id FROM key_vault.root_keys WHERE state = $1)', 'active'), '0',
		"$name: all is sealed with the active root key");
	$node->stop;
}

done_testing();
