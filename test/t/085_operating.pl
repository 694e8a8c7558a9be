# The README's section "Operating key_vault": each block of commands is run as it stands there,
# in the order in which it stands there, on the server that the comment above it names.
# Only host names and the keyring's folder are replaced.
use strict;
use warnings;

use File::Copy qw(copy);
use File::Find qw(find);
use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $gpg = (grep { -x } map { "$_/gpg" } split /:/, $ENV{PATH})[0];
plan skip_all => 'gpg, of GnuPG, is not installed' unless defined $gpg;

my ($section) = slurp_file("$FindBin::RealBin/../../README.md") =~ /^## Operating key_vault\n(.*?)^## /ms
  or die 'the README has no such section';
my @blocks;
push @blocks, { on => $1, language => $2, text => $3 } while $section =~ /^<!-- on: (\w+) -->\n```(\w+)\n(.*?)^```$/msg;
plan skip_all => 'the README\'s section names no servers' unless @blocks;
my $fences = () = $section =~ /^```\w+$/mg;
is(scalar @blocks, $fences, 'every block says where it runs');
my ($ran, $now) = (0, '');

# --- The servers

my $work = PostgreSQL::Test::Utils::tempdir;
my (%node, %folder);

sub keyring
{
	my ($name) = @_;
	return "$folder{$name}/keyring";
}

sub start_server
{
	my ($name, $from) = @_;
	my $node = $node{$name} = PostgreSQL::Test::Cluster->new($name);
	$folder{$name} = "$work/keyring_of_$name";
	mkdir $folder{$name}, 0700;
	if ($from) { $node->init_from_backup($from, 'base', has_streaming => 1); }
	else { $node->init(allows_streaming => 'logical', extra => [ '--encoding=UTF8', '--locale=C' ]); }
	$node->append_conf('postgresql.conf', "key_vault.keyring_file = '@{[ keyring($name) ]}'\nlog_statement = none\n");
	$node->start;
	return;
}

# One user's keys, and what they are, by name
my %keys;

sub fill
{
	my ($name, @users) = @_;
	my $session = session($node{$name}, undef, dbname => 'app');
	for my $user (@users)
	{
		$keys{$user} = { gemini => "AIza-of-$user", exa => "exa-key-of-$user" };
		$session->value('SELECT key_vault.set($1, $2, $3)', $user, $_, $keys{$user}{$_}) for sort keys %{ $keys{$user} };
	}
	return;
}

sub opens
{
	my ($name, $what, @users) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $session = session($node{$name}, undef, dbname => 'app');
	my @wrong = grep { my $user = $_; grep { $session->outcome('SELECT key_vault.get($1, $2)', $user, $_) ne $keys{$user}{$_} } sort keys %{ $keys{$user} } } @users;
	return is_deeply(\@wrong, [], "$what: every key opens on $name");
}

sub states
{
	my ($name) = @_;
	return session($node{$name}, undef, dbname => 'app')->value(
		q{SELECT string_agg(state || ' ' || secrets, ', ' ORDER BY state) FROM key_vault.root_keys});
}

start_server('primary');
$node{primary}->safe_psql('postgres', q{CREATE DATABASE app;
	CREATE ROLE regress_kv_backend LOGIN; CREATE ROLE regress_kv_admin LOGIN; CREATE ROLE regress_kv_tenant LOGIN;
	ALTER ROLE regress_kv_tenant SET key_vault.user_id = 'user_b'});
KeyVaultTest::install_vault($node{primary}, 'app');
$node{primary}->safe_psql('app', q{SELECT key_vault.grant_access('regress_kv_backend', 'service'),
	key_vault.grant_access('regress_kv_admin', 'admin'), key_vault.grant_access('regress_kv_tenant', 'user')});
my @users = map { "user_$_" } 'a' .. 'e';
fill('primary', @users);
my $first_root_key = $node{primary}->safe_psql('app', 'SELECT id FROM key_vault.root_keys');
$node{primary}->backup('base');
start_server('replica', $node{primary});
copy(keyring('primary'), keyring('replica'));
chmod 0600, keyring('replica');
start_server('rehearsal');

# A server whose database app has a root key and secrets of its own, and which later subscribes
start_server('merge');
@node{'subscriber'} = $node{merge};
$folder{subscriber} = $folder{merge};
$node{merge}->safe_psql('postgres', 'CREATE DATABASE app');
KeyVaultTest::install_vault($node{merge}, 'app');
fill('merge', 'user_x', 'user_y');

# --- What the commands find around them

my $home = PostgreSQL::Test::Utils::tempdir_short;
chmod 0700, $home;
local $ENV{GNUPGHOME} = $home;
END { system("GNUPGHOME='$home' gpgconf --kill all 2>/dev/null") if defined $home; }
system_or_bail('sh', '-c', q{
	g() { gpg --batch --no-tty --quiet --passphrase '' --pinentry-mode loopback "$@"; }
	g --quick-generate-key vault-escrow@example.com rsa2048 sign never 2>/dev/null &&
	g --quick-add-key $(g --with-colons --list-keys | awk -F: '/^fpr/ { print $10; exit }') rsa2048 encr never 2>/dev/null});

# scp and ssh reach the replica by what comes after its name
mkdir "$work/bin";
append_to_file("$work/bin/scp", qq{#!/bin/sh\nexec cp -p "\$2" "\$(echo "\$3" | sed 's#^replica:$folder{primary}#$folder{replica}#')"\n});
append_to_file("$work/bin/ssh", qq{#!/bin/sh\nshift\nexec \$(echo "\$*" | sed 's#$folder{primary}#$folder{replica}#g')\n});
chmod 0755, "$work/bin/scp", "$work/bin/ssh";
mkdir "$work/cwd";

sub run_block
{
	my ($block) = @_;
	my $node = $node{ $block->{on} } or die "no server is called $block->{on}";
	my $text = $block->{text};
	$text =~ s{/etc/postgresql/key_vault\b}{$folder{ $block->{on} }}g;
	$text =~ s{'host=primary dbname=app'}{"'" . $node{primary}->connstr . " dbname=app'"}e;
	local @ENV{qw(PGHOST PGPORT PGDATABASE)} = ($node->host, $node->port, 'postgres');
	local $ENV{PATH} = "$work/bin:$ENV{PATH}";
	my @command = $block->{language} eq 'sql' ? ('psql', '-X', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', 'app', '-f', '-') : ('bash', '-e', '-s');
	my ($out, $err) = ('', '');
	my $ok = IPC::Run::run(\@command, '<', \$text, '>', \$out, '2>', \$err, init => sub { chdir "$work/cwd" or die });
	my ($name) = $block->{text} =~ /^(.{1,60})/;
	ok($ok, "on $block->{on}: $name") or diag($err);
	note $err if $err ne '';
	$ran++;
	return $out;
}

# The next block, which must be the one that contains this.
sub next_block
{
	my ($part) = @_;
	my $block = shift @blocks;
	if (index($block->{text}, $part) < 0) { die "expected a block with \"$part\", not:\n$block->{text}"; }
	return run_block($block);
}

# --- First day

next_block('escrow_keyring');
like(next_block('gpg --quiet --decrypt'), qr/^the escrow is good$/, 'the escrow is the keyring');
next_block('key_vault.status()');

# --- Rotation

my ($second) = next_block('create_root_key()') =~ /^([0-9a-f]{16})$/;
is(states('primary'), 'active 10, standby 0', 'the new root key waits');
next_block('scp -p');
is(slurp_file(keyring('replica')), slurp_file(keyring('primary')), 'the replica has it');
like(next_block('rotate_root_key()'), qr/^finished\|10\|10\|0\|0$/m, 'the view tells the progress');
is(states('primary'), 'active 10, retired 0', 'rotated and retired');
$node{primary}->wait_for_catchup($node{replica});
opens($_, 'after the rotation', @users) for 'primary', 'replica';

# --- Backup and rehearsal

next_block('pg_dumpall');
run_escrow_again();
next_block('pg_restore --exit-on-error');
like(next_block('AS opened'), qr/\A10\|10\n(?!.*error)(regress_kv_\w+\|(service|admin|user)\|t\n){3}\z/, 'the rehearsal finds everything');
opens('rehearsal', 'restored', @users);
is((stat keyring('rehearsal'))[2] & 07777, 0600, 'the keyring from the escrow has the right mode');
outcome_is(session($node{rehearsal}, 'regress_kv_tenant', dbname => 'app'), 'AIza-of-user_b', 'tenants have their identity', q{SELECT key_vault.get(NULL, 'gemini')});

# As the section says: again after each create_root_key()
sub run_escrow_again
{
	my @commands = ($section =~ /^<!-- on: primary -->\n```(sh)\n(gpg --armor.*?)^```$/ms);
	run_block({ on => 'primary', language => $commands[0], text => $commands[1] });
	$ran--;
	return;
}

# --- Into a database with a root key of its own

copy(keyring('primary'), "$work/cwd/other-keyring");
next_block('--single-transaction');
opens('merge', 'merged', @users, 'user_x', 'user_y');
next_block('retire_root_key');
is(states('merge'), 'active 14, retired 0, retired 0, retired 0', 'one root key seals all of it');
my ($active) = session($node{merge}, undef, dbname => 'app')->value(q{SELECT id FROM key_vault.root_keys WHERE state = 'active'});
my $only = join '', grep { /^$active / } split /^/, slurp_file(keyring('merge'));
unlink keyring('merge');
append_to_file(keyring('merge'), $only);
chmod 0600, keyring('merge');
opens('merge', 'with that root key alone', @users, 'user_x', 'user_y');

# --- Replicas

is(next_block("state = 'missing'"), '', 'the replica lacks no root key');
next_block('CREATE PUBLICATION');
$node{merge}->safe_psql('postgres', 'DROP DATABASE app');
$node{merge}->safe_psql('postgres', 'CREATE DATABASE app');
$node{merge}->safe_psql('app', 'CREATE EXTENSION key_vault CASCADE');
copy(keyring('primary'), keyring('merge'));
next_block('CREATE SUBSCRIPTION');
$node{subscriber}->wait_for_subscription_sync($node{primary}, 'key_vault', 'app');
opens('subscriber', 'replicated logically', @users);
$node{subscriber}->safe_psql('app', 'DROP SUBSCRIPTION key_vault');

# --- Incidents

next_block('activate_root_key(key_vault.create_root_key())');
is(states('primary'), 'active 10, retired 0, retired 0', 'after the leak, a new root key seals everything');
my $lines = () = slurp_file(keyring('primary')) =~ /^[0-9a-f]{16} /mg;
is($lines, 3, 'the keyring has all three');
next_block('sed -i');
is_deeply([ slurp_file(keyring('primary')) =~ /^([0-9a-f]{16}) /mg ],
	[ $node{primary}->safe_psql('app', q{SELECT id FROM key_vault.root_keys WHERE state = 'active'}) ], 'then the new one only');
opens('primary', 'with the new one only', @users);

my $revoke = next_block('revoke_at');
like($revoke, qr/^user_c\|exa, gemini$/m, 'who has to revoke what');
is(session($node{rehearsal}, undef, dbname => 'app')->value('SELECT count(*) FROM key_vault.secrets'), 0, 'then nothing is stored');
$keys{user_new} = {};
fill('rehearsal', 'user_new');
opens('rehearsal', 'and users enter new ones', 'user_new');

# A user's traces, outside of WAL
sub files_with
{
	my ($what) = @_;
	my @files;
	$node{primary}->safe_psql('app', 'CHECKPOINT');
	find(sub { push @files, $File::Find::name if -f && $File::Find::name !~ m{/pg_wal/} && index(slurp_file($_), $what) >= 0 }, $node{primary}->data_dir);
	note "$what is in $_" for @files;
	return scalar @files;
}

my $traced = 'user_a';
$node{primary}->safe_psql('app', 'ANALYZE key_vault.secrets');
cmp_ok(files_with('user_a'), '>', 1, 'before the erasure, files hold the user\'s id');
next_block('forget');
is(files_with('user_a'), 0, 'after it, none but WAL does');
opens('primary', 'after the erasure, all others\'', grep { $_ ne 'user_a' } @users);
delete $keys{user_a};

$node{primary}->safe_psql('app', q{ALTER TABLE key_vault.secrets DISABLE TRIGGER USER;
	UPDATE key_vault.secrets SET expires_at = '2001-01-01' WHERE user_id = 'user_e'});
next_block('purge()');
is($node{primary}->safe_psql('app', q{SELECT count(*) FROM key_vault.secrets WHERE user_id = 'user_e'}), 0, 'what expired long ago is gone');

# --- All of it was run

is(scalar @blocks, 0, 'no block is left out');
is($ran, $fences, 'and each was run once');

done_testing();
