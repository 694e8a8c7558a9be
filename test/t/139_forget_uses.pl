# What is known of the use of keys goes with them: forget() takes a user out of audit records that are
# still to be written, too, and no row of uses or outcomes outlives its key, whichever call removes that.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $node = new_vault('forgotten', conf => "shared_preload_libraries = 'key_vault'\nkey_vault.audit = async\nkey_vault.track_last_use = on\nkey_vault.audit_timeout = 20000\n");
my $key = 'sk-proj-Zq3vT8kLm2Np5Rw7Xy1Bc4Df6';
add_role($node, 'regress_kv_service', 'service');
my $app = session($node, 'regress_kv_service');
my $super = session($node);

sub worker { my ($what) = @_; return $super->value('SELECT pid FROM pg_stat_activity WHERE backend_type = $1 AND datname = current_database()', "key_vault $what"); }
sub records { my ($of) = @_; return $super->value(q{SELECT count(*) FROM key_vault_data.audit a WHERE position($1 IN a::text) > 0}, $of); }
sub settle { $app->value(q{SELECT key_vault.forget('nobody')}); return; }
sub verifies { my ($name) = @_; local $Test::Builder::Level = $Test::Builder::Level + 1; settle(); return is($super->value('SELECT count(*) FROM key_vault.verify_audit()'), 0, $name); }

# Rows about a user in the tables of uses and outcomes
sub rows { my ($of) = @_; return join ' ', map { $super->value("SELECT count(*) FROM key_vault_data.$_ t WHERE position(\$1 IN t::text) > 0", $of) } 'last_uses', 'outcomes'; }

# --- Records that the worker has not written

for my $audit ('async', 'durable')
{
	my ($user, $team, $member) = map { "$_-$audit" } 'user', 'team:crew', 'member';
	$app->run("SELECT key_vault.set('$_', 'openai', '$key')") for $user, $team;
	settle();
	my $pid = worker('audit');
	kill 'STOP', $pid;
	$app->run("SELECT key_vault.get('$user', 'openai'), key_vault.require('$user', 'openai')", "SELECT key_vault.get('$user', 'exa')") if $audit eq 'async';
	$app->run('BEGIN', "SET LOCAL key_vault.user_id = '$member'", "SET LOCAL key_vault.team_id = 'crew-$audit'", "SELECT key_vault.get(NULL, 'openai')", 'ROLLBACK') if $audit eq 'async';
	my @waiting = map { session($node, 'regress_kv_service') } 1 .. 3;
	if ($audit eq 'durable') { $waiting[$_]->send("SELECT key_vault.get('$user', 'openai')") for 1, 2; sleep 0.2; }
	$waiting[0]->send("SELECT key_vault.forget('$user'), key_vault.forget('$team')");
	sleep 0.4;
	is($waiting[0]->ready, undef, "$audit: forget() waits while the worker is held up");
	is(records($user), 1, '... and records are to be written');
	kill 'CONT', $pid;
	is_deeply($waiting[0]->receive->{rows}, [ [ 1, 1 ] ], '... and forgets when it goes on');
	if ($audit eq 'durable') { is($waiting[$_]->receive->{error}, undef, '... as do those who waited') for 1, 2; }
	settle();
	is(records($user) . records("crew-$audit"), '00', 'neither the user nor the team is in any record, those that were to be written neither');
	is(records($member), $audit eq 'async' ? 1 : 0, '... but the member is');
	verifies('the chain verifies');

	next if $audit eq 'durable';
	# For longer than it waits: nothing is forgotten, and it can be called again
	$app->run("SELECT key_vault.set('$user', 'openai', '$key')");
	settle();
	my $short = session($node, undef, options => '-c key_vault.audit_timeout=400');
	$pid = worker('audit');
	kill 'STOP', $pid;
	$app->run("SELECT key_vault.get('$user', 'openai')");
	outcome_is($short, '58030', 'a worker that is held up for longer refuses forget()', "SELECT key_vault.forget('$user')");
	outcome_is($app, $key, '... which has removed nothing then', "SELECT key_vault.get('$user', 'openai')");
	kill 'CONT', $pid;
	outcome_is($app, '1', '... and does when it is called again', "SELECT key_vault.forget('$user')");
	settle();
	is(records($user), 0, '... with all records');
	verifies('the chain verifies');
	$node->safe_psql('postgres', 'ALTER SYSTEM SET key_vault.audit = durable; SELECT pg_reload_conf()');
	$node->poll_query_until('postgres', "SELECT current_setting('key_vault.audit') = 'durable' FROM key_vault.mode()") or die;
	sleep 0.2;
}

# A call that runs while forget() has not committed names the user again, as one afterwards would
$app->run("SELECT key_vault.set('user_meanwhile', 'openai', '$key')", 'BEGIN', q{SELECT key_vault.forget('user_meanwhile')});
outcome_is($super, $key, 'until forget() commits the key is there', q{SELECT key_vault.get('user_meanwhile', 'openai')});
$app->run('COMMIT');
is(records('user_meanwhile'), 1, '... and the record of who took it');
$app->run(q{SELECT key_vault.forget('user_meanwhile')});
is(records('user_meanwhile'), 0, '... until it is called again');
verifies('the chain verifies');

# --- Rows of uses and outcomes

my $lost = $super->value('SELECT id FROM key_vault.root_keys');
sub fill
{
	my (@users) = @_;
	for my $user (@users)
	{
		$app->run("SELECT key_vault.set('$user', 'openai', '$key'), key_vault.set('$user', 'openai', '$key', 'work')", "SELECT key_vault.get('$user', 'openai'), key_vault.get('$user', 'openai', 'work')",
			"SELECT key_vault.record_outcome('$user', 'openai', 'rejected'), key_vault.record_outcome('$user', 'openai', 'quota', 'work')");
	}
	for my $user (@users)
	{
		for (1 .. 200) { last if rows($user) eq '2 2'; sleep 0.05; }
		is(rows($user), '2 2', "$user has uses and outcomes");
	}
	return;
}
fill('user_forgotten', 'user_deleted', 'user_purged', 'user_discarded', 'user_kept');
$app->run(q{SELECT key_vault.forget('user_forgotten')});
is(rows('user_forgotten'), '0 0', 'forget() removes both');
$app->run(q{SELECT key_vault.delete('user_deleted', 'openai', 'work')});
is(rows('user_deleted'), '1 1', 'delete() those of the key');
$app->run('BEGIN', q{SELECT key_vault.delete('user_deleted', 'openai')}, 'ROLLBACK');
is(rows('user_deleted'), '1 1', '... unless it is rolled back');
$app->run(q{SELECT key_vault.delete('user_deleted', 'openai')});
is(rows('user_deleted'), '0 0', '... and the other one\'s');

# One that is only counted yet
$app->run(qq{SELECT key_vault.set('user_late', 'openai', '$key')}, q{SELECT key_vault.get('user_late', 'openai')}, q{SELECT key_vault.forget('user_late')});
sleep 1.2;
is(rows('user_late'), '0 0', 'a use that was only counted is not written after forget()');

$super->run(q{UPDATE key_vault_data.secrets SET expires_at = now() - interval '1 year' WHERE user_id = 'user_purged' AND label = 'work'});
$super->run('CALL key_vault.purge()');
is(rows('user_purged'), '1 1', 'purge() removes those of what it removes');
is(rows('user_kept'), '2 2', '... and of nothing else');

# The root key of some is lost
my $second = $super->value('SELECT key_vault.create_root_key()');
$super->run("SELECT key_vault.activate_root_key('$second')", 'CALL key_vault.rotate_root_key()');
my $third = $super->value('SELECT key_vault.create_root_key()');
$super->run("SELECT key_vault.activate_root_key('$third')");
$app->run("SELECT key_vault.set('user_kept', 'openai', '$key'), key_vault.set('user_kept', 'openai', '$key', 'work')");
fill('user_kept');
my $ring = slurp_file(keyring_path($node)) =~ s/^$second .*\n//mr;
{ open my $file, '>', keyring_path($node) or die; print $file $ring; }
$super->run("ALTER SYSTEM SET key_vault.audit = off");
$node->restart;
($app, $super) = (session($node, 'regress_kv_service'), session($node));
$super->run("CALL key_vault.discard_secrets('$second')");
is(rows('user_discarded') . ', ' . rows('user_purged'), '0 0, 0 0', 'discard_secrets() removes those of what it removes');
is(rows('user_kept'), '2 2', '... and not those of a key of which a version is left');

# --- Two databases, in each of which a user has the same name

$node->safe_psql('postgres', 'CREATE DATABASE other');
install_vault($node, 'other');
my $other = session($node, undef, dbname => 'other');
for my $session ($super, $other)
{
	$session->run("SELECT key_vault.set('user_two', 'openai', '$key')", q{SELECT key_vault.get('user_two', 'openai')}, q{SELECT key_vault.record_outcome('user_two', 'openai', 'accepted')});
}
$other->run(q{SELECT key_vault.get('user_two', 'openai')});
my $uses = q{SELECT uses || ' ' || last_outcome FROM key_vault.list('user_two')};
is($super->value($uses) . ', ' . $other->value($uses), '1 accepted, 2 accepted', 'each database counts for itself');
$super->run(q{SELECT key_vault.forget('user_two')});
is($other->value($uses), '2 accepted', 'forget() in one leaves the other\'s');
for (1 .. 200) { last if $other->value('SELECT count(*) FROM key_vault_data.last_uses') == 1; sleep 0.05; }
is($other->value('SELECT count(*) FROM key_vault_data.last_uses') . rows('user_two'), '10 0', 'and each is written where it belongs');
for my $user (map { "user_both_$_" } 1 .. 10)
{
	$_->run("SELECT key_vault.set('$user', 'openai', '$key')", "SELECT key_vault.get('$user', 'openai')") for $super, $other;
	sleep 0.1;
}
sleep 1.2;
is($_->value(q{SELECT string_agg(uses::text, ' ') FROM key_vault_data.last_uses WHERE user_id LIKE 'user_both_%'}), join(' ', (1) x 10), '... by a worker of its own') for $super, $other;

$node->stop;
done_testing();
