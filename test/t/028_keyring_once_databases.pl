# What keyring_command printed for one database is never another's: not of a second one, of
# one that was dropped and made again, or of one that has got its name; with more of
# them than there is room for, and on a standby.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use CitusEverywhere not => 'its worker is connected to each database, and none could be renamed or copied';
use CountedCommand;
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $slots = 16;

my $command = CountedCommand->new;
my $node = new_counted_vault('primary', $command, init => [ allows_streaming => 1 ]);
my $get = q{SELECT key_vault.get('user_a', 'gemini')};

sub opens
{
	my ($dbname, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $session = session($node, undef, dbname => $dbname);
	outcome_is($session, $expected, $name, $get);
	$session->close;
	wait_until(sub { $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE datname = '$dbname'") == 0 })
	  if $dbname ne 'postgres';
	return;
}

# --- Two databases, whose keyrings differ

$command->put('second', 2);
$node->safe_psql('postgres', 'CREATE DATABASE second');
$node->safe_psql('second', q{CREATE EXTENSION key_vault; SELECT key_vault.activate_root_key('} . root_key_id(2) . q{');
	SELECT key_vault.set('user_a', 'gemini', 'AIza-of-second')});
reload_settings($node);
$command->calls;
for (1 .. 3)
{
	opens('postgres', 'AIza-of-user_a', 'one database');
	opens('second', 'AIza-of-second', 'another one');
}
is_deeply([ sort $command->peek ], [ 'postgres', 'second' ], 'each was asked for once');
$command->calls;

# --- Dropped and made again, renamed

# Whoever gets root key 1 for a copy of this database opens it
$node->safe_psql('postgres', q{UPDATE pg_database SET datistemplate = true WHERE datname = 'postgres'});
my $watcher = session($node, undef, dbname => 'second');

sub make_copy
{
	my ($dbname) = @_;
	wait_until(sub { $watcher->value(q{SELECT count(*) FROM pg_stat_activity WHERE datname = 'postgres'}) == 0 });
	$watcher->run("CREATE DATABASE $dbname TEMPLATE postgres");
	return;
}

$command->put('copy', 1);
make_copy('copy');
opens('copy', 'AIza-of-user_a', 'a copy with its keyring');
$watcher->run('DROP DATABASE copy');
$command->put('copy', 3);
make_copy('copy');
opens('copy', 'F0000', 'a database of the same name does not get what was the dropped one\'s');

$command->put('copy', 1);
reload_settings($node);
opens('copy', 'AIza-of-user_a', 'a copy with its keyring');
$command->put('renamed', 3);
$watcher->run('ALTER DATABASE copy RENAME TO renamed');
$command->calls;
opens('renamed', 'F0000', 'a database that has another name does not get what was the old name\'s');
is_deeply([ ($command->peek)[0] ], ['renamed'], 'it is asked for by its name');
$command->put('copy', 3);
$command->put('renamed', 1);
reload_settings($node);
opens('renamed', 'AIza-of-user_a', 'which has its own');
make_copy('copy');
opens('copy', 'F0000', 'and who has got the old name does not get it');

# --- More databases than there is room for

my @many = map { "many_$_" } 1 .. $slots + 1;
for (@many)
{
	$command->put($_, 1);
	make_copy($_);
}
reload_settings($node);
$command->calls;
opens($_, 'AIza-of-user_a', "$_ of many") for @many;
is(scalar $command->peek, scalar @many, 'each of many databases was asked for once');
$command->calls;
opens($_, 'AIza-of-user_a', "$_ of many, again") for reverse @many[ 1 .. $slots ];
is($command->calls, 0, "those of the $slots that were used last are there");
opens($many[0], 'AIza-of-user_a', 'the one that was used before them opens all the same');
is($command->calls, 1, 'and is asked for again');
$watcher->run("DROP DATABASE $_") for @many;

# --- A keyring that is too long to be kept: each session reads it

$command->put('postgres', 1, 1001 .. 1040);
reload_settings($node);
$command->calls;
my @sessions = map { session($node) } 1 .. 4;
outcome_is($_, 'AIza-of-user_a', 'a long keyring', $get) for @sessions[ 0, 1 ];
is($command->calls, 2, 'a long keyring is read by each session');
$command->set('gate');
$_->send($get) for @sessions[ 2, 3 ];
$command->wait_for_calls(2);
pass('and none waits for another');
$command->unset('gate');
is_deeply([ map { $_->receive->{rows}[0][0] } @sessions[ 2, 3 ] ], [ ('AIza-of-user_a') x 2 ], 'a long keyring, at once');
$_->close for @sessions;
$command->put('postgres', 1, 1001 .. 1005);
reload_settings($node);
$command->calls;
opens('postgres', 'AIza-of-user_a', 'a shorter one') for 1 .. 3;
is($command->calls, 1, 'is kept again');

# --- A standby

$watcher->run(q{SELECT pg_create_physical_replication_slot('standby')});
$node->backup('base');
my $elsewhere = CountedCommand->new;
$elsewhere->put('postgres', 1);
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "key_vault.keyring_command = '" . $elsewhere->text . "'\nprimary_slot_name = 'standby'\n");
$standby->start;
$node->wait_for_catchup($standby);
my @readers = map { session($standby) } 1 .. 3;
outcome_is($_, 'AIza-of-user_a', 'a standby', $get) for @readers;
is($elsewhere->calls, 1, 'a standby: one call');

# The primary gets a root key; the standby hears of it by a row
$command->put('postgres', 1, 2);
$node->safe_psql('postgres', q{SELECT key_vault.activate_root_key('} . root_key_id(2) . q{'); SELECT key_vault.set('user_a', 'gemini', 'AIza-after')});
$elsewhere->put('postgres', 1, 2);
$node->wait_for_catchup($standby);
outcome_is($_, 'AIza-after', 'a standby: a row that a new root key seals', $get) for @readers, session($standby);
is($elsewhere->calls, 1, 'a standby: one call for a new root key');
$standby->promote;
outcome_is(session($standby), 'AIza-after', 'a standby that was promoted', $get);
is($elsewhere->calls, 0, 'goes on with what it has');

$standby->stop;
$node->stop;
done_testing();
