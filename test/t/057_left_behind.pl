# What injected SQL leaves behind in a session runs in the next user's request, and takes that
# user's key: unless the session is reset in between.  Both are shown, the theft without a
# reset and none with it, for a session that a pool hands on and through PgBouncer.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultAttack;
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_attacked('behind');
my %token = map { $_ => good_token($_, exp => time + 3000) } sort keys %keys;

# The driver prepares the statement of all requests once, by a name that everybody can guess.
my $name = '_pg3_0';
my $statement = q{SELECT key_vault.get(NULL, $1)};

# Each: what it is, the attacker's SQL, what of user_b's it gets without a reset.
my @leftovers = (
	[ 'a prepared statement of the driver\'s name',
		qq{DEALLOCATE ALL; PREPARE $name (text) AS SELECT k FROM key_vault.get(NULL, \$1) k, set_config('stash.loot', k, false)}, 'key' ],
	[ 'the same, which writes where all can read',
		qq{DEALLOCATE ALL; PREPARE $name (text) AS WITH k AS (SELECT key_vault.get(NULL, \$1) AS k), w AS (INSERT INTO guestbook SELECT k FROM k) SELECT k FROM k}, 'key' ],
	[ 'a cursor that is held', q{DECLARE loot CURSOR WITH HOLD FOR SELECT key_vault.get(NULL, 'gemini')}, 'nothing' ],
	[ 'a channel that is listened to', 'LISTEN loot', 'nothing' ],
	[ 'plans in the messages', q{SET debug_print_plan = on; SET client_min_messages = log}, 'nothing' ],
	[ 'a search_path', q{SET search_path = pg_temp, key_vault, public}, 'nothing' ],
	[ 'read-only transactions', 'SET default_transaction_read_only = on', 'nothing' ],
	[ 'a lock of the session', q{SELECT pg_advisory_lock(1)}, 'nothing' ]);
# With TEMPORARY on the database, which the docs take away
my @temporary = (
	[ 'a temporary view that shadows a table',
		q{CREATE TEMP VIEW posts AS SELECT set_config('stash.loot', key_vault.get(NULL, 'gemini'), false) AS title}, 'key' ],
	[ 'a temporary table with a default that looks keys up',
		q{CREATE TEMP TABLE guestbook (entry text, loot text DEFAULT set_config('stash.loot', key_vault.get(NULL, 'gemini'), false))}, 'key' ],
	[ 'a function in pg_temp behind a rule of a temporary view', q{CREATE FUNCTION pg_temp.take() RETURNS text LANGUAGE sql AS
		$$ SELECT set_config('stash.loot', key_vault.get(NULL, 'gemini'), false) $$; CREATE TEMP VIEW posts AS SELECT pg_temp.take() AS title}, 'key' ]);

# Whether the pooler follows what its clients have prepared.
my $is_followed = 0;

# The application's request, by a driver that thinks its statement is prepared unless the
# session is new to it.
sub serve
{
	my ($session, $user) = @_;
	$session->prepare($name, $statement) if $is_followed && !$session->{has_prepared}++;
	my $begin = sub { return ($session->query('BEGIN'), $session->query('SELECT key_vault.authenticate($1)', $token{$user})) };
	my @came = $begin->();
	my $result = $session->execute_prepared($name, 'gemini');
	if ($result->{error})
	{
		$session->query('ROLLBACK');
		push @came, $begin->(), $session->prepare($name, $statement);
		$result = $session->execute_prepared($name, 'gemini');
	}
	push @came, $result, $session->query('SELECT title FROM posts'), $session->query(q{INSERT INTO guestbook VALUES ('hello')});
	$session->query($came[-1]{error} ? 'ROLLBACK' : 'COMMIT');
	return ($result->{rows}[0][0], heard(@came));
}

# What the attacker gets of user_b's: in a session that reset() is called on when a request
# is over.
sub theft
{
	my ($session, $reset, $leftover) = @_;
	$node->safe_psql('postgres', 'TRUNCATE guestbook');
	serve($session, 'user_a');
	$reset->($session);
	my ($left) = (request($session, $token{user_a}, $leftover->[1]))[2];
	$reset->($session);
	my ($served, undef) = serve($session, 'user_b');
	$reset->($session);
	my $loot = look_for_loot($session);
	$reset->($session);
	return ($left->{error} ? $left->{error}{state} : 'left', $served, defined belongs_to_b($loot) ? 'key' : 'nothing');
}

# For one way to reach the server: open() gives a client, reset() ends a request.
sub tried
{
	my ($way, $open, $reset, $is_reset, @cases) = @_;
	for my $leftover (@cases)
	{
		my $session = $open->();
		my ($left, $served, $got) = theft($session, $reset, $leftover);
		is($left, 'left', "$way: $leftover->[0]");
		is($got, $is_reset ? 'nothing' : $leftover->[2], $is_reset ? '... gets nothing' : "... gets $leftover->[2] of user_b's, for nothing is reset");
		is($served, $keys{user_b}, '... and user_b is served') if $is_reset;
		$session->simple('DISCARD ALL');
		$session->close;
	}
	return;
}

sub nothing { return; }
sub discard { $_[0]->run('DISCARD ALL'); return; }
my $direct = sub { session($node, 'regress_kv_web') };

# --- Without TEMPORARY, which is what the docs ask for

tried('a pool without a reset', $direct, \&nothing, 0, @leftovers);
tried('a pool that resets', $direct, \&discard, 1, @leftovers);
for my $leftover (@temporary)
{
	my $session = $direct->();
	my (undef, $served, $got) = theft($session, \&nothing, $leftover);
	is("$served $got", "$keys{user_b} nothing", "without TEMPORARY on the database: $leftover->[0] cannot be made");
	is((theft($session, \&nothing, $leftover))[0], '42501', '... which is refused');
	$session->close;
}

# --- With it, which is PostgreSQL's default

$node->safe_psql('postgres', 'GRANT TEMPORARY ON DATABASE postgres TO PUBLIC');
tried('a pool without a reset, TEMPORARY granted', $direct, \&nothing, 0, @temporary);
tried('a pool that resets, TEMPORARY granted', $direct, \&discard, 1, @temporary);

# --- PgBouncer: it does the resetting, and both users' clients share one connection

SKIP:
{
	my @discard = ('server_reset_query = DISCARD ALL');
	my %poolers = (
		'PgBouncer in transaction mode as it comes' => [ 0, 'transaction', @discard ],
		'PgBouncer in transaction mode, server_reset_query_always = 1' => [ 1, 'transaction', @discard, 'server_reset_query_always = 1' ]);
	for my $way (sort keys %poolers)
	{
		my ($is_reset, $mode, @lines) = @{ $poolers{$way} };
		my $at = pooler($node, $mode, @lines);
		skip 'pgbouncer is not installed', 1 unless defined $at;
		tried($way, sub { session($node, 'regress_kv_web', %$at) }, \&nothing, $is_reset, @leftovers, @temporary);
	}

	# It prepares what its clients prepare by names of its own, which the session shows
	if (pooler_follows_statements())
	{
		$is_followed = 1;
		my @named = ([ q{a prepared statement of the pooler's name}, q{DO $do$ DECLARE n text; BEGIN
			FOR n IN SELECT name FROM pg_prepared_statements LOOP
				EXECUTE format('DEALLOCATE %I', n);
				EXECUTE format('PREPARE %I (text) AS SELECT k FROM key_vault.get(NULL, $1) k, set_config(''stash.loot'', k, false)', n);
			END LOOP;
		END $do$}, 'key' ]);
		for my $is_reset (0, 1)
		{
			my $at = pooler($node, 'transaction', @discard, 'max_prepared_statements = 100', $is_reset ? 'server_reset_query_always = 1' : ());
			tried('PgBouncer that follows prepared statements' . ($is_reset ? ', server_reset_query_always = 1' : ''),
				sub { session($node, 'regress_kv_web', %$at) }, \&nothing, $is_reset, @named, @leftovers[2 .. $#leftovers]);
		}
		$is_followed = 0;
	}

	# In session mode a client has its connection until it goes, and each of the two is one client
	my %session_poolers = ('PgBouncer in session mode, DISCARD ALL' => [ 1, @discard ], 'PgBouncer in session mode without a reset query' => [ 0, 'server_reset_query =' ]);
	for my $way (sort keys %session_poolers)
	{
		my ($is_reset, @lines) = @{ $session_poolers{$way} };
		my $at = pooler($node, 'session', @lines);
		for my $leftover (@leftovers, @temporary)
		{
			my $connect = sub { session($node, 'regress_kv_web', %$at) };
			my ($attacker, $client, $thief);
			$node->safe_psql('postgres', 'TRUNCATE guestbook');
			$attacker = $connect->();
			serve($attacker, 'user_a');
			request($attacker, $token{user_a}, $leftover->[1]);
			$attacker->close;
			$client = $connect->();
			my ($served) = serve($client, 'user_b');
			$client->close;
			$thief = $connect->();
			my $got = defined belongs_to_b(look_for_loot($thief)) ? 'key' : 'nothing';
			is($got, $is_reset ? 'nothing' : $leftover->[2], "$way: $leftover->[0] gets $got");
			is($served, $keys{user_b}, '... and user_b is served') if $is_reset;
			$thief->simple('DISCARD ALL');
			$thief->close;
		}
	}
}

done_testing();
