# What a backend's memory holds of a key once the call is over, also one that failed or was
# cancelled.  PostgreSQL itself keeps parameters and results in buffers for messages and rows
# until it uses them again, so two things are tested: a key that key_vault opened for itself is
# nowhere, and of one that was passed in or given back there are no more copies than
# a plain function leaves.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $cancels = $ENV{KV_LONG} ? 400 : 30;    # of each kind of call

my $folder = PostgreSQL::Test::Utils::tempdir;
# Versions are kept so that rollback has one to go to
my $node = new_vault('cancelled', conf => "log_statement = none\nshared_buffers = 2MB\n"
	. "autovacuum = off\nsession_preload_libraries = key_vault\nkey_vault.keep_versions = 1000\n");
add_role($node, 'regress_kv_service', 'service');
my $super = session($node);

# All that a session's process can write, but for the dead part of its stack; undef when the
# system does not let us look.  That is more than a core dump has, which leaves the root keys'
# memory out.  On the dead stack, signals and the dynamic linker leave a copy of the processor's
# registers, and with it the last bytes that libcrypto worked on, until the next one.
sub memory_of
{
	my ($session) = @_;
	my $pid = $session->pid;
	open my $memory, '<:raw', "/proc/$pid/mem" or return;
	my @waiting;    # in a system call: its number, six arguments, the stack pointer, the program counter
	until (@waiting == 9) { sleep 0.01; @waiting = split / /, slurp_file("/proc/$pid/syscall"); }
	my $stack_pointer = hex $waiting[7];
	my $all = '';
	for (split /\n/, slurp_file("/proc/$pid/maps"))
	{
		my ($from, $to) = map { hex } /^([0-9a-f]+)-([0-9a-f]+) rw/ or next;
		$from = $stack_pointer if $from < $stack_pointer && $stack_pointer < $to;
		sysseek($memory, $from, 0);
		my ($left, $part) = ($to - $from);
		while ($left > 0 && (my $got = sysread($memory, $part, $left)))
		{
			$all .= $part;
			$left -= $got;
		}
		$all .= "\0" x 8;
	}
	return $all;
}

# How often a part of a key is there: any part, so that a copy half overwritten counts.
sub copies
{
	my ($memory, $key) = @_;
	my $most = 0;
	for my $offset (0, 8, 16)
	{
		my $part = substr($key, $offset, 8);
		my $count = () = $memory =~ /\Q$part\E/g;
		$most = $count if $count > $most;
	}
	return $most;
}

# 28 bytes, of which no two are alike in any part; the last four are the hint, which is no secret.
sub new_canary
{
	my @letters = ('a' .. 'z', 'A' .. 'Z', 0 .. 9);
	return join('', map { $letters[ rand @letters ] } 1 .. 24) . '-end';
}

my $probe = session($node);
$probe->run(q{SET application_name = 'canary 8c0e7d'});
my $memory = memory_of($probe);
plan skip_all => 'the system does not let one process look at another' unless defined $memory;
ok(index($memory, 'canary 8c0e7d') >= 0, 'a session can be looked into');

# --- Keys that key_vault opens for itself

# Whatever becomes of the work, no part of the canary is in memory afterwards.
sub opens_in_private
{
	my ($name, $key, $work, %option) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $session = session($node, $option{role}, dbname => $option{dbname} // 'postgres', client_encoding => $option{encoding} // 'UTF8');
	my $outcomes = $work->($session);
	is(copies(memory_of($session), $key), 0, "$name: no part of the key is left");
	note "$name: " . join(', ', map { "$_ $outcomes->{$_}" } sort keys %$outcomes);
	$session->close;
	return;
}

# Runs a statement many times, cancelled at random moments, and never for good.
sub cancelled_at_random
{
	my ($sql, $most) = @_;
	return sub {
		my ($session) = @_;
		my %outcomes;
		for (1 .. $cancels)
		{
			1 while $session->simple('SET statement_timeout = ' . (1 + int rand $most))->{error};
			$outcomes{ $session->query($sql)->{error}{state} // 'ok' }++;
			1 while $session->simple('SET statement_timeout = 0')->{error};
		}
		return \%outcomes;
	};
}

# Runs a statement while another session is in the way, until the lock's timeout.
sub blocked
{
	my ($blocker, $sql) = @_;
	return sub {
		my ($session) = @_;
		my $other = session($node);
		$other->run('BEGIN', $blocker);
		$session->run(q{SET lock_timeout = '50ms'});
		my $state = $session->query($sql)->{error}{state} // 'ok';
		$other->run('ROLLBACK');
		return { $state => 1 };
	};
}

sub once
{
	my @statements = @_;
	return sub {
		my ($session) = @_;
		my %outcomes;
		$outcomes{ $session->query($_)->{error}{state} // 'ok' }++ for @statements;
		return \%outcomes;
	};
}

my $key = new_canary();
$super->value(q{SELECT count(key_vault.set('user_' || n, 'gemini', $1)) FROM generate_series(1, 200) n}, $key);
$super->value(q{SELECT count(key_vault.set('user_' || n, 'gemini', 'AIza-other')) FROM generate_series(1, 200) n});
my $rollback = q{SELECT count(key_vault.rollback('user_' || n, 'gemini', 1)) FROM generate_series(1, 200) n};

opens_in_private('rollback that is refused', $key, once(q{SELECT key_vault.rollback('user_1', 'gemini', 7)}));
opens_in_private('rollback that waits for a lock', $key, blocked('LOCK TABLE key_vault_data.secrets IN SHARE MODE', $rollback));
opens_in_private('rollback that waits for another version', $key, blocked(q{SELECT key_vault.set('user_1', 'gemini', 'AIza-z')}, $rollback));
opens_in_private('rollback that is cancelled', $key, cancelled_at_random($rollback, 15));
$node->safe_psql('postgres', q{
	CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
	CREATE TRIGGER refuse BEFORE INSERT ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION public.refuse()});
opens_in_private('rollback that a trigger stops', $key, once($rollback));
$node->safe_psql('postgres', 'DROP TRIGGER refuse ON key_vault_data.secrets');
opens_in_private('rollback', $key, once($rollback));

$super->value('SELECT key_vault.activate_root_key(key_vault.create_root_key())');
opens_in_private('rotate_root_key that is cancelled', $key, sub {
	my ($session) = @_;
	my $outcomes = cancelled_at_random('CALL key_vault.rotate_root_key(3)', 40)->($session);
	$super->value('SELECT key_vault.activate_root_key(key_vault.create_root_key())');
	return $outcomes;
});
opens_in_private('rotate_root_key', $key, once('CALL key_vault.rotate_root_key()'));

# Keys that another session encrypted with pgcrypto
$super->query('CREATE EXTENSION pgcrypto');
$super->query(q{CREATE TABLE public.encrypted AS SELECT 'imported_' || n AS user_id, public.pgp_sym_encrypt($1, 'sesame', 's2k-mode=0') AS key
	FROM generate_series(1, 20) n}, $key);
my $import = q{SELECT key_vault.import_keys('SELECT user_id, $$gemini$$, key FROM public.encrypted', 'sesame')};
opens_in_private('import_keys that waits for a lock', $key, blocked('LOCK TABLE key_vault_data.secrets IN SHARE MODE', $import));
opens_in_private('import_keys that is cancelled', $key, sub {
	my ($session) = @_;
	my %outcomes;
	for my $sleep (1 .. 5)
	{
		$session->run(q{SET lock_timeout = 0}, 'SET statement_timeout = ' . 10 * $sleep, 'BEGIN');
		$outcomes{ $session->query($import)->{error}{state} // 'ok' }++;
		$session->run('ROLLBACK');
		1 while $session->simple('SET statement_timeout = 0')->{error};
	}
	return \%outcomes;
});
opens_in_private('import_keys', $key, once($import));

# Keys that were opened and are not handed out, because no record of it can be left
sub set_audit
{
	my ($setting) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET key_vault.audit = $setting; SELECT pg_reload_conf()");
	$node->poll_query_until('postgres', "SELECT current_setting('key_vault.audit') = '$setting'") or die 'not reloaded';
	return;
}
$super->value(q{SELECT key_vault.set('user_unrecorded', 'gemini', $1)}, $key);
set_audit('async');
for my $call (qw(get require lookup get_all))
{
	my $arguments = $call eq 'get_all' ? q{'user_unrecorded'} : q{'user_unrecorded', 'gemini'};
	opens_in_private("$call without a record", $key, sub { return { is($_[0]->outcome("SELECT key_vault.$call($arguments)"), '58030', "$call: no record can be left") => 1 } });
}
set_audit('off');

# In another encoding, key_vault works on the key in UTF-8, which nobody sees
$node->safe_psql('postgres', q{CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'});
KeyVaultTest::install_vault($node, 'latin');
my @letters = map { 0xc0 + $_ } 3, 17, 9, 30, 5, 26, 12, 21, 1, 14, 29, 7;
my $latin = join('', map { chr } @letters) . '-end';
my $utf8 = join('', map { chr(0xc3) . chr($_ - 0x40) } @letters) . '-end';
my @latin = (dbname => 'latin', encoding => 'LATIN1');
opens_in_private('LATIN1: set', $utf8, sub { return { $_[0]->outcome(q{SELECT key_vault.set('user_a', 'gemini', $1)}, $latin) => 1 } }, @latin);
opens_in_private('LATIN1: set that is refused', $utf8,
	sub { return { $_[0]->outcome(q{SELECT key_vault.set('user_a', 'gemini', $1, if_version => 9)}, $latin) => 1 } }, @latin);
my $dotenv = 'SELECT key_vault.import_dotenv($1, $2)';
opens_in_private('LATIN1: import_dotenv', $utf8, sub { return { $_[0]->outcome($dotenv, 'user_b', "GEMINI_API_KEY='$latin'\n") => 1 } }, @latin);
opens_in_private('LATIN1: import_dotenv that fails', $utf8,
	sub { return { $_[0]->outcome($dotenv, 'user_b', "GEMINI_API_KEY='$latin'\nEXA_API_KEY='unfinished") => 1 } }, @latin);
opens_in_private("LATIN1: $_", $utf8, once(qq{SELECT key_vault.$_}), @latin)
  for q{get('user_a', 'gemini')}, q{get_all('user_a')}, q{rollback('user_a', 'gemini', 1)};

# --- Keys that are passed in or given back

# The same by a plain function: the same number of arguments of the same types, volatile.
$node->safe_psql('postgres', q{
	CREATE FUNCTION public.take(user_id text, provider text, api_key text) RETURNS int LANGUAGE plpgsql AS
		$$ BEGIN RETURN octet_length(api_key); END $$;
	CREATE FUNCTION public.refuse(user_id text, provider text, api_key text) RETURNS int LANGUAGE plpgsql AS
		$$ BEGIN RAISE 'refused'; END $$;
	CREATE FUNCTION public.wait(user_id text, provider text, api_key text) RETURNS int LANGUAGE plpgsql AS
		$$ BEGIN PERFORM pg_sleep(10); RETURN 1; END $$;
	CREATE TABLE public.plain (user_id text PRIMARY KEY, reversed text);
	GRANT SELECT ON public.plain TO PUBLIC;
	CREATE FUNCTION public.give(user_id text, provider text) RETURNS text LANGUAGE plpgsql AS
		$$ DECLARE stored text; BEGIN SELECT reversed INTO stored FROM public.plain p WHERE p.user_id = $1; RETURN reverse(stored); END $$});

# Copies of a key after a statement, and after others, which use some of the same buffers.
sub copies_after
{
	my ($sql, %option) = @_;
	my $key = $option{key} // new_canary();
	my $session = session($node, 'regress_kv_service');
	$session->run('SELECT 1', @{ $option{before} // [] });
	$session->query($sql, $option{key} ? () : $key);
	my $copies = copies(memory_of($session), $key);
	1 while $session->simple('SET statement_timeout = 0')->{error};
	$session->query('SELECT octet_length($1), repeat($1, 2)', 'y' x 30_000) for 1 .. 2;
	my $later = copies(memory_of($session), $key);
	$session->close;
	return ($copies, $later);
}

my $found = 0;    # by plain functions, in all

sub adds_none
{
	my ($name, $ours, $plain) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($our_copies, $our_later) = copies_after(@$ours);
	my ($plain_copies, $plain_later) = copies_after(@$plain);
	note "$name: $our_copies copies, $our_later later; a plain function leaves $plain_copies, $plain_later later";
	$found += $plain_copies;
	cmp_ok($our_copies, '<=', $plain_copies, "$name: ours leaves no more");
	return;
}

my $timeout = q{SET statement_timeout = '60ms'};
adds_none('set', [ q{SELECT key_vault.set('user_a', 'gemini', $1)} ], [ q{SELECT public.take('user_a', 'gemini', $1)} ]);
adds_none('set that is refused', [ q{SELECT key_vault.set('', 'gemini', $1)} ], [ q{SELECT public.refuse('', 'gemini', $1)} ]);
adds_none('set of an unknown provider', [ q{SELECT key_vault.set('user_a', 'none', $1)} ], [ q{SELECT public.refuse('', 'gemini', $1)} ]);
adds_none('set whose if_version does not hold', [ q{SELECT key_vault.set('user_a', 'gemini', $1, if_version => 99)} ],
	[ q{SELECT public.refuse('', 'gemini', $1)} ]);
{
	my $blocker = session($node);
	$blocker->run('BEGIN', 'LOCK TABLE key_vault_data.secrets IN SHARE MODE');
	adds_none('set that is cancelled', [ q{SELECT key_vault.set('user_a', 'gemini', $1)}, before => [$timeout] ],
		[ q{SELECT public.wait('user_a', 'gemini', $1)}, before => [$timeout] ]);
	$blocker->run('ROLLBACK', 'BEGIN', q{SELECT key_vault.set('user_a', 'gemini', 'AIza-uncommitted')});
	adds_none('set that is cancelled after it has sealed', [ q{SELECT key_vault.set('user_a', 'gemini', $1)}, before => [$timeout] ],
		[ q{SELECT public.wait('user_a', 'gemini', $1)}, before => [$timeout] ]);
	$blocker->run('ROLLBACK');
}

# The plain one is stored backwards, because shared buffers are looked into, too
$key = new_canary();
my $plain_key = new_canary();
$super->value(q{SELECT key_vault.set('user_given', 'gemini', $1)}, $key);
$super->query('INSERT INTO public.plain VALUES ($1, $2)', 'user_given', scalar reverse $plain_key);
adds_none('get', [ q{SELECT key_vault.get('user_given', 'gemini')}, key => $key ], [ q{SELECT public.give('user_given', 'gemini')}, key => $plain_key ]);
adds_none('require', [ q{SELECT key_vault.require('user_given', 'gemini')}, key => $key ],
	[ q{SELECT public.give('user_given', 'gemini')}, key => $plain_key ]);
adds_none('get, many times', [ q{SELECT count(key_vault.get('user_given', 'gemini')) FROM generate_series(1, 1000)}, key => $key ],
	[ q{SELECT count(public.give('user_given', 'gemini')) FROM generate_series(1, 1000)}, key => $plain_key ]);
adds_none('get that is cancelled among many',
	[ q{SELECT count(key_vault.get('user_given', 'gemini')) FROM generate_series(1, 10000000)}, key => $key, before => [$timeout] ],
	[ q{SELECT count(public.give('user_given', 'gemini')) FROM generate_series(1, 10000000)}, key => $plain_key, before => [$timeout] ]);
cmp_ok($found, '>', 10, 'the copies of plain functions were found');

done_testing();
