# What another session changes while this one is reading: maintenance goes unnoticed,
# and rights, memberships and policies take effect at the next statement.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use Test::More;
use Time::HiRes qw(time);

my $rounds = $ENV{KV_LONG} ? 40 : 3;

my $node = new_vault('changes');
add_role($node, 'regress_kv_tenant', 'user', 'user_a');
add_role($node, 'regress_kv_service', 'service');
add_role($node, 'regress_kv_member', undef, 'user_a');
$node->safe_psql('postgres', q{
	SELECT key_vault.set('user_a', 'gemini', 'AIza-of-user_a');
	SELECT key_vault.set('user_b', 'gemini', 'AIza-of-user_b');
	SELECT count(key_vault.set('user_' || n, 'exa', 'exa-key-' || n)) FROM generate_series(1, 500) n;
	CREATE ROLE regress_kv_group;
	SELECT key_vault.grant_access('regress_kv_group', 'user')});

my $super = session($node);
my $mine = q{SELECT key_vault.get(NULL, 'gemini')};
my $of_a = q{SELECT key_vault.get('user_a', 'gemini')};
my $of_b = q{SELECT key_vault.get('user_b', 'gemini')};

# --- Maintenance while sessions read without a pause

my @readers = map { [ session($node, 'regress_kv_tenant'), $mine, 'AIza-of-user_a' ],
	[ session($node, 'regress_kv_service'), $of_b, 'AIza-of-user_b' ],
	[ session($node, 'regress_kv_service', options => '-c default_transaction_isolation=repeatable\ read'), $of_b, 'AIza-of-user_b', 'old snapshot' ] } 1 .. 2;
# what reads more than one row
push @readers, [ session($node, 'regress_kv_tenant'), 'SELECT key_vault.get_all(NULL)', '{"gemini": "AIza-of-user_a"}' ],
	[ session($node, 'regress_kv_tenant'), q{SELECT string_agg(concat_ws(' ', provider, version, status), ',') FROM key_vault.list(NULL)}, 'gemini 1 active' ],
	[ session($node, 'regress_kv_service'), q{SELECT string_agg(version::text, ',') FROM key_vault.versions('user_b', 'gemini')}, '1' ],
	# and one statement that reads row after row
	[ session($node, 'regress_kv_service'), q{SELECT count(DISTINCT key_vault.get('user_' || n, 'exa')) FROM generate_series(1, 500) n}, '500' ];

# Runs a statement while the readers read; how many reads there were, and what went wrong.
sub read_during
{
	my ($statement) = @_;
	my ($reads, @wrong) = (0);
	# a rewrite by ALTER TABLE hides every row from older snapshots, in any table
	my @readers = grep { $statement !~ /^ALTER TABLE.*(LOGGED|clock_timestamp)/ || !$_->[3] } @readers;
	my $select = IO::Select->new($super->socket, map { $_->[0]->socket } @readers);
	$_->[0]->send($_->[1]) for @readers;
	$super->send($statement);
	my ($finished, %busy) = (0, map { $_->[0] => 1 } @readers);
	until ($finished && !grep { $_ } values %busy)
	{
		$select->can_read(60) or die "nothing comes any more during $statement";
		if (!$finished && (my $result = $super->ready))
		{
			push @wrong, "the statement: $result->{error}{message}" if $result->{error};
			$finished = 1;
		}
		for my $reader (@readers)
		{
			my ($session, $sql, $key) = @$reader;
			next unless $busy{$session};
			my $result = $session->ready or next;
			$reads++;
			my $got = $result->{error} ? "$result->{error}{state} $result->{error}{message}" : $result->{rows}[0][0] // 'NULL';
			push @wrong, $got if $got ne $key;
			$busy{$session} = !$finished;
			$session->send($sql) if $busy{$session};
		}
	}
	return ($reads, \@wrong);
}

for my $statement ('REINDEX TABLE CONCURRENTLY key_vault_data.secrets', 'REINDEX INDEX CONCURRENTLY key_vault_data.secrets_pkey',
	'REINDEX TABLE key_vault_data.secrets', 'VACUUM FULL key_vault_data.secrets', 'VACUUM (FREEZE) key_vault_data.secrets', 'ANALYZE key_vault_data.secrets',
	'CLUSTER key_vault_data.secrets USING secrets_pkey', 'ALTER TABLE key_vault_data.secrets SET (fillfactor = 90)',
	'ALTER TABLE key_vault_data.secrets SET UNLOGGED', 'ALTER TABLE key_vault_data.secrets SET LOGGED',
	'ALTER TABLE key_vault_data.secrets ADD COLUMN note text', q{ALTER TABLE key_vault_data.secrets ADD COLUMN stamp timestamptz DEFAULT clock_timestamp()},
	'ALTER TABLE key_vault_data.secrets DROP COLUMN note', 'ALTER TABLE key_vault_data.secrets DROP COLUMN stamp',
	'ALTER TABLE key_vault_data.secrets ADD CONSTRAINT extra CHECK (version < 100)', 'ALTER TABLE key_vault_data.secrets DROP CONSTRAINT extra',
	'CREATE INDEX CONCURRENTLY extra ON key_vault_data.secrets (root_key_id)', 'DROP INDEX CONCURRENTLY key_vault_data.extra',
	'CREATE STATISTICS key_vault_data.extra ON user_id, provider FROM key_vault_data.secrets', 'DROP STATISTICS key_vault_data.extra',
	'CREATE POLICY extra ON key_vault_data.secrets AS RESTRICTIVE USING (version > 0)', 'DROP POLICY extra ON key_vault_data.secrets',
	'GRANT SELECT ON key_vault_data.secrets TO regress_kv_group', 'ALTER TABLE key_vault_data.secrets FORCE ROW LEVEL SECURITY',
	'ALTER TABLE key_vault_data.secrets NO FORCE ROW LEVEL SECURITY', q{SELECT key_vault.set('user_c', 'gemini', 'AIza-of-user_c')},
	q{SELECT key_vault.create_root_key()}, q{SELECT key_vault.activate_root_key(id) FROM key_vault.root_keys WHERE state = 'standby' ORDER BY id LIMIT 1},
	q{SELECT key_vault.grant_access('regress_kv_tenant', 'user')}, 'DISCARD PLANS')
{
	my ($reads, @wrong);
	for (1 .. ($statement =~ /^(REINDEX|VACUUM|CLUSTER|ANALYZE)/ ? $rounds : 1))
	{
		my ($count, $wrong) = read_during($statement);
		$reads += $count;
		push @wrong, @$wrong;
	}
	is_deeply(\@wrong, [], "reads during: $statement");
}

# The two ways to read, in sessions that go on: what is not as shipped, and is again
for my $change (
	[ 'a restrictive policy', 'CREATE POLICY extra ON key_vault_data.secrets AS RESTRICTIVE USING (version > 0)', 'DROP POLICY extra ON key_vault_data.secrets' ],
	[ 'a trigger', 'CREATE TRIGGER extra BEFORE UPDATE ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
		'DROP TRIGGER extra ON key_vault_data.secrets' ],
	[ 'a child', 'CREATE TABLE public.child () INHERITS (key_vault_data.secrets)', 'DROP TABLE public.child; ANALYZE key_vault_data.secrets' ],
	[ 'a rule', 'CREATE RULE extra AS ON UPDATE TO key_vault_data.secrets DO ALSO NOTHING', 'DROP RULE extra ON key_vault_data.secrets' ],
	[ 'no primary key', 'ALTER TABLE key_vault_data.secrets DROP CONSTRAINT secrets_pkey',
		'ALTER TABLE key_vault_data.secrets ADD PRIMARY KEY (user_id, provider, label, version)' ])
{
	my ($name, $make, $unmake) = @$change;
	for my $statement ($make, $unmake)
	{
		$super->run($statement);
		my $when = $statement eq $make ? 'with' : 'no longer with';
		is($_->[0]->outcome($_->[1]), $_->[2], "$when $name: $_->[1]") for @readers[ 0 .. 2, -4 .. -1 ];
		is($readers[0][0]->outcome($of_b), '42501', "$when $name: get of another's key");
		is($readers[0][0]->outcome('SELECT count(*) FROM key_vault.secrets'), 1, "$when $name: rows");
	}
}

# --- Rights, one session changing them and another one reading

my $tenant = session($node, 'regress_kv_tenant');
my $service = session($node, 'regress_kv_service');
my $member = session($node, 'regress_kv_member');

# change(name, session, statement, query, before, after): a session asks before and after
# another one changes something.
sub change
{
	my ($name, $session, $statement, $sql, $before, $after) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	outcome_is($session, $before, "$name: before", $sql);
	$super->run($statement);
	outcome_is($session, $after, "$name: after", $sql);
	$session->run('BEGIN');
	outcome_is($session, $after, "$name: after, in a transaction block", $sql);
	$session->run('ROLLBACK');
	return;
}

my @changes = (
	[ 'REVOKE SELECT', $tenant, 'REVOKE SELECT ON key_vault_data.secrets FROM regress_kv_tenant',
		'GRANT SELECT ON key_vault_data.secrets TO regress_kv_tenant', $mine, 'AIza-of-user_a', '42501' ],
	[ 'REVOKE EXECUTE', $tenant, 'REVOKE EXECUTE ON FUNCTION key_vault.get FROM regress_kv_tenant',
		'GRANT EXECUTE ON FUNCTION key_vault.get TO regress_kv_tenant', $mine, 'AIza-of-user_a', '42501' ],
	[ 'REVOKE EXECUTE on what the policy calls', $tenant, 'REVOKE EXECUTE ON FUNCTION key_vault.current_user_id FROM regress_kv_tenant',
		'GRANT EXECUTE ON FUNCTION key_vault.current_user_id TO regress_kv_tenant', $mine, 'AIza-of-user_a', '42501' ],
	[ 'REVOKE USAGE on the schema', $tenant, 'REVOKE USAGE ON SCHEMA key_vault FROM regress_kv_tenant',
		'GRANT USAGE ON SCHEMA key_vault TO regress_kv_tenant', $mine, 'AIza-of-user_a', '42501' ],
	[ 'revoke_access', $tenant, q{SELECT key_vault.revoke_access('regress_kv_tenant')},
		q{SELECT key_vault.grant_access('regress_kv_tenant', 'user')}, $mine, 'AIza-of-user_a', '42501' ],
	[ 'REVOKE SET', $service, 'REVOKE SET ON PARAMETER key_vault.user_id FROM regress_kv_service',
		'GRANT SET ON PARAMETER key_vault.user_id TO regress_kv_service', $of_b, 'AIza-of-user_b', '42501' ],
	[ 'the level service becomes user', $service, q{SELECT key_vault.grant_access('regress_kv_service', 'user')},
		q{SELECT key_vault.grant_access('regress_kv_service', 'service')}, $of_b, 'AIza-of-user_b', '42501' ],
	[ 'a policy', $tenant, 'CREATE POLICY none ON key_vault_data.secrets AS RESTRICTIVE USING (false)',
		'DROP POLICY none ON key_vault_data.secrets', $mine, 'AIza-of-user_a', 'NULL' ],
	[ 'the policy that there is', $tenant, q{ALTER POLICY own_rows ON key_vault_data.secrets USING (user_id = key_vault.current_user_id() AND version > 1)},
		'ALTER POLICY own_rows ON key_vault_data.secrets USING (user_id = key_vault.current_user_id())', $mine, 'AIza-of-user_a', 'NULL' ],
	[ 'no policy', $tenant, 'DROP POLICY own_rows ON key_vault_data.secrets',
		'CREATE POLICY own_rows ON key_vault_data.secrets USING (user_id = key_vault.current_user_id())', $mine, 'AIza-of-user_a', 'NULL' ],
	[ 'a policy for other roles', $tenant, 'ALTER POLICY own_rows ON key_vault_data.secrets TO regress_kv_service',
		'ALTER POLICY own_rows ON key_vault_data.secrets TO PUBLIC', $mine, 'AIza-of-user_a', 'NULL' ]);

for (@changes)
{
	my ($name, $session, $take, $give, $sql, $with, $without) = @$_;
	change($name, $session, $take, $sql, $with, $without);
	change("$name, undone", $session, $give, $sql, $without, $with);
}

# Rights that come by membership
$super->run('GRANT regress_kv_group TO regress_kv_member');
change('a membership ends', $member, 'REVOKE regress_kv_group FROM regress_kv_member', $mine, 'AIza-of-user_a', '42501');
change('a membership begins', $member, 'GRANT regress_kv_group TO regress_kv_member', $mine, '42501', 'AIza-of-user_a');
change('the group loses its level', $member, q{SELECT key_vault.revoke_access('regress_kv_group')}, $mine, 'AIza-of-user_a', '42501');
change('the group gets a level', $member, q{SELECT key_vault.grant_access('regress_kv_group', 'user')}, $mine, '42501', 'AIza-of-user_a');

# One right by membership, all others of its own
$super->run(q{SELECT key_vault.grant_access('regress_kv_member', 'user')},
	'REVOKE SELECT ON key_vault_data.secrets FROM regress_kv_member');
change('a membership with SELECT ends', $member, 'REVOKE regress_kv_group FROM regress_kv_member', $mine, 'AIza-of-user_a', '42501');
change('a role without SELECT becomes a superuser', $member, 'ALTER ROLE regress_kv_member SUPERUSER', $mine, '42501', 'AIza-of-user_a');
change('and is one no longer', $member, 'ALTER ROLE regress_kv_member NOSUPERUSER', $mine, 'AIza-of-user_a', '42501');
change('a membership with SELECT begins', $member, 'GRANT regress_kv_group TO regress_kv_member', $mine, '42501', 'AIza-of-user_a');

$super->run('ALTER ROLE regress_kv_member RESET key_vault.user_id', q{SELECT key_vault.grant_access('regress_kv_member', 'user')});
$member = session($node, 'regress_kv_member');
change('the group becomes a service', $member, q{SELECT key_vault.grant_access('regress_kv_group', 'service')}, $of_b, '42501', 'AIza-of-user_b');
change('a membership of a service ends', $member, 'REVOKE regress_kv_group FROM regress_kv_member', $of_b, 'AIza-of-user_b', '42501');
change('a role becomes a superuser', $member, 'ALTER ROLE regress_kv_member SUPERUSER', $of_b, '42501', 'AIza-of-user_b');
change('and is one no longer', $member, 'ALTER ROLE regress_kv_member NOSUPERUSER', $of_b, 'AIza-of-user_b', '42501');

# A session that becomes a role, and the role changes
{
	my $session = session($node);
	$session->run(q{SET SESSION AUTHORIZATION regress_kv_member});
	change('after SET SESSION AUTHORIZATION, a membership begins', $session, 'GRANT regress_kv_group TO regress_kv_member',
		$of_b, '42501', 'AIza-of-user_b');
	change('after SET SESSION AUTHORIZATION, it ends', $session, 'REVOKE regress_kv_group FROM regress_kv_member',
		$of_b, 'AIza-of-user_b', '42501');
}

# What the policy calls
change('another function in the policy', $tenant, q{CREATE FUNCTION public.nobody() RETURNS text LANGUAGE sql STABLE AS 'SELECT NULL::text';
	ALTER POLICY own_rows ON key_vault_data.secrets USING (user_id = public.nobody())}, $mine, 'AIza-of-user_a', 'NULL');
change('and another body of it', $tenant, q{CREATE OR REPLACE FUNCTION public.nobody() RETURNS text LANGUAGE sql STABLE AS
	$$ SELECT key_vault.current_user_id() $$}, $mine, 'NULL', 'AIza-of-user_a');
change('and one that may not be called', $tenant, 'REVOKE EXECUTE ON FUNCTION public.nobody FROM PUBLIC', $mine, 'AIza-of-user_a', '42501');
change('and the policy as it was', $tenant, 'ALTER POLICY own_rows ON key_vault_data.secrets USING (user_id = key_vault.current_user_id())',
	$mine, '42501', 'AIza-of-user_a');

# Row-level security, for who reads the rows and who calls get
$super->run('GRANT regress_kv_group TO regress_kv_member', q{SELECT key_vault.grant_access('regress_kv_group', 'user')});
change('BYPASSRLS', $member, 'ALTER ROLE regress_kv_member BYPASSRLS', 'SELECT count(*) > 0 FROM key_vault.secrets', 'f', 't');
outcome_is($member, '42501', 'BYPASSRLS: get of another user\'s key by function', $of_b);
change('NOBYPASSRLS', $member, 'ALTER ROLE regress_kv_member NOBYPASSRLS', 'SELECT count(*) > 0 FROM key_vault.secrets', 't', 'f');

# A session that took on a role
{
	$super->run('GRANT regress_kv_tenant TO regress_kv_service');
	my $session = session($node, 'regress_kv_service');
	$session->run(q{SET key_vault.user_id = 'user_b'}, 'SET ROLE regress_kv_tenant');
	change('the role that a session took on loses its rights', $session, 'REVOKE SELECT ON key_vault_data.secrets FROM regress_kv_tenant',
		$mine, 'AIza-of-user_b', '42501');
	$session->run('RESET ROLE');
	outcome_is($session, 'AIza-of-user_b', 'and its own rights are another matter', $mine);
	$session->run('SET ROLE regress_kv_tenant');
	outcome_is($session, '42501', 'which are not those of the role', $mine);
	$session->run('RESET ROLE');
	$super->run('GRANT SELECT ON key_vault_data.secrets TO regress_kv_tenant');
	$session->run('SET ROLE regress_kv_tenant');
	outcome_is($session, 'AIza-of-user_b', 'and they come back', $mine);
}

# row_security off, by the session or for all of a database: no call minds
{
	my $session = session($node, 'regress_kv_tenant');
	outcome_is($session, 'AIza-of-user_a', 'row_security on', $mine);
	$session->run('SET row_security = off');
	outcome_is($session, 'AIza-of-user_a', 'row_security off', $mine);
	outcome_is($session, '42501', 'row_security off: a SELECT of the rows', 'SELECT count(*) FROM key_vault.secrets');
	$super->run('ALTER DATABASE postgres SET row_security = off');
	outcome_is(session($node, 'regress_kv_tenant'), 'AIza-of-user_a', 'row_security off for the database', $mine);
	outcome_is(session($node, 'regress_kv_tenant'), '42501', 'row_security off for the database: another\'s key', $of_b);
	$super->run('ALTER DATABASE postgres RESET row_security');
}

# --- What others commit is seen by the next statement

{
	my $session = session($node, 'regress_kv_tenant');
	$session->run('BEGIN');
	outcome_is($session, 'AIza-of-user_a', 'READ COMMITTED: before', $mine);
	$super->value(q{SELECT key_vault.set('user_a', 'gemini', $1)}, 'AIza-new');
	outcome_is($session, 'AIza-new', 'READ COMMITTED: what another session committed', $mine);
	$session->run('COMMIT', 'BEGIN ISOLATION LEVEL REPEATABLE READ');
	outcome_is($session, 'AIza-new', 'REPEATABLE READ: before', $mine);
	$super->value(q{SELECT key_vault.set('user_a', 'gemini', $1)}, 'AIza-newer');
	outcome_is($session, 'AIza-new', 'REPEATABLE READ: what another session committed is not seen', $mine);
	outcome_is($session, '40001', 'REPEATABLE READ: set over it', q{SELECT key_vault.set(NULL, 'gemini', $1)}, 'AIza-newest');
	$session->run('ROLLBACK');
	outcome_is($session, 'AIza-newer', 'after it', $mine);
	$super->value(q{SELECT key_vault.delete('user_a', 'gemini')});
	outcome_is($session, 'NULL', 'a deleted key', $mine);
}

# --- The extension goes, and comes back

{
	my $session = session($node, 'regress_kv_service');
	outcome_is($session, 'AIza-of-user_b', 'before DROP EXTENSION', $of_b);
	$super->run('DROP EXTENSION key_vault');
	outcome_is($session, '3F000', 'DROP EXTENSION: get', $of_b);
	install_vault($node, 'postgres');
	$super->run(q{SELECT key_vault.grant_access('regress_kv_service', 'service')},
		q{SELECT key_vault.set('user_b', 'gemini', 'AIza-of-the-new-one')});
	outcome_is($session, 'AIza-of-the-new-one', 'CREATE EXTENSION again: get in the same session', $of_b);
	outcome_is($session, '2', 'CREATE EXTENSION again: set in the same session', q{SELECT key_vault.set('user_b', 'gemini', $1)}, 'AIza-2');
	outcome_is($session, 't', 'CREATE EXTENSION again: delete in the same session', q{SELECT key_vault.delete('user_b', 'gemini')});
}

done_testing();
