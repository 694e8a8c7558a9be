# A purge neither waits for what others hold, nor takes half of a secret away: a version below
# the one that expired must never come up.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $node = new_vault('purge_concurrent', conf => "key_vault.purge_after = 0\n");
add_role($node, 'dba', 'admin');
my $session = session($node);
my $dba = session($node, 'dba');
my $holder = session($node);

# Version 1 never expires, version 2 does at once
sub set_both
{
	for my $user (@_)
	{
		$session->value(q{SELECT key_vault.set($1, 'exa', 'exa-key-000000000001')}, $user);
		$session->value(q{SELECT key_vault.set($1, 'exa', 'exa-key-000000000002', expires_at => clock_timestamp() + interval '50 ms')}, $user);
	}
	sleep 0.06;
	return;
}

sub kept
{
	return $session->value(q{SELECT string_agg(user_id || ' ' || version, ', ' ORDER BY user_id, version) FROM key_vault_data.secrets}) // '';
}

sub purge_removes
{
	my ($count, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$dba->run(q{SET statement_timeout = '10s'});
	my $result = $dba->query('CALL key_vault.purge(1)');
	is($result->{error}, undef, $name);
	is($result->{notices}[0]{message}, "removed $count secrets", "$name: how many");
	return $result->{notices}[1];
}

set_both(qw(user_1 user_2 user_3));
for my $version (1, 2)
{
	$holder->run('BEGIN', "SELECT FROM key_vault_data.secrets WHERE user_id = 'user_2' AND version = $version FOR UPDATE");
	my $warning = purge_removes($version == 1 ? 4 : 0, "version $version is held");
	is($warning->{message}, '1 secrets that had expired are not removed', 'it says what stays');
	is($warning->{detail}, 'Others keep them locked: process ' . $holder->pid . '.', 'and who keeps it');
	is(kept(), 'user_2 1, user_2 2', 'both versions stay');
	outcome_is($session, 'NULL', 'and the older one does not come up', q{SELECT key_vault.get('user_2', 'exa')});
	$holder->run('ROLLBACK');
}
is(purge_removes(2, 'nothing is held'), undef, 'nothing stays');
is(kept(), '', 'then it goes');

# A new key that is not committed yet survives
set_both('user_1');
$holder->run('BEGIN', q{SELECT key_vault.set('user_1', 'exa', 'exa-key-000000000003')});
$dba->run(q{SET statement_timeout = '10s'});
is($dba->query('CALL key_vault.purge()')->{error}, undef, 'a key is being set');
$holder->run('COMMIT');
outcome_is($session, 'exa-key-000000000003', 'and is there when that is done', q{SELECT key_vault.get('user_1', 'exa')});

# One purge at a time; one that was cancelled is in nobody's way
set_both('user_4');
$session->run(
	q{CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(5); RETURN OLD; END'},
	q{CREATE TRIGGER linger BEFORE DELETE ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION linger()});
$dba->send('CALL key_vault.purge()');
until ($session->value(q{SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $1::int}, $dba->pid) eq 't') { sleep 0.005; }
outcome_is(session($node, 'dba'), '55006', 'a second purge does not start', 'CALL key_vault.purge()');
$session->value('SELECT pg_cancel_backend($1::int)', $dba->pid);
is($dba->receive->{error}{state}, '57014', 'the first one is cancelled');
outcome_is($dba, 'dba', 'its caller is who they were', 'SELECT current_user');
$session->run('DROP TRIGGER linger ON key_vault_data.secrets');
purge_removes(2, 'now it can');

done_testing();
