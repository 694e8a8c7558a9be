# PgBouncer in transaction mode: clients of two users share the server's sessions, and
# 1,000 interleaved transactions never see the other's key.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use IO::Select;
use KeyVaultClient;
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($bouncer) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin';
plan skip_all => 'pgbouncer is not installed' unless defined $bouncer;

my $node = new_vault('pooled');
add_role($node, 'regress_kv_service', 'service');
my %keys = map { $_ => "AIza-of-$_" } qw(user_a user_b);
$node->safe_psql('postgres', "SELECT key_vault.set('$_', 'gemini', '$keys{$_}')") for sort keys %keys;

# --- The pooler: two server connections for all clients

my $folder = PostgreSQL::Test::Utils::tempdir_short;
my $port = PostgreSQL::Test::Cluster::get_free_port();
append_to_file("$folder/users", qq{"regress_kv_service" ""\n});
append_to_file("$folder/pgbouncer.ini", <<"END");
[databases]
postgres = host=@{[ $node->host ]} port=@{[ $node->port ]}
[pgbouncer]
listen_addr =
listen_port = $port
unix_socket_dir = $folder
auth_type = trust
auth_file = $folder/users
pool_mode = transaction
default_pool_size = 2
max_client_conn = 100
logfile = $folder/log
pidfile = $folder/pid
END

my $pid = fork // die "fork: $!";
if ($pid == 0)
{
	open STDOUT, '>', "$folder/out";
	open STDERR, '>&', \*STDOUT;
	exec $bouncer, "$folder/pgbouncer.ini" or die "exec: $!";
}

END
{
	my $status = $?;
	if ($pid) { kill 'INT', $pid; waitpid $pid, 0; }
	$? = $status;
}

sub client
{
	return KeyVaultClient->connect(host => $folder, port => $port, user => 'regress_kv_service', dbname => 'postgres');
}

ok(listens_soon("$folder/.s.PGSQL.$port"), 'pgbouncer runs') or BAIL_OUT(slurp_file("$folder/out"));

# --- Transactions of many clients, a statement of one and a statement of another

# What a client does in one transaction: [SQL, parameters, what must come of it].
sub local_transaction
{
	my ($user, $end) = @_;
	my $other = $user eq 'user_a' ? 'user_b' : 'user_a';
	my $fails = $end eq 'ROLLBACK after an error';
	return [ [ 'BEGIN' ],
		[ q{SELECT set_config('key_vault.user_id', $1, true)}, [$user] ],
		[ q{SELECT key_vault.get(NULL, 'gemini')}, [], $keys{$user} ],
		[ q{SELECT key_vault.get($1, 'gemini')}, [$user], $keys{$user} ],
		[ 'SELECT string_agg(DISTINCT user_id, $1) FROM key_vault.secrets', [','], $user ],
		$fails ? [ q{SELECT key_vault.get($1, 'gemini')}, [$other], '42501' ] :
		  [ 'SELECT key_vault.current_user_id()', [], $user ],
		[ $fails ? 'ROLLBACK' : $end ] ];
}

# By name and without an identity of its own, as the service level allows.
sub named_call
{
	my ($user) = @_;
	return [ [ q{SELECT key_vault.get($1, 'gemini')}, [$user], "$keys{$user} or 42501" ] ];
}

# Runs transactions on all clients at once, each as fast as it gets a server
# connection; next_for says what a client does next.  Counts what came.
sub interleave
{
	my ($clients, $next_for) = @_;
	my (%todo, %waiting, %count);
	my $select = IO::Select->new(map { $_->socket } @$clients);
	my $advance = sub {
		my ($client) = @_;
		$todo{$client} = $next_for->($client) unless $todo{$client} && @{ $todo{$client} };
		my $step = $waiting{$client} = $todo{$client} ? shift @{ $todo{$client} } : undef;
		$client->send($step->[0], @{ $step->[1] // [] }) if $step;
	};
	$advance->($_) for @$clients;
	while (grep { $waiting{$_} } @$clients)
	{
		$select->can_read(10) or die 'nothing comes any more';
		for my $client (grep { $waiting{$_} } @$clients)
		{
			my $result = $client->ready or next;
			my $step = $waiting{$client};
			my $got = $result->{error} ? $result->{error}{state} : $result->{rows}[0] ? $result->{rows}[0][0] // 'NULL' : 'no row';
			$count{"$step->[2], got $got"}++ if defined $step->[2];
			$advance->($client);
		}
	}
	return \%count;
}

my @clients = map { client() } 1 .. 8;
my %user_of = map { $clients[$_] => $_ % 2 ? 'user_b' : 'user_a' } 0 .. $#clients;
my @ends = ('COMMIT', 'COMMIT', 'ROLLBACK', 'ROLLBACK after an error');
my $done = 0;
my $count = interleave(\@clients, sub {
	my ($client) = @_;
	return undef if $done++ >= 1000;
	return local_transaction($user_of{$client}, $ends[ rand @ends ]);
});
my %errors = map { $_ => delete $count->{"$_, got $_"} } (map { ($keys{$_}, $_) } keys %keys), '42501';
is_deeply($count, {}, '1,000 interleaved transactions with SET LOCAL: nobody got what is not theirs');
is($errors{ $keys{user_a} } + $errors{ $keys{user_b} }, 2000, 'each got its own key both times');
cmp_ok($errors{ $keys{$_} }, '>', 400, "$_ had a share") for sort keys %keys;
cmp_ok($errors{'42501'}, '>', 100, 'and the other\'s key was refused');
is($node->safe_psql('postgres',
	q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'regress_kv_service'}), 2, 'on two server connections');

# --- Calls by name, without an identity

$done = 0;
$count = interleave(\@clients, sub { return $done++ >= 400 ? undef : named_call($user_of{ $_[0] }) });
is_deeply([ sort keys %$count ], [ map { "$keys{$_} or 42501, got $keys{$_}" } sort keys %keys ],
	'calls that name the user, without an identity: each gets the key of the user that it names');

# --- One client sets the identity for its session, which a pooler does not have: whoever
# gets that server connection next has the identity, too.  A call that names its user is
# refused there; it is never answered with another's key.

$done = 0;
$count = interleave(\@clients, sub {
	my ($client) = @_;
	return undef if $done++ >= 1000;
	return [ [ q{SET key_vault.user_id = 'user_a'} ] ] if $done == 100;
	return rand() < 0.5 ? named_call($user_of{$client}) : local_transaction($user_of{$client}, $ends[ rand @ends ]);
});
my $refused = delete $count->{"$keys{user_b} or 42501, got 42501"};
cmp_ok($refused, '>', 0, 'a session-level SET among them: calls that name another user are refused on its server connection');
delete $count->{"$keys{$_} or 42501, got $keys{$_}"} for keys %keys;
delete $count->{"$_, got $_"} for (map { ($keys{$_}, $_) } keys %keys), '42501';
is_deeply($count, {}, 'a session-level SET among them: nobody got what is not theirs');

# The same, one by one on a single server connection
{
	my @both = (client(), client());
	$_->run('BEGIN', 'RESET key_vault.user_id') for @both;
	$_->run('COMMIT') for @both;
	my ($one, $two) = (client(), client());
	$two->run('BEGIN');    # leaves one server connection for the rest
	my $three = client();
	$one->run(q{SET key_vault.user_id = 'user_a'});
	is($three->outcome('SELECT key_vault.current_user_id()'), 'user_a',
		'what a session-level SET does: the identity is the next client\'s, too');
	is($three->outcome(q{SELECT key_vault.get('user_b', 'gemini')}), '42501', 'who is refused the user that it names');
	is($three->outcome(q{SELECT key_vault.get(NULL, 'gemini')}), $keys{user_a},
		'and who names nobody gets the key of the identity: SET LOCAL is the way');
	$three->run('BEGIN', q{SET LOCAL key_vault.user_id = 'user_b'});
	is($three->outcome(q{SELECT key_vault.get(NULL, 'gemini')}), $keys{user_b}, 'SET LOCAL wins over it');
	$three->run('COMMIT', 'RESET key_vault.user_id');
	is($three->outcome(q{SELECT key_vault.get('user_b', 'gemini')}), $keys{user_b}, 'RESET ends it');
	$two->run('ROLLBACK');
}

# --- A client that goes away in the middle of a transaction leaves nothing behind

for (1 .. 4)
{
	my $leaver = client();
	$leaver->run('BEGIN', q{SET LOCAL key_vault.user_id = 'user_a'});
	$leaver->value(q{SELECT key_vault.set(NULL, 'gemini', $1)}, 'AIza-never-committed');
	CORE::close($leaver->socket);
}
my $after = client();
is($after->outcome('SELECT key_vault.current_user_id()'), 'NULL', 'a client that went away: no identity is left') for 1 .. 4;
is($after->outcome(q{SELECT key_vault.get('user_a', 'gemini')}), $keys{user_a}, 'a client that went away: what it set is not stored');

$_->close for @clients, $after;
done_testing();
