# The .env file changes with the transaction, whole or not at all; what cannot be
# written is an error before the commit; what changes on disk is seen.
use strict;
use warnings;

use Fcntl qw(:flock :mode);
use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $folder = PostgreSQL::Test::Utils::tempdir;
my $dotenv = "$folder/.env";

# Every habit that a hand-written file has; nothing of it may change.
my $before = <<'END';
# backend/.env

DEBUG=true
export EXA_API_KEY = "exa-old"   # exa
  GEMINI_API_KEY='AIza-old'

MULTI="one
two"
UNRELATED=left # alone
LAST=1
END
(my $crlf = $before) =~ s/\n/\r\n/g;

sub write_dotenv
{
	my ($text, $mode) = @_;
	rmdir $dotenv;
	unlink $dotenv;
	append_to_file($dotenv, $text);
	chmod $mode // 0600, $dotenv;
	return;
}

sub file_is
{
	my ($want, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $text = slurp_file($dotenv);
	return is($text, $want, $name);
}

# The text with the values of some variables replaced.
sub with
{
	my (%value) = @_;
	my $text = $before;
	$text =~ s/^(export EXA_API_KEY = ").*?"/$1$value{EXA}"/m if defined $value{EXA};
	$text =~ s/^(  GEMINI_API_KEY=').*?'/$1$value{GEMINI}'/m if defined $value{GEMINI};
	return $text;
}

sub leftovers
{
	opendir my $handle, $folder or die "$folder: $!";
	return join ' ', sort grep { /^\.env./ && $_ ne '.env.lock' } readdir $handle;
}

write_dotenv($before);
my $node = new_vault('dotenv', conf => <<"END");
key_vault.dotenv_file = '$dotenv'
max_prepared_transactions = 5
restart_after_crash = on
log_statement = none
END
add_role($node, 'app', 'service');
my $session = session($node, 'app');
my $set = q(SELECT key_vault.set('dev', $1, $2));
my $get = q(SELECT key_vault.get('dev', $1));

# --- With the transaction

$session->run('BEGIN');
outcome_is($session, 1, 'a set in a transaction', $set, 'gemini', 'AIza-new');
outcome_is($session, 'AIza-new', 'is seen by it', $get, 'gemini');
outcome_is(session($node, 'app'), 'AIza-old', 'and by no other', $get, 'gemini');
file_is($before, 'nor is it in the file');
$session->run('COMMIT');
file_is(with(GEMINI => 'AIza-new'), 'which has it after the commit, and all else as it was');
is($session->value(q(SELECT key_vault.source('dev', 'gemini'))), 'dotenv', 'get takes it from there');
is(leftovers(), '', 'nothing is left beside the file');

write_dotenv($before);
$session->run('BEGIN');
$session->query($set, 'gemini', 'AIza-new');
$session->run('ROLLBACK');
file_is($before, 'a rollback leaves the file');
outcome_is($session, 'AIza-old', 'and the key', $get, 'gemini');

$session->run('BEGIN');
$session->query($set, 'gemini', 'AIza-1');
$session->run('SAVEPOINT one');
$session->query($set, 'gemini', 'AIza-2');
$session->query($set, 'exa', 'exa-2');
$session->run('SAVEPOINT two');
$session->query($set, 'exa', 'exa-3');
$session->run('RELEASE two');
outcome_is($session, 'exa-3', 'a released savepoint counts', $get, 'exa');
$session->run('ROLLBACK TO one');
outcome_is($session, 'AIza-1', 'a rollback to a savepoint drops what came after it', $get, 'gemini');
outcome_is($session, 'exa-old', 'of all variables', $get, 'exa');
$session->query(q(SELECT key_vault.delete('dev', 'exa')));
outcome_is($session, 'NULL', 'a delete is pending as well', $get, 'exa');
$session->run('ROLLBACK TO one', 'COMMIT');
file_is(with(GEMINI => 'AIza-1'), 'and what stood before it is committed');

write_dotenv($before);
$session->run('BEGIN');
$session->query($set, 'gemini', 'AIza-new');
my $result = $session->simple(q(PREPARE TRANSACTION 'kv'));
is($result->{error}{state}, '0A000', 'PREPARE TRANSACTION with a pending change is an error');
file_is($before, 'and changes nothing');
is($session->value('SELECT count(*) FROM pg_prepared_xacts'), 0, 'nor is the transaction prepared');
$session->run('BEGIN');
$session->query($get, 'gemini');
is($session->simple(q(PREPARE TRANSACTION 'kv'))->{error}, undef, 'one that only read prepares');
$session->run(q(ROLLBACK PREPARED 'kv'));

$session->run('BEGIN');
$session->query($set, 'gemini', 'AIza-new');
$session->query('SELECT 1/0');
is($session->query('COMMIT')->{tag}, 'ROLLBACK', 'an error in the transaction');
file_is($before, 'leaves the file');

$session->run('BEGIN READ ONLY');
outcome_is($session, '25006', 'a read-only transaction changes no file', $set, 'gemini', 'AIza-new');
$session->run('ROLLBACK', 'BEGIN READ ONLY');
outcome_is($session, '25006', 'nor without a user', q(SELECT key_vault.set(NULL, 'gemini', $1)), 'AIza-new');
$session->run('ROLLBACK');
file_is($before, 'so it stays');

# --- What is kept

write_dotenv($crlf, 0640);
# a group that a new file does not get by itself, if there is one
my ($group) = ((grep { $_ != (stat $dotenv)[5] } split ' ', $)), (stat $dotenv)[5]);
chown -1, $group, $dotenv or die "$dotenv: $!";
$session->query($set, 'gemini', 'AIza-new');
(my $want = with(GEMINI => 'AIza-new')) =~ s/\n/\r\n/g;
file_is($want, 'CRLF line ends are kept');
is(sprintf('%04o', S_IMODE((stat $dotenv)[2])), '0640', 'and the mode');
is((stat $dotenv)[5], $group, 'and the group');
write_dotenv("A=1\nGEMINI_API_KEY=x");
$session->query($set, 'exa', 'exa-new');
like(slurp_file($dotenv), qr/\AA=1\nGEMINI_API_KEY=x\nEXA_API_KEY=["']?exa-new["']?\n?\z/, 'a file without a final newline gets one before more');
write_dotenv("GEMINI_API_KEY=first\nA=1\nGEMINI_API_KEY=second\n");
outcome_is($session, 'second', 'of duplicates the last counts', $get, 'gemini');
$session->query($set, 'gemini', 'AIza-new');
outcome_is($session, 'AIza-new', 'and is the one that is set', $get, 'gemini');

my $elsewhere = "$folder/elsewhere";
mkdir $elsewhere;
write_dotenv($before);
rename $dotenv, "$elsewhere/env";
symlink "$elsewhere/env", $dotenv;
$session->query($set, 'gemini', 'AIza-new');
ok(-l $dotenv, 'a symbolic link stays one');
is(slurp_file("$elsewhere/env"), with(GEMINI => 'AIza-new'), 'and what it leads to changes');

# --- No value can add a line

for my $evil ("a\nDISABLE_AUTH=true", "a\r\nDISABLE_AUTH=true", "'\nDISABLE_AUTH=true\n'", "\"\nDISABLE_AUTH=true\n\"",
	"a # \$(id) `id`", 'a$GEMINI_API_KEY', '${GEMINI_API_KEY}', "\\\nDISABLE_AUTH=true", "'\"`\nDISABLE_AUTH=true")
{
	write_dotenv($before);
	(my $name = $evil) =~ s/([\r\n])/$1 eq "\n" ? '\\n' : '\\r'/ge;
	my $answer = $session->query($set, 'exa', $evil);
	my @lines = split /\n/, slurp_file($dotenv);
	if ($answer->{error})
	{
		is($answer->{error}{state}, '22023', "$name is refused");
		file_is($before, '... and the file is as it was');
	}
	else
	{
		outcome_is($session, $evil, "$name comes back", $get, 'exa');
		is(scalar @lines, scalar(split /\n/, $before), '... in as many lines as before');
	}
	is(scalar(grep { /^\s*(export\s+)?DISABLE_AUTH/ } @lines), 0, '... none of which is its own');
}

# --- A COMMIT that fails when the new file is already written beside the old one

# Two transactions that each read what the other writes: of these PostgreSQL lets one commit.
$node->safe_psql('postgres', 'CREATE TABLE skew (n int); GRANT SELECT, INSERT ON skew TO app');
write_dotenv($before);
my $other = session($node, 'app');
for my $one ($session, $other)
{
	$one->run('BEGIN ISOLATION LEVEL SERIALIZABLE');
	$one->value('SELECT count(*) FROM skew');
}
outcome_is($session, 1, 'a set in a transaction that cannot be serialized', $set, 'xai', 'xai-skewed');
$session->run('INSERT INTO skew VALUES (1)');
$other->run('INSERT INTO skew VALUES (2)', 'COMMIT');
is($session->query('COMMIT')->{error}{state}, '40001', '... whose COMMIT fails');
file_is($before, '... leaves the file as it was');
is(leftovers(), '', '... and nothing beside it');
outcome_is($session, 'NULL', '... nor has get the key', $get, 'xai');

# One that waits for the lock on the file can be cancelled.
open my $held, '>>', "$dotenv.lock" or die;
flock $held, LOCK_EX;
$session->run('BEGIN');
$session->query($set, 'xai', 'xai-cancelled');
$session->send('COMMIT');
select undef, undef, undef, 0.2;
$node->safe_psql('postgres', 'SELECT pg_cancel_backend(' . $session->pid . ')');
my $cancelled;
for (1 .. 500)
{
	last if defined($cancelled = $session->ready);
	select undef, undef, undef, 0.01;
}
close $held;
$cancelled //= { error => { state => 'still waiting' }, rest => $session->receive };
is($cancelled->{error}{state}, '57014', 'a COMMIT that waits for the lock on the file can be cancelled');
file_is($before, '... and leaves the file as it was');
outcome_is($session, 'NULL', '... nor has get the key', $get, 'xai');

# --- Two sessions at once

write_dotenv($before);
my @names = qw(gemini openai anthropic mistral groq cohere xai deepseek tavily serper exa firecrawl);
my @sessions = map { session($node, 'app') } @names;
for my $round (1 .. 5)
{
	$sessions[$_]->send($set, $names[$_], "key-$names[$_]-$round") for 0 .. $#names;
	my @errors = grep { defined } map { $_->receive->{error}{message} } @sessions;
	is("@errors", '', "round $round of @{[scalar @names]} sessions");
}
is_deeply([ map { $session->value($get, $_) } @names ], [ map { "key-$_-5" } @names ], 'of sessions that write at once none is lost');
is(scalar(grep { !/API_KEY/ } split /\n/, slurp_file($dotenv)), scalar(grep { !/API_KEY/ } split /\n/, $before), 'and the rest of the file is there once');
$_->close for @sessions;

# --- Errors, at every step; none means "no key", none leaves anything

# How a set and a get of another session fail, and that nothing is left of it.
sub refused
{
	my ($name, $pattern, %option) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $fresh = session($node, 'app');
	my $versions = q(SELECT count(*) FROM key_vault.versions('dev', 'stability'));
	my $answer = $fresh->query($set, 'stability', 'sk-new-and-secret');
	my $error = join ' ', map { $answer->{error}{$_} // '' } qw(state message detail hint context);
	like($error, qr/^F0000 .*$pattern/, "$name: set");
	unlike($error, qr/new-and-secret/, '... in words without the key');
	$option{repair}->() if $option{repair};
	is($fresh->value($versions), 0, '... and no row is stored');
	is(leftovers(), '', '... nor is anything left beside the file');
	return;
}

sub unreadable
{
	my ($name, $pattern) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $answer = session($node, 'app')->query($get, 'gemini');
	like(join(' ', map { $answer->{error}{$_} // '' } qw(state message detail hint)), qr/^F0000 .*$pattern/, "$name: get");
	return;
}

my $repair = sub { chmod 0700, $folder; chmod 0600, $dotenv; write_dotenv($before) };

write_dotenv($before);
chmod 0500, $folder;
refused('a folder that is read-only', qr/could not write file ".*": Permission denied .*needs the right to create files in that folder/, repair => sub { chmod 0700, $folder });
file_is($before, '... and the file is as it was');

write_dotenv($before, 0000);
unreadable('an unreadable file', qr/could not open file "\Q$dotenv\E": Permission denied .*runs as user/);
refused('an unreadable file', qr/could not open file "\Q$dotenv\E": Permission denied/, repair => $repair);

unlink $dotenv;
unreadable('a missing file', qr/could not open file "\Q$dotenv\E": No such file or directory .*Check the path/);
refused('a missing file', qr/could not open file "\Q$dotenv\E": No such file/, repair => $repair);

write_dotenv("A=1\nB='no\0text'\nC=3\n");
unreadable('a broken file', qr/file "\Q$dotenv\E" is not a valid .env file at line 2 .*NUL byte.*UTF-8/);
refused('a broken file', qr/file "\Q$dotenv\E" is not a valid .env file at line 2/, repair => $repair);

write_dotenv('#' x (10 * 1024 * 1024) . "\nGEMINI_API_KEY=x\n");
unreadable('a file of 10 MB', qr/file "\Q$dotenv\E" is too large .*has \d+ bytes; at most \d+ are allowed/);
refused('a file of 10 MB', qr/file "\Q$dotenv\E" is too large/, repair => $repair);

unlink $dotenv;
mkdir $dotenv;
unreadable('a folder', qr/"\Q$dotenv\E" is a folder, not a file/);
refused('a folder', qr/"\Q$dotenv\E" is a folder, not a file/, repair => $repair);

write_dotenv($before . "EXA_API_KEY=\"\xff\"\n");
my $answer = session($node, 'app')->query($get, 'exa');
like("$answer->{error}{state} $answer->{error}{message}", qr/^F0000 variable EXA_API_KEY of file "\Q$dotenv\E" is not valid UTF-8/, 'bytes that are no text: get');
write_dotenv($before);

# What was right at the set and is wrong at the commit rolls all back.
$session->run('BEGIN');
outcome_is($session, 1, 'a set while all is well', $set, 'stability', 'sk-new-and-secret');
write_dotenv("A=1\nB='no\0text'\n");
$answer = $session->query('COMMIT');
like("$answer->{error}{state} $answer->{error}{message}", qr/^F0000 .*line 2/, 'a file that breaks before the commit is an error of the COMMIT');
write_dotenv($before);
outcome_is($session, 0, '... which stores no row', q(SELECT count(*) FROM key_vault.versions('dev', 'stability')));
outcome_is($session, 'AIza-old', '... after which the session goes on', $get, 'gemini');

SKIP:
{
	my $foreign = '/etc/os-release';
	skip "$foreign is not another user's readable file", 4 if !-r $foreign || (stat $foreign)[4] == $>;
	my $superuser = session($node);
	$node->adjust_conf('postgresql.conf', 'key_vault.dotenv_file', "'$foreign'");
	$node->reload;
	for (1 .. 1000)
	{
		last if ($superuser->query($get, 'gemini')->{rows}[0][0] // '') ne 'AIza-old';
		select undef, undef, undef, 0.01;
	}
	is($superuser->value(q(SELECT mode FROM key_vault.mode())), 'development', 'another user\'s file is read');
	$answer = $superuser->query($set, 'stability', 'sk-new-and-secret');
	like("$answer->{error}{state} $answer->{error}{message}", qr/^F0000 file ".*os-release" does not belong to the server's user/, 'but not written');
	like($answer->{error}{hint}, qr/^Run: chown \S+ ".*os-release", or change the file by hand\.$/, 'and the hint says what to do');
	is($superuser->value(q(SELECT count(*) FROM key_vault.versions('dev', 'stability'))), 0, 'no row is stored');
	$node->adjust_conf('postgresql.conf', 'key_vault.dotenv_file', "'$dotenv'");
	$node->reload;
	$superuser->close;
	$session = session($node, 'app');
	$node->poll_query_until('postgres', q(SELECT key_vault.get('dev', 'gemini') = 'AIza-old')) or die;
}

# --- Changed on disk, and not changed

write_dotenv(with(GEMINI => 'edited-1'));
outcome_is($session, 'edited-1', 'a file that was replaced is seen by the next get', $get, 'gemini');
my @seen;
for my $edit (2 .. 40)
{
	# in place, the same size, within one tick of the clock
	open my $handle, '+<', $dotenv or die;
	my $text = with(GEMINI => sprintf 'edited-%02d', $edit);
	print $handle $text;
	truncate $handle, length $text;
	close $handle;
	push @seen, $edit unless $session->value($get, 'gemini') eq sprintf 'edited-%02d', $edit;
}
is_deeply(\@seen, [], 'so is each of 39 quick edits in place');

# read() calls of the server's process, those on its socket not counted
sub reads
{
	my ($pid) = @_;
	open my $handle, '<', "/proc/$pid/io" or return undef;
	my %io = map { /^(\w+): (\d+)/ ? ($1, $2) : () } <$handle>;
	return $io{syscr};
}

SKIP:
{
	skip 'this system does not count read() calls (/proc/PID/io)', 2 unless defined reads($session->pid);
	select undef, undef, undef, 0.2;
	$session->value($get, 'gemini');
	my $count = reads($session->pid);
	$session->value($get, 'gemini') for 1 .. 100;
	is(reads($session->pid) - $count, 0, '100 gets with an unchanged file read nothing');
	utime undef, undef, $dotenv;
	$session->value($get, 'gemini');
	cmp_ok(reads($session->pid) - $count, '>', 0, 'and one after a change does');
}

# --- Crashes

# The bystander is a session from before the crash: the server ends it once it has noticed.
sub wait_for_restart
{
	my ($bystander) = @_;
	until ($bystander->{closed}) { $bystander->ready; select undef, undef, undef, 0.001; }
	for (1 .. 1000)
	{
		my $next = eval { session($node, 'app') };
		return $next if defined $next && !$next->{closed} && defined eval { $next->value('SELECT 1') };
		select undef, undef, undef, 0.02;
	}
	die 'the server did not come back';
}

write_dotenv($before);
$session->run('BEGIN');
$session->query($set, 'gemini', 'AIza-crash');
my $bystander = session($node, 'app');
kill 'KILL', $session->pid;
$session = wait_for_restart($bystander);
file_is($before, 'kill -9 before the commit leaves the file as it was');
outcome_is($session, 'AIza-old', 'and get goes on from there', $get, 'gemini');

# In the middle of the commit: the lock on the file is taken.
open my $lock, '>>', "$dotenv.lock" or die;
flock $lock, LOCK_EX;
$session->run('BEGIN');
$session->query($set, 'gemini', 'AIza-crash');
$session->send('COMMIT');
select undef, undef, undef, 0.2;
ok(!$session->ready, 'a commit waits for the lock on the file');
$bystander = session($node, 'app');
kill 'KILL', $session->pid;
close $lock;
$session = wait_for_restart($bystander);
file_is($before, 'kill -9 in the commit leaves the file as it was');
outcome_is($session, 'AIza-old', 'and the key', $get, 'gemini');

# Stops a commit just before the new file replaces the old one.
sub stop_at_rename
{
	my ($client, @commands) = @_;
	my $out = "$folder/gdb.out";
	my $gdb = IPC::Run::start([ 'gdb', '-q', '-nx', '-batch', '-p', $client->pid, '-ex', 'break rename', '-ex', 'echo \nready\n', '-ex', 'continue', map { ('-ex', $_) } @commands ],
		'<', \undef, '>', $out, '2>', "$folder/gdb.err");
	for (1 .. 500)
	{
		last if -e $out && slurp_file($out) =~ /ready/;
		select undef, undef, undef, 0.02;
	}
	$client->send('COMMIT');
	return $gdb;
}

SKIP:
{
	skip 'gdb is not here, or may not attach', 8 if system("gdb -q -nx -batch -p @{[$session->pid]} -ex 'info symbol rename' >$folder/gdb.out 2>&1") != 0 || slurp_file("$folder/gdb.out") !~ /rename in section/;

	write_dotenv($before);
	$session->run('BEGIN');
	$session->query($set, 'gemini', 'AIza-stopped-at-rename');
	my $gdb = stop_at_rename($session, 'shell mv ' . "$dotenv $dotenv.aside && mkdir $dotenv", 'delete', 'detach');
	$result = $session->receive;
	$gdb->finish;
	is($result->{error}, undef, 'when the new file cannot be put in place, the commit stands');
	is($result->{notices}[0]{severity} . ' ' . $result->{notices}[0]{message}, qq(WARNING could not put the new file "$dotenv" in place: Is a directory), '... with a WARNING');
	rmdir $dotenv;
	rename "$dotenv.aside", $dotenv;
	file_is($before, '... and the old file is whole');
	is($session->value(q(SELECT hint FROM key_vault.list('dev') WHERE provider = 'gemini')), 'name', '... the row is stored');
	$session->query($set, 'gemini', 'AIza-again');
	file_is(with(GEMINI => 'AIza-again'), '... and setting the key again heals it');

	write_dotenv($before);
	$session->run('BEGIN');
	$session->query($set, 'gemini', 'AIza-killed');
	$bystander = session($node, 'app');
	$gdb = stop_at_rename($session, 'kill');
	$session->receive;
	$gdb->finish;
	$session = wait_for_restart($bystander);
	file_is($before, 'kill -9 just before the new file is put in place leaves the old one');
	$session->query($set, 'gemini', 'AIza-again');
	file_is(with(GEMINI => 'AIza-again'), 'what it left does not hinder the next commit');
	is(leftovers(), '', 'and is gone then');
}

# --- The log

$node->stop;
unlike(slurp_file($node->logfile), qr/new-and-secret/, 'no refused key is in the server\'s log');

done_testing();
