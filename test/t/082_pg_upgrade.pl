# pg_upgrade to a newer PostgreSQL, then its delete_old_cluster.sh, with the commands of docs/operating.md:
# every secret, level and provider is there, and the keyring is, because it was not in the
# data directory.
#
# The newer server comes from a Debian root that scripts/versions.sh made.  Its programs run
# by that root's own dynamic linker, so that this needs neither root nor a chroot.
use strict;
use warnings;

use File::Path qw(make_path);
use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use KeyVaultToken;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $tree = "$FindBin::RealBin/../..";
my $roots = '/var/cache/key_vault';

plan skip_all => 'takes half a minute: set KV_LONG=1' unless $ENV{KV_LONG};
chomp(my $version = `pg_config --version`);
my ($major) = $version =~ /^PostgreSQL (\d+)/;
my ($newer, $root) = newest_server();
plan skip_all => "there is no server newer than $major: run scripts/versions.sh 17 trixie as root first"
  unless defined $newer;

# The newest major version in the Debian roots that is newer than this server, and its root.
sub newest_server
{
	my %found;
	for my $program (glob("$roots/debian-*/usr/lib/postgresql/*/bin/pg_upgrade"))
	{
		my ($in, $number) = $program =~ m{^(.*)/usr/lib/postgresql/(\d+)/bin/pg_upgrade$};
		$found{$number} = $in if $number > $major && -e "$in/usr/lib/postgresql/$number/lib/pgxs/src/makefiles/pgxs.mk";
	}

	# 17 first: what it needs is further from what is installed here than 18's
	my ($best) = sort { ($b == 17) <=> ($a == 17) || $b <=> $a } keys %found;
	return defined $best ? ($best, $found{$best}) : ();
}

# A tree of links to the newer server, in which key_vault can be installed.
sub private_copy
{
	my ($prefix) = @_;
	my ($loader) = glob("$root/lib64/ld-linux-*.so.* $root/lib/ld-linux-*.so.*");
	my $libraries = join ':', glob("$root/lib/*-linux-gnu $root/usr/lib/*-linux-gnu");
	my ($from, $to) = map { "$_/usr/lib/postgresql/$newer" } $root, $prefix;

	make_path("$to/bin", "$to/lib", "$prefix/usr/share/postgresql/$newer/extension", "$prefix/usr/include");
	symlink("$root/usr/include/postgresql", "$prefix/usr/include/postgresql");
	links("$from/lib", "$to/lib");
	links("$root/usr/share/postgresql/$newer", "$prefix/usr/share/postgresql/$newer", 'extension');
	links("$root/usr/share/postgresql/$newer/extension", "$prefix/usr/share/postgresql/$newer/extension");
	for my $program (map { s{.*/}{}r } glob("$from/bin/*"))
	{
		append_to_file("$to/bin/$program",
			qq{#!/bin/sh\nexec "$loader" --argv0 "\$0" --library-path "$libraries" "$from/bin/$program" "\$@"\n});
		chmod 0755, "$to/bin/$program";
	}
	return $to;
}

sub links
{
	my ($from, $to, $except) = @_;
	for my $name (map { s{.*/}{}r } glob("$from/*"))
	{
		next if $name eq ($except // '') || $name =~ /^key_vault|^bitcode$/;
		symlink("$from/$name", "$to/$name") or die "$to/$name: $!";
	}
	return;
}

# The extension, built for the newer server, with that root's headers and libraries.
sub build_and_install
{
	my ($folder, $bindir) = @_;
	mkdir $folder;
	system_or_bail('cp', '-R', (map { "$tree/$_" } 'src', 'Makefile', map { s{.*/}{}r } glob("$tree/key_vault*.sql $tree/*.control")), $folder);
	system_or_bail('find', $folder, '-name', '*.o', '-delete');
	# that server's own flags may be ones that this compiler does not know
	my @make = ('make', '-s', '-C', $folder, "PG_CONFIG=$bindir/pg_config", 'with_llvm=no', "CC=gcc --sysroot=$root",
		'CFLAGS=-O2 -fno-strict-aliasing -fwrapv');
	system_or_bail(@make, '-j2');
	system_or_bail(@make, 'install');
	return;
}

my $folder = PostgreSQL::Test::Utils::tempdir;
my $install_path = private_copy("$folder/newer");
my $bindir = "$install_path/bin";
my $says = `$bindir/postgres --version 2>&1`;
plan skip_all => "PostgreSQL $newer does not run here: $says" unless $says =~ /^postgres \(PostgreSQL\) $newer/;
build_and_install("$folder/build", $bindir);

# --- The old cluster

my $old = new_vault('old', conf => "shared_preload_libraries = 'key_vault'\nkey_vault.audit = async\n");
my $old_bindir = $old->config_data('--bindir');
my $ring = keyring_path($old);
add_role($old, 'regress_kv_service', 'service');
add_role($old, 'regress_kv_tenant', 'user', 'user_a');
add_role($old, 'regress_kv_admin', 'admin');
$old->safe_psql('postgres', q{
	SELECT count(key_vault.set('user_' || n, 'gemini', 'AIza-of-user_' || n)) FROM generate_series(1, 500) n;
	SELECT key_vault.activate_root_key(key_vault.create_root_key());
	SELECT count(key_vault.set('user_' || n, 'gemini', 'AIza-new-of-user_' || n)) FROM generate_series(1, 100) n;
	SELECT key_vault.set('user_a', 'openai', 'sk-' || repeat('x', 60000), 'work', '2100-01-01');
	SELECT key_vault.add_provider('acme', required => true);
	SELECT key_vault.set('user_a', 'acme', 'acme-of-user_a', attributes => '{"base_url": "https://acme.example.com"}');
	SELECT key_vault.record_usage('user_a', 'acme', cost => 0.25)});

# Issuers, one of either kind of key, and who is revoked
my ($hs, $es) = map { new_issuer(issuer => "https://$_->[0].example", algorithm => $_->[1], kid => $_->[0]) } [ hs => 'HS256' ], [ es => 'ES256' ];
$_->trusted_by($old, user_prefix => "'$_->{kid}:'") for $hs, $es;
$old->safe_psql('postgres', q{SELECT key_vault.revoke_tokens('hs:user_b')});
add_role($old, 'regress_kv_by_token', 'user');
$old->safe_psql('postgres', q{SELECT key_vault.set('es:user_a', 'gemini', 'AIza-of-es')});

# What tokens, all made before the upgrade, come to: of a user, of one who was revoked, of another issuer
my $authenticate = 'SELECT key_vault.authenticate($1)';
my %token = map { my $issuer = $_; map { ("$issuer->{kid}:$_" => $issuer->token(sub => $_, exp => time + 36000)) } qw(user_a user_b) } $hs, $es;
my $forged = new_issuer(%$es)->token;
sub tokens_are_judged
{
	my ($node, $when) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $session = session($node, 'regress_kv_by_token');
	outcome_is($session, $_ eq 'hs:user_b' ? '28000' : $_, "$when: the token of $_", $authenticate, $token{$_}) for sort keys %token;
	like($session->query($authenticate, $token{'hs:user_b'})->{error}{message}, qr/revoked/, "$when: which was revoked");
	outcome_is($session, '28000', "$when: a forged one", $authenticate, $forged);
	$session->run('BEGIN');
	$session->query($authenticate, $token{'es:user_a'});
	outcome_is($session, 'AIza-of-es', "$when: its user's key", q{SELECT key_vault.get(NULL, 'gemini')});
	$session->run('ROLLBACK');
	return;
}
tokens_are_judged($old, 'before');

# Everything of the vault, opened, as one text
my $contents = q{
	SELECT md5(string_agg(concat_ws('|', i.user_id, i.provider, i.label, i.version, i.hint, i.created_at, i.expires_at, i.root_key_id,
			CASE WHEN i.is_current THEN key_vault.require(i.user_id, i.provider, i.label) END), E'\n'
			ORDER BY i.user_id, i.provider, i.label, i.version))
		|| ' ' || count(*)
		|| ' ' || (SELECT string_agg(r::text, ',' ORDER BY r.id) FROM key_vault.root_keys r)
		|| ' ' || (SELECT string_agg(c::text, ',') FROM key_vault.monthly_costs c)
		|| ' ' || (SELECT string_agg(p::text, ',' ORDER BY p.name) FROM key_vault.providers p)
		|| ' ' || (SELECT string_agg(a::text, ',' ORDER BY a.role) FROM key_vault.access a)
		|| ' ' || (SELECT string_agg(t::text, ',' ORDER BY t.issuer) FROM key_vault.issuers t)
	FROM key_vault.inventory i};
my $before = $old->safe_psql('postgres', $contents);
like($before, qr/^[0-9a-f]{32} 603 /, 'the old server has secrets');

# What is known of the use of keys, by a worker and by a call
$old->append_conf('postgresql.conf', 'key_vault.track_last_use = on');
$old->reload;
$old->poll_query_until('postgres', q{SELECT current_setting('key_vault.track_last_use') = 'on' FROM key_vault.mode()}) or die 'not reloaded';
$old->safe_psql('postgres', q{SELECT count(key_vault.get('user_' || n, 'gemini')), count(key_vault.record_outcome('user_' || n, 'gemini', 'quota')) FROM generate_series(1, 50) n});
$old->poll_query_until('postgres', 'SELECT count(*) = 50 FROM key_vault_data.last_uses') or die 'uses are not written';
my $uses = q{SELECT string_agg(concat_ws(' ', u.user_id, u.last_used_at, u.uses, o.outcome, o.recorded_at, l.uses, l.last_outcome), ', ' ORDER BY u.user_id)
	FROM key_vault_data.last_uses u JOIN key_vault_data.outcomes o USING (user_id, provider, label, version, set_at), key_vault.list(u.user_id) l};
my $uses_before = $old->safe_psql('postgres', $uses);
like($uses_before, qr/^user_1 \S+ \S+ 1 quota \S+ \S+ 1 quota, user_10 /, 'and uses and outcomes');

# The audit's chain, of which the last record is kept
$old->restart;
my $head = $old->safe_psql('postgres', "SELECT number, mac FROM key_vault.audit_head()");
my ($last) = split /\|/, $head;
cmp_ok($last, '>', 600, 'there are audit records');

# Where the keyring must not be
append_to_file($old->data_dir . '/keyring_in_data_directory', slurp_file($ring));
my ($in_data, $from_old) = ('keyring_in_data_directory', $old->data_dir);

# --- The upgrade

# What servers note about columns by themselves: a minor release that is behind does not take it
my $notes = q{SELECT string_agg(DISTINCT split_part(o, '=', 1), ',') FROM pg_attribute, unnest(attoptions) o};
my $new = PostgreSQL::Test::Cluster->new('new', install_path => $install_path);
$new->init(extra => [ '--encoding=UTF8', '--locale=C', $newer >= 18 ? '--no-data-checksums' : () ]);
$new->start;
my $difference = join ' and ', map { "'" . $_->safe_psql('postgres', $notes) . "'" } $new, $old;
$new->stop;
$old->stop;
if ($difference !~ /^('.*') and \g1$/)
{
	note "column options: $difference";
	SKIP: { skip "PostgreSQL $newer in $root is a minor release behind this server, and pg_upgrade needs one that is not", 1; }
	done_testing();
	exit;
}

my @blocks = map { { %$_, dbname => 'postgres' } } grep { $_->{on} eq 'newer' } operating_blocks();
is(scalar @blocks, 3, 'docs/operating.md says how');
my %instead = (
	'/usr/lib/postgresql/15/bin' => $old_bindir,
	'/usr/lib/postgresql/17/bin' => $bindir,
	'/var/lib/postgresql/15/main' => $old->data_dir,
	'/var/lib/postgresql/17/main' => $new->data_dir,
	'/etc/postgresql/key_vault/%d.keyring' => $ring);

sub next_block
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	local %ENV = (%ENV, $new->_get_env(), PGPORTOLD => $old->port, PGPORTNEW => $new->port, PGSOCKETDIR => $new->host);
	return run_operating_block(shift @blocks, $new, $folder, %instead);
}

next_block();
$new->_update_pid(1);
is($new->safe_psql('postgres', 'SHOW server_version_num') =~ s/\d{4}$//r, $newer, "the server runs, now $newer instead of $major");
ok(-e "$folder/delete_old_cluster.sh", 'it leaves the script that deletes the old cluster');
is(next_block(), "603\n", 'all is there and opens');
next_block();
ok(!-e $from_old, 'the old cluster is gone');
ok(!-e $new->data_dir . "/$in_data", 'with what was in its data directory: a keyring there would be lost');
ok(-e $ring, 'the keyring is not');
is($new->safe_psql('postgres', $contents), $before, 'everything is as it was');

is($new->safe_psql('postgres', $uses), $uses_before, '... uses and outcomes, too');

# --- The new one

is($new->safe_psql('postgres', "SELECT number, mac FROM key_vault.audit_log WHERE number = $last"), $head, 'the last audit record came along');
is($new->safe_psql('postgres', 'SELECT count(*) FROM key_vault.verify_audit()'), '0', 'and the chain verifies');
$new->append_conf('postgresql.conf', "shared_preload_libraries = 'key_vault'\nkey_vault.audit = durable\nkey_vault.track_last_use = on\n");
$new->restart;
$new->safe_psql('postgres', q{SELECT key_vault.get('user_7', 'gemini')});
$new->safe_psql('postgres', q{SELECT key_vault.record_outcome('user_7', 'gemini', 'accepted')});
is($new->safe_psql('postgres', q{SELECT uses || ' ' || last_outcome FROM key_vault.list('user_7')}), '2 accepted', 'uses go on, and outcomes');
is($new->safe_psql('postgres', "SELECT count(*) > $last, (SELECT count(*) FROM key_vault.verify_audit()) FROM key_vault.audit_log"), 't|0', 'and goes on');

my $service = session($new, 'regress_kv_service');
outcome_is($service, 'AIza-new-of-user_7', 'a service role names the user', q{SELECT key_vault.get('user_7', 'gemini')});
$service->run('BEGIN', q{SET LOCAL key_vault.user_id = 'user_a'});
outcome_is($service, 'acme-of-user_a', 'and sets the identity', q{SELECT key_vault.get(NULL, 'acme')});
outcome_is($service, '42501', 'which it keeps to', q{SELECT key_vault.get('user_7', 'gemini')});
$service->run('ROLLBACK');
outcome_is(session($new, 'regress_kv_tenant'), 'acme-of-user_a', 'a tenant has its identity', q{SELECT key_vault.get(NULL, 'acme')});
outcome_is(session($new, 'regress_kv_admin'), '0', 'status finds no error', q{SELECT count(*) FROM key_vault.status() WHERE state = 'error'});

tokens_are_judged($new, 'after');
my $super = session($new);
outcome_is($super, 'https://acme.example.com', 'its attributes came along', q{SELECT attributes ->> 'base_url' FROM key_vault.lookup('user_a', 'acme')});
outcome_is($super, '3', 'set', q{SELECT key_vault.set('user_7', 'gemini', 'AIza-newest')});
$super->value('SELECT key_vault.activate_root_key(key_vault.create_root_key())');
$super->run('CALL key_vault.rotate_root_key()');
outcome_is($super, '1', 'rotation', 'SELECT count(DISTINCT root_key_id) FROM key_vault.secrets');
tokens_are_judged($new, 'after a rotation');
outcome_is($super, 'AIza-newest', 'get', q{SELECT key_vault.get('user_7', 'gemini')});

done_testing();
