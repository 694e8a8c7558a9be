# The memory in which uses are counted, when it is full: what is counted is written early; what cannot be
# written makes room, and is then missing, but no key ever has another one's uses, or a later time.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = new_vault('full', conf => "shared_preload_libraries = 'key_vault'\nkey_vault.track_last_use = on\n");
my $super = session($node);
my $database = $super->value('SELECT oid FROM pg_database WHERE datname = current_database()');

# Users whose keys share a part of the memory: its number is the last bits of this hash
sub unsigned { return "($_[0]::bigint & 4294967295)"; }
sub hash_of
{
	my ($name, $of_database) = (unsigned("hashtext($_[0])"), unsigned("hashoid($database)"));
	return "($name # (($of_database + 2654435769 + ($name << 6) + ($name >> 2)) & 4294967295))";
}
my $hash = hash_of("'user-' || n || 'openaidefault'");
my @users = map { $_->[0] } @{ $super->query("SELECT 'user-' || n FROM generate_series(1, 130000) n WHERE $hash % 1024 = 7 LIMIT 100")->{rows} };
is(scalar @users, 100, 'users of one part of the memory');
my $key = 'sk-proj-Zq3vT8kLm2Np5Rw7Xy1Bc4Df6';
$super->value(q{SELECT count(key_vault.set(u, 'openai', $2)) FROM unnest($1::text[]) u}, '{' . join(',', @users) . '}', $key);

sub use_keys { my $calls = join ', ', map { "key_vault.get('$_', 'openai') IS NULL" } @_; $super->run("SELECT $calls"); return; }
sub written { return $super->value('SELECT coalesce(sum(uses), 0) FROM key_vault_data.last_uses'); }
sub until_written
{
	my ($count, $test) = @_;
	for (1 .. 200) { last if written() >= $count; sleep 0.05; }
	return is(written(), $count, $test);
}

sub until_row
{
	my ($user) = @_;
	for (1 .. 200) { return if $super->value('SELECT count(*) FROM key_vault_data.last_uses WHERE user_id = $1', $user); sleep 0.05; }
	die "no use of $user is written";
}

# Keys that were used within the last minute are counted, up to what there is room for; one more, and ...
my @first = @users[0 .. 31];
use_keys(@first);
until_written(32, 'the first use of each is written at once');
use_keys(@first[0 .. 22]);
sleep 1.2;
is(written(), 32, 'further ones are only counted');
use_keys($users[40]);
until_written(56, 'until they need more room than there is: then all are written, and none is lost');
sleep 1.1;
for my $user (@users[41 .. 46]) { use_keys($user) for 1 .. 4; sleep 0.1; }
$node->poll_query_until('postgres', 'SELECT count(*) = 39 FROM key_vault_data.last_uses') or die;
my $worker = $super->value(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'key_vault last use'});
$super->value("SELECT pg_terminate_backend($worker)");
until_written(80, 'many keys in one part lose no use');
# or it would write the next use, too, and another one would not be due for a minute
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $worker") or die;

# The worker is held up: what was used longest ago makes room
my $pid;
for (1 .. 200)
{
	use_keys($users[49]);
	last if $pid = $super->value(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'key_vault last use' AND pid <> $1}, $worker);
	sleep 0.05;
}
until_row($users[49]);
kill 'STOP', $pid;
my @late = @users[50 .. 89];
my $began = $super->value('SELECT clock_timestamp()');
my %times;
for my $user (@late)
{
	use_keys($user);
	$times{$user} = $super->value('SELECT clock_timestamp()');
}
my %shown = map { my $user = $_; ($user => $super->query(q{SELECT uses, last_used_at BETWEEN $2 AND $3 FROM key_vault.list($1)}, $user, $began, $times{$user})->{rows}[0]) } @late;
is(scalar(grep { defined $shown{$_}[0] } @late), 32, 'as many as there is room for are counted while the worker is held up');
is(join(' ', map { $shown{$_}[0] // '-' } @late), join(' ', ('-') x 8, (1) x 32), '... those that were used last');
is(scalar(grep { ($shown{$_}[1] // '') eq 't' } @late), 32, '... each with its own time');
kill 'CONT', $pid;
until_row($late[39]);
is($super->value(q{SELECT count(*) FROM key_vault_data.last_uses WHERE user_id = ANY ($1::text[])}, '{' . join(',', @late) . '}'), 32, '... and written when it goes on');
is($super->value(q{SELECT count(*) FROM key_vault_data.last_uses WHERE user_id = ANY ($1::text[]) AND uses > 1}, '{' . join(',', @late) . '}'), 0, 'none has more uses than it was used');
is($super->value('SELECT sum(uses) FROM key_vault_data.last_uses WHERE user_id = ANY ($1::text[])', '{' . join(',', @users[0 .. 48]) . '}'), 80, 'nor has any other key');

# Keys whose names have the same hash are told apart
my @same = @{ $super->query(q{SELECT 'user-' || min(n), 'user-' || max(n) FROM generate_series(100000, 600000) n
	GROUP BY hashtext('user-' || n || 'openaidefault') HAVING count(*) = 2 LIMIT 1})->{rows}[0] };
$super->value("SELECT key_vault.set('$_', 'openai', '$key')") for @same;
use_keys($same[0]) for 1 .. 3;
use_keys($same[1]);
is(join(' ', map { $super->value('SELECT uses FROM key_vault.list($1)', $_) } @same), '3 1', 'keys whose names have the same hash have their own uses');

# ... and so are those whose names, one behind the other, begin alike, in the place that they share
$super->value(q{SELECT key_vault.add_provider('exaexa')});
for my $differs ('label', 'provider', 'user')
{
	my $begin = "'same_${differs}exaexa' || x";
	my ($x, $n) = @{ $super->query("SELECT x, n FROM generate_series(1000, 9999) x, generate_series(100, 999) n WHERE " . hash_of($begin) . ' % 16384 = ' . hash_of("$begin || n") . ' % 16384 LIMIT 1')->{rows}[0] };
	my @longer = $differs eq 'label' ? ("same_$differs", 'exa', "exa$x$n") : $differs eq 'provider' ? ("same_$differs", 'exaexa', "$x$n") : ("same_${differs}exa", 'exa', "$x$n");
	my @names = (\@longer, [ "same_$differs", 'exa', "exa$x" ]);
	$super->value('SELECT key_vault.set($1, $2, $4, $3)', @$_, $key) for @names;
	$super->value('SELECT key_vault.get($1, $2, $3)', @$_) for $names[0], ($names[1]) x 3;
	is(join(' ', map { $super->value('SELECT uses FROM key_vault.list($1) WHERE provider = $2 AND label = $3', @$_) // '-' } @names), '1 3', "... and those that begin alike and differ in the $differs");
}

# ... and those of two databases, one of which has the places of the other
my $other_oid = $super->value('SELECT n FROM generate_series(100000, 2000000) n WHERE ' . unsigned('hashoid(n::oid)') . ' % 16384 = ' . unsigned("hashoid($database)") . ' % 16384 LIMIT 1');
$super->value("CREATE DATABASE other OID $other_oid");
install_vault($node, 'other');
my $other = session($node, undef, dbname => 'other');
$_->value(q{SELECT key_vault.set('user_both', 'openai', $1)}, $key) for $super, $other;
$_->value(q{SELECT key_vault.get('user_both', 'openai')}) for $super, ($other) x 3;
is(join(' ', map { $_->value(q{SELECT uses FROM key_vault.list('user_both')}) // '-' } $super, $other), '1 3', '... and those of two databases');
$other->close;
$super->value('DROP DATABASE other WITH (FORCE)');

# What the worker is writing at the moment is counted as before, and afterwards once
my $locker = session($node);
my $uses = q{SELECT uses FROM key_vault.list($1)};
$locker->run('BEGIN', 'LOCK TABLE key_vault_data.last_uses IN SHARE MODE');
use_keys($users[95]);
my @seen;
for (1 .. 8) { push @seen, $super->value($uses, $users[95]) // '-'; sleep 0.1; }
$locker->run('ROLLBACK');
is(join(' ', @seen), '1 1 1 1 1 1 1 1', 'a use that waits to be written is shown');
for (1 .. 200) { use_keys($users[96]); last if $super->value(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'key_vault last use'}); sleep 0.05; }
$super->value(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'key_vault last use'});
until_row($users[95]);
is($super->value($uses, $users[95]), 1, '... and once when it is written');
use_keys($users[95]);
is($super->value($uses, $users[95]), 2, '... with those that follow');

$node->stop;
done_testing();
