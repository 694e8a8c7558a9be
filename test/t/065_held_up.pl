# What any role can hold does not keep admins from retiring, rotating and purging, and they hold
# nobody up while they wait for it.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = new_vault('held_up', conf => "max_prepared_transactions = 5\nkey_vault.purge_after = 0\n");
my $table = 'key_vault_data.secrets';
add_role($node, 'dba', 'admin');
add_role($node, 'other_dba', 'admin');
add_role($node, 'app', 'service');
add_role($node, "tenant_$_", 'user', "user_$_") for 1 .. 6;
add_role($node, 'stranger');
my $super = session($node);
my $dba = session($node, 'dba');
my $app = session($node, 'app');
my $first = $super->value('SELECT id FROM key_vault.root_keys');
my $set = q{SELECT key_vault.set($1, 'exa', $2)};
my $get = q{SELECT key_vault.get($1, 'exa')};
my $key = 'exa-key-of-somebody-0001';

sub wait_until
{
	my ($name, $sql, @parameters) = @_;
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
	until ($super->value($sql, @parameters) eq 't')
	{
		die "timed out: $name\n" if time > $deadline;
		sleep 0.02;
	}
	return;
}

my $waits = q{SELECT coalesce(bool_or(wait_event = 'Extension'), false) FROM pg_stat_activity WHERE pid = $1::int};

sub wait_until_it_waits
{
	my ($session) = @_;
	wait_until('it waits', $waits, $session->pid);
	return;
}

sub activate_new_root_key
{
	my $id = $dba->value('SELECT key_vault.create_root_key()');
	$dba->value('SELECT key_vault.activate_root_key($1)', $id);
	return $id;
}

# The messages of a level, each with its detail, on one line
sub told
{
	my ($result, $severity) = @_;
	return map { "$_->{message}: $_->{detail}" } grep { $_->{severity} eq $severity } @{ $result->{notices} };
}

sub in_the_way { return 'In the way: ' . join(', ', sort map { 'process ' . $_->pid } @_) . '.'; }

# How a session would get on that is not waited for, or waits for others, for ever
sub others_go_on
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$app->run(q{SET statement_timeout = '60s'});
	like($app->outcome($set, 'user_6', $key), qr/^\d+$/, "$name: set goes on");
	outcome_is($app, $key, "$name: get goes on", $get, 'user_6');
	return;
}

$app->value($set, "user_$_", $key) for 1 .. 6;

# --- Retiring a root key waits for those who write, and nobody waits for it

my $second = activate_new_root_key();
is($dba->query('CALL key_vault.rotate_root_key()')->{error}, undef, 'another root key seals all');
my $tenant = session($node, 'tenant_1');
$tenant->run('BEGIN', "SELECT key_vault.set(NULL, 'exa', 'exa-key-that-is-not-committed')");
my $preparer = session($node, 'tenant_2');
$preparer->run('BEGIN', "SELECT key_vault.set(NULL, 'exa', 'exa-key-of-a-prepared-transaction')", q{PREPARE TRANSACTION 'left behind'});

$dba->send('SELECT key_vault.retire_root_key($1)', $first);
wait_until_it_waits($dba);
others_go_on('while a root key is being retired') for 1 .. 3;
is($dba->ready, undef, 'which goes on, too');
outcome_is(session($node, 'tenant_6'), $key, 'in a new session', q{SELECT key_vault.get(NULL, 'exa')});
$tenant->run('COMMIT');
$super->run(q{COMMIT PREPARED 'left behind'});
my $result = $dba->receive;
is($result->{error}, undef, 'it is retired when the others have ended');
is_deeply([ told($result, 'NOTICE') ],
	[ 'waiting for transactions that write API keys to end: In the way: a prepared transaction, process ' . $tenant->pid . '.' ],
	'and was told for whom it waited');
is($super->value('SELECT state FROM key_vault.root_keys WHERE id = $1', $first), 'retired', 'so it is');

# It ends when it shall end
my $third = activate_new_root_key();
is($dba->query('CALL key_vault.rotate_root_key()')->{error}, undef, 'another root key seals all');
$tenant->run('BEGIN', "SELECT key_vault.set(NULL, 'exa', 'exa-key-that-is-not-committed')");
$dba->run(q{SET lock_timeout = '300ms'});
my $error = $dba->query('SELECT key_vault.retire_root_key($1)', $second)->{error};
is("$error->{state} $error->{message}", '55P03 transactions that write API keys did not end within 300 ms', 'lock_timeout ends it');
is($error->{detail}, in_the_way($tenant), 'and it says who was in the way');
$dba->run(q{SET lock_timeout = 0}, q{SET statement_timeout = '300ms'});
outcome_is($dba, '57014', 'statement_timeout ends it', 'SELECT key_vault.retire_root_key($1)', $second);
$dba->run(q{SET statement_timeout = 0});
$dba->send('SELECT key_vault.retire_root_key($1)', $second);
wait_until_it_waits($dba);
$super->value('SELECT pg_cancel_backend($1::int)', $dba->pid);
is($dba->receive->{error}{state}, '57014', 'it can be cancelled');
if ($ENV{KV_LONG})
{
	$error = $dba->query('SELECT key_vault.retire_root_key($1)', $second)->{error};
	is($error->{state}, '55P03', 'a minute ends it');
	is($error->{message}, 'transactions that write API keys did not end within 60000 ms', 'which it says');
}
# later ones are not waited for: only the one that it found
my $later = session($node, 'tenant_3');
$dba->send('SELECT key_vault.retire_root_key($1)', $second);
wait_until_it_waits($dba);
$later->run('BEGIN', "SELECT key_vault.set(NULL, 'exa', 'exa-key-that-is-not-committed-either')");
$tenant->run('ROLLBACK');
is($dba->receive->{error}, undef, 'who begins to write later is not waited for');
$later->run('ROLLBACK');

# --- Who prepares an UPDATE of a view locks the table below, and stops no admin with it

for my $view (qw(root_keys rotation_progress))
{
	my $column = $view eq 'root_keys' ? 'created_at = now()' : 'total = 0';
	$tenant->run('BEGIN', "PREPARE p AS UPDATE key_vault.$view SET $column");
	$dba->run(q{SET statement_timeout = '60s'});
	like($dba->outcome('SELECT key_vault.create_root_key()'), qr/^[0-9a-f]{16}$/, "UPDATE of $view: a root key can be made");
	$third = activate_new_root_key();
	is($dba->query('CALL key_vault.rotate_root_key()')->{error}, undef, "UPDATE of $view: and all re-sealed with another one");
	$tenant->run('ROLLBACK', 'DEALLOCATE p');
	$dba->run('SET statement_timeout = 0');
}

# --- Who drops procedures that are not theirs, or asks an index for what it is not, in a loop

my $loop = q{DO $$ DECLARE pkey oid := (SELECT conindid FROM pg_constraint WHERE contype = 'p' AND conrelid = %d);
	BEGIN LOOP BEGIN %s EXCEPTION WHEN insufficient_privilege OR wrong_object_type OR undefined_object THEN NULL; END; END LOOP; END $$};
my $secrets = $super->value("SELECT '$table'::regclass::oid");
my $progress = $super->value("SELECT 'key_vault_data.rotation'::regclass::oid");
for my $attack (
	[ 'DROP PROCEDURE', sprintf $loop, $secrets, 'EXECUTE (SELECT format($f$DROP PROCEDURE %%s$f$, oid::regprocedure) FROM pg_proc'
		  . q{ WHERE proname IN ('rotate_root_key', 'purge') ORDER BY random() LIMIT 1);} ],
	[ 'brin_summarize_new_values, table of secrets', sprintf $loop, $secrets, 'PERFORM brin_summarize_new_values(pkey);' ],
	[ 'brin_summarize_new_values, table of the rotation', sprintf $loop, $progress, 'PERFORM brin_summarize_new_values(pkey);' ])
{
	my ($name, $sql) = @$attack;
	$sql =~ s/%%/%/g;
	my @loops = map { session($node, $_) } qw(tenant_1 tenant_2 stranger);
	$_->send($sql) for @loops;
	my %states;
	for (1 .. 30)
	{
		$states{ $dba->outcome('CALL key_vault.rotate_root_key()') }++;
		$states{ $dba->outcome('CALL key_vault.purge()') }++;
	}
	is_deeply(\%states, { 'no row' => 60 }, "$name, in a loop: every rotation and every purge starts");
	$_->ready && fail("$name: a loop ended") for @loops;
	$super->value('SELECT pg_cancel_backend($1::int)', $_->pid) for @loops;
	is($_->receive->{error}{state}, '57014', "$name: the loop went on to the end") for @loops;
}

# --- Rows that others keep: a rotation goes round them, waits ten seconds in all, and says whose they are

$app->value(q{SELECT key_vault.set($1, 'serper', $2)}, "user_$_", $key) for 1 .. 6;
my $fourth = activate_new_root_key();
my ($deleter, $locker, $other_locker) = (session($node, 'tenant_1'), session($node), session($node));
$deleter->run('BEGIN', q{SELECT key_vault.delete(NULL, 'serper')});
# in a part of a transaction that is over
my $nested = session($node, 'tenant_2');
$nested->run('BEGIN', 'SAVEPOINT s', q{SELECT key_vault.delete(NULL, 'serper')}, 'RELEASE s');
# two at once
$_->run('BEGIN', "SELECT FROM $table WHERE user_id = 'user_3' AND provider = 'serper' FOR SHARE") for $locker, $other_locker;
$preparer = session($node, 'tenant_4');
$preparer->run('BEGIN', q{SELECT key_vault.delete(NULL, 'serper')}, q{PREPARE TRANSACTION 'left behind'});

my $began = time;
$result = $dba->query('CALL key_vault.rotate_root_key(2)');
my $took = time - $began;
is($result->{error}, undef, 'a rotation ends although rows are kept');
cmp_ok($took, '>', 9.9, 'it has waited for them');
cmp_ok($took, '<', 30, 'ten seconds in all');
my ($warning, @further) = told($result, 'WARNING');
is_deeply(\@further, [], 'one WARNING');
my ($message, $names) = $warning =~ /^(.*): Others keep them locked: (.*)\.$/;
is($message, '4 secrets are still to be re-sealed', 'tells how many remain');
is_deeply([ sort split /, /, $names ],
	[ sort 'a prepared transaction', map { 'process ' . $_->pid } $deleter, $nested, $locker, $other_locker ],
	'and who keeps them');
is_deeply($dba->query('SELECT state, remaining FROM key_vault.rotation_progress')->{rows}, [ [ 'interrupted', 4 ] ], 'so does the view');
others_go_on('after that');

$deleter->run('ROLLBACK');
$nested->run('COMMIT');
$_->run('ROLLBACK') for $locker, $other_locker;
$super->run(q{COMMIT PREPARED 'left behind'});
$result = $dba->query('CALL key_vault.rotate_root_key()');
is_deeply([ told($result, 'WARNING') ], [], 'called again it does the rest');
is_deeply($dba->query('SELECT state, total, done FROM key_vault.rotation_progress')->{rows}, [ [ 'finished', 2, 2 ] ], 'which the others left');
is($super->value("SELECT count(*) FROM $table WHERE root_key_id <> \$1", $fourth), 0, 'nothing remains');

# a trigger that leaves a row out is not waited for
activate_new_root_key();
$super->run(q{CREATE FUNCTION leave_out() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'},
	"CREATE TRIGGER leave_out BEFORE UPDATE ON $table FOR EACH ROW WHEN (OLD.user_id = 'user_5') EXECUTE FUNCTION leave_out()");
$result = $dba->query('CALL key_vault.rotate_root_key()');
my ($left_out) = told($result, 'WARNING');
like($left_out, qr/ secrets are still to be re-sealed: A trigger or a transaction kept them from being re-sealed\.$/, 'rows that a trigger leaves out remain');
$super->run("DROP TRIGGER leave_out ON $table");

# --- A set that knows which root key is active, and has sealed nothing yet, is waited for

my $folder = PostgreSQL::Test::Utils::tempdir;
my $read_before = activate_new_root_key();
my $read_after = $dba->value('SELECT key_vault.create_root_key()');
# Who reads the keyring first waits until it may
my $ring = keyring_path($node);
$super->run("ALTER SYSTEM SET key_vault.keyring_command = 'if mkdir $folder/first 2>/dev/null; then until [ -e $folder/go ]; do sleep 0.1; done; fi; cat $ring'", 'SELECT pg_reload_conf()');
wait_until('the command is set', q{SELECT current_setting('key_vault.keyring_command') <> ''});
my $slow = session($node, 'app');
$slow->send($set, 'user_6', $key);
my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
until (-e "$folder/first") { die 'timed out' if time > $deadline; sleep 0.02; }
is($dba->query('SELECT key_vault.activate_root_key($1)', $read_after)->{error}, undef, 'meanwhile another root key becomes active');
$dba->send('SELECT key_vault.retire_root_key($1)', $read_before);
my $retired;
until ($retired = $dba->ready or $super->value($waits, $dba->pid) eq 't') { die 'timed out' if time > $deadline; sleep 0.02; }
append_to_file("$folder/go", '');
is($slow->receive->{error}, undef, 'the set goes on');
$retired //= $dba->receive;
is($retired->{error}{state}, '55000', 'and the root key that it sealed with is not retired');
outcome_is($app, $key, 'what it set opens', $get, 'user_6');
is($super->value("SELECT root_key_id FROM $table WHERE user_id = 'user_6' AND provider = 'exa' ORDER BY version DESC LIMIT 1"), $read_before, 'it is the root key that was active before');
$super->run('ALTER SYSTEM RESET key_vault.keyring_command', 'SELECT pg_reload_conf()');
wait_until('no command is set', q{SELECT current_setting('key_vault.keyring_command') = ''});

# Who retires may have written before, and is not in its own way
is($dba->query('CALL key_vault.rotate_root_key()')->{error}, undef, 'all is re-sealed');
$super->run(q{SET lock_timeout = '10s'}, 'BEGIN');
like($super->outcome($set, 'user_6', $key), qr/^\d+$/, 'a set in a transaction');
outcome_is($super, '', 'and in the same one a root key is retired', 'SELECT key_vault.retire_root_key($1)', $read_before);
$super->run('COMMIT', 'SET lock_timeout = 0');

# --- Several root keys are made at once: one after the other, as ever

$dba->run('BEGIN');
my $made = $dba->value('SELECT key_vault.create_root_key()');
my $other_dba = session($node, 'other_dba');
$other_dba->send('SELECT key_vault.create_root_key()');
wait_until('the second one waits', q{SELECT coalesce(bool_or($2::int = ANY (pg_blocking_pids(pid))), false) FROM pg_stat_activity WHERE pid = $1::int},
	$other_dba->pid, $dba->pid);
others_go_on('while root keys are made');
$dba->run('COMMIT');
$result = $other_dba->receive;
is($result->{error}, undef, 'and goes on when the first one has ended');
isnt($result->{rows}[0][0], $made, 'with one of its own');

done_testing();
