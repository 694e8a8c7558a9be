# scripts/dev.sh: a developer's own server, from nothing to a key in the .env file.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultDocs;
use KeyVaultToken;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'PostgreSQL does not run as root' if $> == 0;

my $folder = PostgreSQL::Test::Utils::tempdir_short;
my $dotenv = "$folder/backend/.env";
my $home = "$folder/dev";
my $script = "$FindBin::RealBin/../../scripts/dev.sh";
mkdir "$folder/backend";
delete @ENV{ grep { /^(PG(?!_CONFIG)|DEBUG$|DEPLOY_ENV$|KEY_VAULT)/ } keys %ENV };
@ENV{qw(KEY_VAULT_DEV HOME XDG_CACHE_HOME)} = ($home, $folder, "$folder/cache");

# What the script says, and whether it went well.
sub dev
{
	my (@arguments) = @_;
	my $said = '';
	my $done = IPC::Run::run([ $script, @arguments ], '<', \undef, '>', \$said, '2>&1');
	return ($done ? 'ok: ' : 'failed: ') . $said;
}

sub query { return dev('psql', '-At', '-c', shift); }

sub mode_of { return sprintf '%04o', (stat shift)[2] & 07777; }

like(dev('status'), qr/^failed: .*not up\nStart it with: scripts\/dev\.sh\n\z/s, 'status before there is one');
like(dev('start', '--dotenv', "$folder/nowhere/.env"), qr/^failed: .*there is no folder/s, 'a .env file in a folder that is not there');
like(dev('frobnicate'), qr/^failed: .*usage:/s, 'an unknown command');
SKIP:
{
	skip '/etc/os-release is one\'s own here', 1 if !-e '/etc/os-release' || -o '/etc/os-release';
	like(dev('--dotenv', '/etc/os-release'), qr/^failed: .*is not yours.*chown/s, 'another user\'s .env file');
}

my $said = dev('start', '--dotenv', $dotenv);
like($said, qr/^ok: .*DATABASE_URL="postgresql:\/\/app\@\/dev\?host=\Q$home\E\/sock"/s, 'start makes a server and says how a backend reaches it');
like($said, qr/development, because DEBUG is true in the \.env file/, '... in development mode');
is(mode_of($dotenv), '0600', '... and makes the .env file');
is(mode_of("$home/keyring/dev.keyring") . mode_of("$home/keyring") . mode_of($home), '060007000700', '... and a keyring that nobody else reads');
is(query(q(SELECT role, level, complete FROM key_vault.access ORDER BY role)), "ok: app|user|t\nmigrator|admin|t\n", '... and roles for the backend and its migrations');
is(`psql -X -At -h $home/sock -U migrator -d dev -c 'CREATE TABLE posts (id serial, title text)' 2>&1`, "CREATE TABLE\n", '... of which one makes tables');
is(query(q(SELECT issuer, audience FROM key_vault.issuers)), "ok: app-login|{app}\n", '... and trusts the login\'s tokens');
is(mode_of("$home/jwt_secret"), '0600', '... which it signs with a secret that nobody else reads');
ok($said =~ /JWT_SECRET=\$\(cat "\Q$home\E\/jwt_secret"\)/, '... and that a backend gets');
is(query(q(SELECT count(*) FROM key_vault.status() WHERE state <> 'ok')), "ok: 0\n", '... with nothing that status() finds wrong');
is(query(q(SHOW listen_addresses)), "ok: \n", '... that no network reaches');
is(query(q(SHOW fsync)), "ok: on\n", '... and that keeps what it is told');

# A token of that login
sub me
{
	my $secret = slurp_file("$home/jwt_secret") =~ s/\n//r;
	return new_issuer(issuer => 'app-login', audience => 'app', kid => undef, secret => $secret)->token(sub => 'me');
}
sub as_me { return as_app("SET client_min_messages = error; SELECT key_vault.authenticate('" . me() . "')") =~ s/^SET\n//r; }
sub as_app { return `psql -X -At -h $home/sock -U app -d dev -c "$_[0]" 2>&1`; }
is(as_me(), "me\n", 'the backend\'s role acts for a token\'s user');
is(as_app(q(INSERT INTO posts (title) VALUES ('one'))), "INSERT 0 1\n", '... works with the other one\'s tables');
like(as_app(q(SELECT set_config('key_vault.user_id', 'me', true))), qr/permission denied/, '... and for nobody else');

like(query(q(SELECT key_vault.set('me', 'gemini', 'AIza' || repeat('x', 20)))), qr/^ok: 1$/m, 'a key that is set');
like(slurp_file($dotenv), qr/^DEBUG=true\n.*^GEMINI_API_KEY=["']?AIzax{20}["']?$/ms, '... is in the .env file');

my $started = time;
like(dev(), qr/^ok: .*The server is up/s, 'start when it is up');
cmp_ok(time - $started, '<', 5, '... is quick');
like(dev('stop'), qr/^ok: The server is stopped/, 'stop');
like(dev('stop'), qr/^ok: The server is not up/, '... twice');
ok(!-e "$home/data/postmaster.pid", '... and nothing runs');

my $first_secret = slurp_file("$home/jwt_secret");
append_to_file($dotenv, "DEPLOY_ENV=render\nJWT_SECRET=\"" . 'of-the-project' x 3 . "\"\n");
my $text = slurp_file($dotenv) =~ s/DEBUG=true/DEBUG=false/r;
unlink $dotenv;
append_to_file($dotenv, $text);
# What docs/start.md says, from a project's folder
my @blocks = blocks_by('075_dev.pl');
is(scalar @blocks, 1, 'docs/start.md says how');
mkdir "$folder/project";
mkdir "$folder/project/backend";
for my $block (@blocks)
{
	local $ENV{KEY_VAULT_DEV} = "$folder/project/dev";
	my $text = $block->{text} =~ s{scripts/dev\.sh}{$script}gr;
	my $out = '';
	append_to_file("$folder/block", $text);
	ok(IPC::Run::run([ qw(bash -e), "$folder/block" ], '<', \undef, '>', \$out, '2>&1', init => sub { chdir "$folder/project" or die }), 'its block runs') or diag($out);
	like($out, qr/The server is up.*The server is stopped/s, '... from start to stop');
	like(slurp_file("$folder/project/backend/.env"), qr/^DEBUG=true$/m, '... with the .env file that it names');
}

$started = time;
like(dev('start'), qr/^ok: .*production, because .*\Q$dotenv\E/s, 'another start keeps the .env file that it was told');
cmp_ok(time - $started, '<', 20, '... and is quick');
is(slurp_file("$home/jwt_secret"), 'of-the-project' x 3 . "\n", '... takes the secret that the file has');
is(as_me(), "me\n", '... and trusts what it signs');
isnt($first_secret, slurp_file("$home/jwt_secret"), '... instead of the first one');
is(slurp_file($dotenv), $text, '... and leaves it as it is');
is(query(q(SELECT key_vault.get('me', 'gemini') = 'AIza' || repeat('x', 20))), "ok: t\n", '... and the data');
dev('stop');

done_testing();
