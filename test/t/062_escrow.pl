# The keyring goes to the holder of an OpenPGP key: GnuPG makes the key pair, opens the
# message where there is no server, and what it prints works as the keyring.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $gpg = (grep { -x } map { "$_/gpg" } split /:/, $ENV{PATH})[0];
plan skip_all => 'gpg, of GnuPG, is not installed' unless defined $gpg;

my $node = new_vault('escrow');
my $path = keyring_path($node);
my $session = session($node);
$session->run('CREATE EXTENSION pgcrypto');

# A folder of its own, and short: the agent's socket is in it
my $home = PostgreSQL::Test::Utils::tempdir_short;
chmod 0700, $home;
local $ENV{GNUPGHOME} = $home;

sub gpg
{
	my ($out, $err) = ('', '');
	my $ok = IPC::Run::run([ $gpg, '--batch', '--no-tty', '--quiet', '--passphrase', '', '--pinentry-mode', 'loopback', @_ ], '<', \'', '>', \$out, '2>', \$err);
	die "gpg @_: $err" unless $ok;
	return $out;
}

END { system("GNUPGHOME='$home' gpgconf --kill all 2>/dev/null") if defined $home; }

sub make_key_pair
{
	my ($name, $sign, $encrypt) = @_;
	gpg('--quick-generate-key', $name, $sign, 'sign', 'never');
	my ($fingerprint) = gpg('--with-colons', '--list-keys', "=$name") =~ /^fpr:+([0-9A-F]+):/m;
	gpg('--quick-add-key', $fingerprint, $encrypt, 'encr', 'never');
	return gpg('--armor', '--export', $fingerprint);
}

sub write_file
{
	my ($file, $content) = @_;
	open my $handle, '>', $file or die "$file: $!";
	print $handle $content;
	close $handle;
	chmod 0600, $file;
	return;
}

# Two root keys, each of which seals something
$session->value(q{SELECT count(key_vault.set('user_' || n, 'exa', 'exa-key-of-user-' || n)) FROM generate_series(1, 20) n});
$session->value('SELECT key_vault.activate_root_key($1)', $session->value('SELECT key_vault.create_root_key()'));
$session->value(q{SELECT count(key_vault.set('user_' || n, 'exa', 'exa-key-of-user-' || n)) FROM generate_series(21, 40) n});
append_to_file($path, "# a comment of the administrator's: \xc3\xa4\n");
my $keyring = slurp_file($path);
my $all = q{SELECT count(*) FROM generate_series(1, 40) n WHERE key_vault.get('user_' || n, 'exa') = 'exa-key-of-user-' || n};

my $public_key = make_key_pair('Escrow <escrow@example.org>', 'rsa2048', 'rsa2048');
my $message = $session->value('SELECT key_vault.escrow_keyring($1)', $public_key);
like($message, qr/\A-----BEGIN PGP MESSAGE-----\n/, 'the keyring comes as an armored message');
unlike($message, qr/[0-9a-f]{16} /, 'which is not the keyring');
write_file("$home/message.asc", $message);

# Nothing of the server is at hand, and the file is gone
$session->close;
$node->stop;
unlink $path;
my $status = `$gpg --batch --no-tty --status-fd 1 --decrypt --output /dev/null $home/message.asc 2>/dev/null`;
like($status, qr/^\[GNUPG:\] DECRYPTION_INFO 2 9 /m, 'it is encrypted with AES-256, and its integrity is protected');
my $opened = gpg('--decrypt', "$home/message.asc");
is($opened, $keyring, 'GnuPG prints the keyring, byte for byte');

$node->start;
is(session($node)->outcome(q{SELECT key_vault.get('user_1', 'exa')}), 'F0000', 'without a keyring no secret opens');
write_file($path, $opened);
is(session($node)->value($all), 40, 'with the one from escrow every secret can be read');

# ElGamal will do, too
write_file("$home/message.asc", session($node)->value('SELECT key_vault.escrow_keyring($1)',
	make_key_pair('ElGamal <elgamal@example.org>', 'rsa2048', 'elg2048')));
is(gpg('--decrypt', "$home/message.asc"), $keyring, 'an ElGamal subkey opens it');

# Keys that will not do get a hint; so does a message to nobody
my $error = session($node)->query('SELECT key_vault.escrow_keyring($1)',
	make_key_pair('Curve <curve@example.org>', 'ed25519', 'cv25519'))->{error};
is($error->{state}, '22023', 'a key on an elliptic curve will not do');
like($error->{hint}, qr/RSA or ElGamal/, 'and which one will is told');

# A keyring that a command prints
write_file("$path.elsewhere", $keyring);
$node->append_conf('postgresql.conf', "key_vault.keyring_command = 'cat $path.elsewhere'\n");
unlink $path;
$node->restart;
write_file("$home/message.asc", session($node)->value('SELECT key_vault.escrow_keyring($1)', $public_key));
is(gpg('--decrypt', "$home/message.asc"), $keyring, 'a keyring that a command prints is copied the same');

# A keyring that is broken, or none at all, is not kept as if it were one
write_file("$path.elsewhere", "$keyring\ngarbage\n");
outcome_is(session($node), 'F0000', 'a broken keyring is refused', 'SELECT key_vault.escrow_keyring($1)', $public_key);
write_file("$path.elsewhere", "# nothing\n");
outcome_is(session($node), 'F0000', 'so is an empty one', 'SELECT key_vault.escrow_keyring($1)', $public_key);
$node->append_conf('postgresql.conf', "key_vault.keyring_command = ''\nkey_vault.keyring_file = ''\n");
$node->restart;
outcome_is(session($node), 'F0000', 'and none', 'SELECT key_vault.escrow_keyring($1)', $public_key);

done_testing();
