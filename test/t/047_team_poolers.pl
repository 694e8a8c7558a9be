# Teams through PgBouncer: requests of several teams' members, and of users without a team, share
# one connection to the server. Each gets its own key, or its own team's, and no other.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultAttack;
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_attacked('team_poolers');
my @discard = ('server_reset_query = DISCARD ALL', 'server_reset_query_always = 1');
plan skip_all => 'pgbouncer is not installed' unless defined(my $probe = pooler($node, 'transaction', @discard));

login_issuer()->trusted_by($node, team_claim => q{'org'});
$node->safe_psql('postgres', q{
	SELECT key_vault.set('team:' || t, 'exa', 'key-of-team-' || t) FROM unnest('{acme,zeta}'::text[]) t;
	SELECT key_vault.set('own', 'exa', 'key-of-own')});

# Who asks: the user, the team or none, what get gives, and where it is from
my @who = (
	[ 'ada', 'acme', 'key-of-team-acme', 'team' ],
	[ 'bob', 'acme', 'key-of-team-acme', 'team' ],
	[ 'zoe', 'zeta', 'key-of-team-zeta', 'team' ],
	[ 'own', 'acme', 'key-of-own', 'user' ],
	[ 'nil', undef, undef, undef ],
	[ 'out', 'none', undef, undef ]);
my %token = map { $_->[0] => good_token($_->[0], defined $_->[1] ? (org => $_->[1]) : ()) } @who;

# What a request asks once it has an identity, and how it begins: by a token, or at level service
my $ask = q{SELECT key_vault.current_user_id(), key_vault.current_team_id(), key_vault.get(NULL, 'exa'), key_vault.source(NULL, 'exa'),
	(SELECT api_key FROM key_vault.lookup(NULL, 'exa')), key_vault.get_all(NULL) ->> 'exa', pg_backend_pid()};
my %begin = (
	regress_kv_web => sub { my ($who) = @_; return [ 'SELECT key_vault.authenticate($1)', $token{ $who->[0] } ]; },
	regress_kv_service => sub {
		my ($who) = @_;
		return [ q{SELECT set_config('key_vault.user_id', $1, true), set_config('key_vault.team_id', $2, true)}, $who->[0], $who->[1] // '' ];
	});

sub words { return join ' ', map { $_ // 'NULL' } @_; }
sub expected { my ($who) = @_; return words(@$who[ 0 .. 3 ], @$who[ 2, 2 ]); }

# Requests, each of a client's own transaction; how it ends is different each time.
sub requests_are_served
{
	my ($way, $role, $client_of) = @_;
	my (@wrong, %pids);
	my @ends = ('COMMIT', 'ROLLBACK', 'SELECT 1/0');
	for my $n (0 .. 71)
	{
		my $who = $who[ ($n * 7 + int($n / 6)) % @who ];
		my $client = $client_of->($who);
		$client->query('BEGIN');
		$client->query(@{ $begin{$role}->($who) });
		my @answer = @{ $client->query($ask)->{rows}[0] // [] };
		$pids{ pop @answer // 'none' }++;
		push @wrong, words(@answer) . ' for ' . expected($who) if words(@answer) ne expected($who);
		$client->query($ends[ $n % @ends ]);
		$client->query('ROLLBACK') if $n % @ends == 2;
		my $after = $client->query('SELECT key_vault.current_user_id(), key_vault.current_team_id()')->{rows}[0];
		push @wrong, words(@$after) . ' after a request' if grep { defined } @$after;
	}
	is_deeply(\@wrong, [], "$way, $role: nobody gets another's, or another team's");
	is(scalar keys %pids, 1, '... over one connection to the server');
	return;
}

for my $pool ([ 'transaction', @discard ], [ 'transaction', 'server_reset_query =' ], [ 'session', @discard ])
{
	my ($mode, @lines) = @$pool;
	my $at = pooler($node, $mode, @lines);
	for my $role (sort keys %begin)
	{
		my %clients;
		my $last;
		requests_are_served("$mode mode, $lines[0]", $role, $mode eq 'transaction' ?
				sub { return $clients{ $_[0][0] } //= session($node, $role, %$at); } :
				sub { $last->close if $last; return $last = session($node, $role, %$at); });
		$_->close for values %clients, $last // ();
	}
}

# --- All ask at once, and wait for the one connection

{
	my $at = pooler($node, 'transaction', @discard);
	my %clients = map { $_->[0] => session($node, 'regress_kv_web', %$at) } @who;
	my @wrong;
	for my $round (1 .. 20)
	{
		$clients{ $_->[0] }->send(q{SELECT concat_ws(' ', key_vault.current_user_id(), key_vault.current_team_id(), key_vault.get(NULL, 'exa')) FROM key_vault.authenticate($1)}, $token{ $_->[0] }) for @who;
		for my $who (@who)
		{
			my $result = $clients{ $who->[0] }->receive;
			my $expected = join ' ', grep { defined } @$who[ 0 .. 2 ];
			push @wrong, ($result->{rows}[0][0] // 'nothing') . " for $expected" if ($result->{rows}[0][0] // '') ne $expected;
		}
	}
	is_deeply(\@wrong, [], 'requests that wait for each other: each gets its own');
	$_->close for values %clients;
}

# --- The control: a team that is set for the session crosses, where nothing is reset

for my $is_reset (0, 1)
{
	for my $mode (qw(transaction session))
	{
		my $at = pooler($node, $mode, $is_reset ? @discard : 'server_reset_query =');
		my $one = session($node, 'regress_kv_service', %$at);
		$one->run(q{SELECT set_config('key_vault.team_id', 'acme', false)});
		$one->close if $mode eq 'session';
		my $other = session($node, 'regress_kv_service', %$at);
		outcome_is($other, $is_reset ? 'NULL' : 'key-of-team-acme', "$mode mode: a team set for the session, " . ($is_reset ? 'reset' : 'not reset'), q{SELECT key_vault.get('nil', 'exa')});
		$other->close;
		$one->close if $mode eq 'transaction';
	}
}

done_testing();
