# The disk is full, or a file may not grow, while the keyring is written and while secrets
# are: a clear error, nothing half written, nothing lost, and work goes on when there is room.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultCluster;
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

sub program
{
	my ($name) = @_;
	return (grep { -x } map { "$_/$name" } split /:/, $ENV{PATH})[0];
}

my $keep = 'SELECT count(*) FROM generate_series(1, $1::int) n WHERE key_vault.get(\'user_\' || n, \'gemini\') = repeat($2, 1 + n) || n';
my $fill = 'SELECT count(key_vault.set(\'user_\' || n, \'gemini\', repeat($2, 1 + n) || n)) FROM generate_series(1, $1::int) n';
my $users = 20;

# --- A limit on file sizes, which the kernel holds one backend to

SKIP:
{
	my $prlimit = program('prlimit');
	skip 'prlimit is not installed', 1 unless defined $prlimit;

	my $node = new_vault('limited');
	my $path = keyring_path($node);
	my $super = session($node);
	$super->value($fill, $users, 'key-');

	my $limit = sub {
		my ($session, $bytes) = @_;
		system_or_bail($prlimit, '--pid', $session->pid, "--fsize=$bytes:");
	};

	# The new file would have one line more, as long as the last
	my $before = slurp_file($path);
	my ($line) = $before =~ /([^\n]+\n)\z/;
	my $length = length($before) + length($line);
	my $session = session($node);
	$session->value('SELECT count(*) FROM key_vault.root_keys');
	my (@wrong, %messages);
	my $step = $ENV{KV_LONG} ? 1 : 13;
	for (my $bytes = 0; $bytes < $length; $bytes = $bytes + $step >= $length && $bytes < $length - 1 ? $length - 1 : $bytes + $step)
	{
		$limit->($session, $bytes);
		my $result = $session->query('SELECT key_vault.create_root_key()');
		$limit->($session, 'unlimited');
		push @wrong, "$bytes: " . ($result->{error}{state} // 'made') if ($result->{error}{state} // '') ne 'F0000';
		$messages{ $result->{error}{message} // '' }++;
		push @wrong, "$bytes: the keyring was changed" if slurp_file($path) ne $before;
		push @wrong, "$bytes: something is left" if grep { !/^\Q$path\E(\.lock)?$/ } glob("$path*");
	}
	is_deeply(\@wrong, [], "a keyring that cannot be written further than byte 0 to $length is left as it was");
	is_deeply([ map { s/".*"/"..."/r } keys %messages ], ['could not write file "...": File too large'], 'and the error says why');
	outcome_is($session, '1', 'no root key was registered', 'SELECT count(*) FROM key_vault.root_keys');
	outcome_is($session, $users, 'everything opens', $keep, $users, 'key-');
	like($session->outcome('SELECT key_vault.create_root_key()'), qr/^[0-9a-f]{16}$/, 'and when it can be written, one is made');
	is(length slurp_file($path), $length, 'of as many bytes as was thought');

	# Rows that do not go into their file: larger than a WAL segment, which is not held up
	$super->value('SELECT count(key_vault.set(\'large_\' || n, \'exa\', repeat(\'x\', 65536))) FROM generate_series(1, 280) n');
	my $toast = $super->value(q{SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'key_vault_data.secrets'::regclass});
	my $size = $super->value('SELECT pg_relation_size($1::regclass)', $toast);
	cmp_ok($size, '>', 17 * 1024 * 1024, 'the table has outgrown a WAL segment');
	$super->run('CHECKPOINT');
	$limit->($session, $size);
	my $result;
	my $stored = 0;
	for my $n (1 .. 20)
	{
		$result = $session->query(q{SELECT key_vault.set($1, 'exa', repeat('y', 65536))}, "more_$n");
		last if $result->{error};
		$stored++;
	}
	like($result->{error}{message}, qr/^could not extend file .*File too large/, 'a table that cannot grow: set says why');
	outcome_is($session, $users, 'a table that cannot grow: everything opens', $keep, $users, 'key-');
	$result = $session->query(q{SELECT * FROM key_vault.import_keys($$SELECT 'import_' || n, 'exa', repeat('z', 65536) FROM generate_series(1, 5) n$$)});
	like($result->{error}{message}, qr/^could not extend file .*File too large/, 'a table that cannot grow: import_keys does not take it for a bad row');
	$limit->($session, 'unlimited');
	outcome_is($session, $stored, 'a table that cannot grow: only what was confirmed is there',
		q{SELECT count(*) FROM key_vault.inventory WHERE user_id LIKE 'more\_%'});
	outcome_is($session, '0', 'a table that cannot grow: and nothing of the import', q{SELECT count(*) FROM key_vault.inventory WHERE user_id LIKE 'import\_%'});
	outcome_is($session, '1', 'when it can, set works', q{SELECT key_vault.set('more', 'exa', repeat('y', 65536))});
	$node->stop;

	# The same for a .env file, at COMMIT: neither the file nor the row is changed
	my $folder = PostgreSQL::Test::Utils::tempdir;
	my $env = "$folder/.env";
	delete local @ENV{qw(DEBUG DEPLOY_ENV)};
	append_to_file($env, "DEBUG=true\n# a comment\n");
	$node = new_vault('limited_env', conf => "key_vault.dotenv_file = '$env'\n");
	$session = session($node);
	$session->value(q{SELECT key_vault.set('user_a', 'gemini', $1)}, 'AIza-before');
	$before = slurp_file($env);
	(@wrong, %messages) = ();
	for my $bytes (0 .. length($before) - 1)
	{
		# what failed left its row behind: the table need not grow
		$session->run('VACUUM key_vault_data.secrets');
		$limit->($session, $bytes);
		my $result = $session->query(q{SELECT key_vault.set('user_a', 'gemini', $1)}, 'AIza-nowaits');
		$limit->($session, 'unlimited');
		push @wrong, "$bytes: " . ($result->{error}{state} // 'set') if ($result->{error}{state} // '') ne 'F0000';
		$messages{ $result->{error}{message} // '' }++;
		push @wrong, "$bytes: the file was changed" if slurp_file($env) ne $before;
		push @wrong, "$bytes: something is left" if grep { !/^\Q$env\E(\.lock)?$/ } glob("$env*");
		push @wrong, "$bytes: the row was changed" if $session->value(q{SELECT count(*) FROM key_vault.versions('user_a', 'gemini')}) != 1;
	}
	is_deeply(\@wrong, [], 'a .env file that cannot be written is left as it was, and so is the row');
	is_deeply([ map { s/".*"/"..."/r } keys %messages ], ['could not write file "...": File too large'], 'and the error says why');
	outcome_is($session, 'AIza-before', 'get', q{SELECT key_vault.get('user_a', 'gemini')});
	outcome_is($session, '2', 'when it can be written, it is', q{SELECT key_vault.set('user_a', 'gemini', 'AIza-after')});
	like(slurp_file($env), qr/AIza-after/, 'as the row is');
	$node->stop;
}

# --- A full disk: small file systems of our own, in a namespace of the server's

# A pg_ctl that starts the server where the small file systems are mounted
sub pg_ctl_with_mounts
{
	my ($folder, %mounts) = @_;
	my $real = program('pg_ctl');
	my $mounts = join ' && ', map { "mount -t tmpfs -o mode=0700,$mounts{$_} tmpfs $_" } sort keys %mounts;
	mkdir "$folder/bin";
	append_to_file("$folder/bin/pg_ctl", <<"END");
#!/bin/sh
case " \$* " in *" start "*|*" status "*) ;; *) exec $real "\$@" ;; esac
exec unshare --user --map-root-user --mount sh -c '$mounts && exec unshare --user --map-user=$> --map-group=@{[ $) + 0 ]} $real "\$@"' sh "\$@"
END
	chmod 0755, "$folder/bin/pg_ctl";
	return "$folder/bin";
}

SKIP:
{
	my $folder = PostgreSQL::Test::Utils::tempdir;
	mkdir "$folder/$_" for 'rings', 'rows';
	my $bin = pg_ctl_with_mounts($folder, "$folder/rings" => 'size=24k,nr_inodes=6', "$folder/rows" => 'size=24m');
	skip 'the system allows no user namespaces, so no small file systems', 1
	  if system("$bin/pg_ctl -D $folder/none status >/dev/null 2>&1") >> 8 != 4;    # it ran, and knows no data directory

	my $node = PostgreSQL::Test::Cluster->new('full');
	init_cluster($node);
	$node->append_conf('postgresql.conf', "key_vault.keyring_file = '$folder/rings/keyring'\n");
	{
		local $ENV{PATH} = "$bin:$ENV{PATH}";
		$node->start;
	}
	my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	my $seen = "/proc/$postmaster/root$folder";    # as the server sees it
	for my $where ('rings', 'rows')
	{
		die "$where is not in a small file system" if (stat "$seen/$where")[0] == (stat $folder)[0];
	}

	$node->safe_psql('postgres', "CREATE TABLESPACE small LOCATION '$folder/rows'");
	$node->safe_psql('postgres', 'CREATE DATABASE small TABLESPACE small');
	$node->safe_psql('small', 'CREATE EXTENSION key_vault');
	my $session = session($node, undef, dbname => 'small');
	my $first = $session->value('SELECT key_vault.create_root_key()');
	$session->value($fill, $users, 'key-');

	# Fills a file system to the last page, or the last file; gives room again
	my $take_room = sub {
		my ($where) = @_;
		open my $file, '>>:raw', "$seen/$where/filler" or die "$where: $!";
		for (1 .. 10_000) { last unless defined syswrite($file, "\0" x 4096); }
		like("$!", qr/No space left/, "$where is full");
		close $file;
	};
	my $give_room = sub { my ($where, $pages) = @_; my $filler = "$seen/$where/filler";
		truncate($filler, ($pages && -s $filler > $pages * 4096) ? (-s $filler) - $pages * 4096 : 0) or die "$filler: $!"; };

	# A keyring of three pages, which one free page does not hold
	append_to_file("$seen/rings/keyring", "# a comment\n" x 800);
	my $ring = slurp_file("$seen/rings/keyring");
	$take_room->('rings');
	my %rooms = ('no page' => 0, 'one page' => 1, 'two pages' => 2);
	for my $room (sort keys %rooms)
	{
		$give_room->('rings', $rooms{$room}) if $rooms{$room};
		my $result = $session->query('SELECT key_vault.create_root_key()');
		is($result->{error}{state}, 'F0000', "$room free: no root key is made");
		like($result->{error}{message}, qr/^could not write file ".*": No space left on device$/, "$room free: and the error says why");
		is(slurp_file("$seen/rings/keyring"), $ring, "$room free: the keyring is as it was");
		is_deeply([ sort map { s{.*/}{}r } glob("$seen/rings/*") ], [qw(filler keyring keyring.lock)], "$room free: nothing is left beside it");
		$take_room->('rings');
	}
	$give_room->('rings');
	my @more = map { "$seen/rings/more_$_" } 1 .. 10;
	for my $more (@more) { open my $file, '>', $more or last; close $file; }
	my $result = $session->query('SELECT key_vault.create_root_key()');
	is($result->{error}{state}, 'F0000', 'room for bytes, but for no further file: no root key is made');
	is(slurp_file("$seen/rings/keyring"), $ring, 'and the keyring is as it was');
	unlink @more;
	outcome_is($session, $users, 'everything opens', $keep, $users, 'key-');
	my $second = $session->value('SELECT key_vault.create_root_key()');
	like($second, qr/^[0-9a-f]{16}$/, 'and with room, one is made');
	is(substr(slurp_file("$seen/rings/keyring"), 0, length $ring), $ring, 'below what was there');

	# The rows' file system is full: everything that writes says so, and nothing is lost.  A
	# rotation needs more room than the failed ones before it leave
	$session->value(q{SELECT count(key_vault.set('large_' || n, 'exa', repeat('x', 65536))) FROM generate_series(1, 20) n});
	$session->run('CALL key_vault.rotate_root_key()');
	$session->run('CHECKPOINT');
	$take_room->('rows');
	my $stored = 0;
	for my $n (1 .. 50)
	{
		$result = $session->query(q{SELECT key_vault.set($1, 'exa', repeat('y', 65536))}, "more_$n");
		last if $result->{error};
		$stored++;
	}
	is($result->{error}{state}, '53100', 'no room for rows: set');
	$result = $session->query(q{SELECT * FROM key_vault.import_keys($$SELECT 'import_' || n, 'exa', repeat('z', 65536) FROM generate_series(1, 5) n$$)});
	is($result->{error}{state}, '53100', 'no room for rows: import_keys');
	outcome_is($session, $users, 'no room for rows: everything opens', $keep, $users, 'key-');
	outcome_is($session, $stored, 'no room for rows: nothing is half stored',
		q{SELECT count(*) FROM key_vault.inventory WHERE user_id LIKE 'more\_%' OR user_id LIKE 'import\_%'});

	$session->value('SELECT key_vault.activate_root_key($1)', $second);
	$result = $session->query('CALL key_vault.rotate_root_key(1)');
	is($result->{error}{state}, '53100', 'no room for rows: rotate_root_key');
	outcome_is($session, $users, 'no room for rows: everything opens in the middle of a rotation', $keep, $users, 'key-');
	outcome_is($session, 'interrupted', 'no room for rows: and the rotation is seen to be cut short', 'SELECT state FROM key_vault.rotation_progress');
	$give_room->('rows');
	$session->run('CALL key_vault.rotate_root_key(1)');
	outcome_is($session, '', 'with room, it comes to its end', 'SELECT key_vault.retire_root_key($1)', $first);
	outcome_is($session, $users, 'and everything opens', $keep, $users, 'key-');
	outcome_is($session, '1', 'and set works', q{SELECT key_vault.set('more', 'exa', repeat('y', 65536))});

	$session->close;
	$node->stop;
}

done_testing();
