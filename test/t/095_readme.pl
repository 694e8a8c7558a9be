# What README.md and docs/ tell people to type: every block that no other test runs, in order,
# as it stands there.  Only folders and how the server is restarted are replaced.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use CitusEverywhere not => 'it has something to say of CREATE DATABASE, and blocks are to print nothing else';
use KeyVaultCluster;
use KeyVaultDocs;
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $folder = PostgreSQL::Test::Utils::tempdir;
my $node = PostgreSQL::Test::Cluster->new('main');
init_cluster($node);
$node->start;
mkdir "$folder/backend";
append_to_file("$folder/backend/code.py", "os.getenv('GEMINI_API_KEY')\n");

# Those that others run are theirs to count.
my @blocks = grep { !defined $_->{on} && !defined $_->{by} && !defined $_->{shows} && !defined $_->{'not run'} } map { doc_blocks($_) } doc_files();
# What needs a set-up that comes later on the page waits for the end of its file.
for my $file (doc_files())
{
	my @late = grep { $_->{file} eq $file && defined $_->{after} } @blocks;
	for my $block (@late)
	{
		my ($last) = reverse grep { $blocks[$_]{file} eq $file } 0 .. $#blocks;
		doc_section($file, $block->{after});
		@blocks = ((grep { $_ != $block } @blocks[0 .. $last]), $block, @blocks[$last + 1 .. $#blocks]);
	}
}
my %of = map { my $language = $_; $language => scalar grep { $_->{language} eq $language } @blocks } qw(sql sh python js);
cmp_ok($of{sql}, '>=', 17, 'there are blocks of SQL');

# --- How a block is run

my $control = sprintf 'pg_ctl -D %s -l %s -s -w', $node->data_dir, $node->logfile;
my $waiting;		# the id of a root key that is registered and seals nothing yet

sub with_real_names
{
	my ($text) = @_;
	$text =~ s{/etc/postgresql/key_vault}{$folder/key_vault}g;
	$text =~ s{/etc/postgresql/15/main}{$folder}g;
	$text =~ s{pg_ctlcluster 15 main}{$control}g;
	$text =~ s{-o postgres -g postgres }{}g;
	$text =~ s{<id>}{$waiting}g if defined $waiting;
	return $text;
}

# The SQLSTATEs that SQL raises, in order, and what it prints.
sub run_sql
{
	my ($sql, $role) = @_;
	my ($stdout, $stderr);
	$node->psql('app', "\\set VERBOSITY sqlstate\n$sql", stdout => \$stdout, stderr => \$stderr,
		on_error_stop => 0, defined $role ? (connstr => $node->connstr('app') . " user=$role") : ());
	return (join(' ', $stderr =~ /ERROR:  (\w{5})/g), $stdout);
}

# What the shell prints, and what it complains of.
sub run_shell
{
	my ($commands) = @_;
	local @ENV{qw(PGHOST PGPORT PGDATABASE)} = ($node->host, $node->port, 'postgres');
	my ($out, $err) = ('', '');
	my $ok = IPC::Run::run([ qw(bash -e -s) ], '<', \$commands, '>', "$folder/out", '2>', "$folder/err", init => sub { chdir $folder or die });
	return ($ok, slurp_file("$folder/out"), slurp_file("$folder/err"));
}

# What an application had before.
sub prepare_application
{
	$node->safe_psql('app', q{
		CREATE TABLE public.onboarding_sessions (id int, user_id text);
		CREATE TABLE public.api_keys (session_id int, provider text, key text, updated_at timestamptz);
		INSERT INTO public.onboarding_sessions VALUES (1, 'user_old');
		INSERT INTO public.api_keys VALUES (1, 'gemini', 'AIza-' || repeat('o', 30), now())});
	$waiting = $node->safe_psql('app', 'SELECT key_vault.create_root_key()');
	return;
}

# Keys for those who are asked about, and the backend's level, which a block may have revoked.
sub prepare_block
{
	$node->safe_psql('app', q{SELECT key_vault.set(u, 'gemini', 'AIza-' || repeat('k', 30)) FROM unnest('{user_a,user_b}'::text[]) u;
		SELECT key_vault.grant_access('app_backend', 'service')});
	return;
}

# --- Each block

my %printed;		# what blocks printed, by their text
my $set_up = 0;
my $ran = 0;
for my $block (@blocks)
{
	my ($title) = $block->{text} =~ /^\s*(\S[^\n]{0,60})/;
	my $name = "$block->{file}:$block->{line}: $title";
	my $text = with_real_names($block->{text});

	prepare_block() if $set_up;
	if ($block->{language} eq 'sql')
	{
		my ($states, $out) = run_sql($text, $block->{as});
		is($states, $block->{fails} // '', $name);
		$printed{ $block->{text} } = $out;
		$ran++;
	}
	elsif ($block->{language} eq 'sh')
	{
		my ($ok, $out, $err) = run_shell($text);
		ok($ok && $err eq '', $name) or diag("$out\n$err");
		$node->_update_pid(1) if $text =~ /pg_ctl/;
		$printed{ $block->{text} } = $out;
		$ran++;
	}
	if (!$set_up && $block->{text} =~ /CREATE ROLE app_backend/)
	{
		prepare_application();
		$set_up = 1;
	}
}
is($ran, $of{sql} + $of{sh}, 'no block is left out');

is($node->safe_psql('app', 'SHOW shared_preload_libraries'), 'key_vault', 'what the set-up says preloads the library');
is($node->safe_psql('app', q{SELECT key_vault.get('user_old', 'gemini') LIKE 'AIza-o%'}), 't', 'the import as written imports');
is((stat "$folder/key_vault/app.keyring")[2] & 07777, 0600, 'the keyring is where the set-up says, with mode 0600');

# --- Python, as the backend's role

my @python = grep { $_->{language} eq 'python' } @blocks;
is(scalar @python, 1, 'there is one block of Python');
SKIP:
{
	my $python = '/usr/bin/python3';
	skip 'python3-psycopg is not installed', 2 if system("$python -c 'import psycopg' 2>/dev/null") != 0;
	prepare_block();
	my $program = "$folder/readme.py";
	append_to_file($program, $python[0]{text} . q{
import sys
with psycopg.connect(sys.argv[1], autocommit=True) as conn:
    save_key(conn, 'user_p', 'exa', 'exa-key-of-python-0123456789')
    print(key_for(conn, 'user_p', 'exa'))
    print(conn.execute("SELECT current_setting('key_vault.user_id')").fetchone()[0] == '')
});
	my ($out, $err) = run_command([ $python, $program, $node->connstr('app') . ' user=app_backend' ]);
	is($out, "exa-key-of-python-0123456789\nTrue", 'the Python as written');
	is($err, '', 'without a warning');
}

# --- JavaScript: examples/node runs it

is($of{js}, 0, 'every block of JavaScript names the test that runs it');

# --- The queries for trouble: one row tells the cause, also of a provider that is not required

my ($no_key) = map { $_->{text} } grep { $_->{text} =~ /key_vault\.source/ } @blocks;
for my $provider ('gemini', 'openai')
{
	$node->safe_psql('app', q{SELECT key_vault.forget('user_a')});
	my $out = (run_sql($no_key =~ s/'gemini'/'$provider'/r, 'app_backend'))[1];
	my $variable = uc "${provider}_API_KEY";
	like($out, qr/^production\|[^|]+\|$variable\|\|\|[^\n]*\z/, "why there is no key for $provider");
}

# --- The search for code that reads keys from the environment

my ($search) = map { $_->{text} } grep { $_->{text} =~ /getenv/ } @blocks;
my @variables = split /\n/, $node->safe_psql('app', q{SELECT env_var FROM key_vault.providers UNION VALUES ('A_KEY'), ('A_SECRET')});
my @reads = map { ("os.getenv('$_')", qq(os.environ["$_"]), "process.env.$_") } @variables;
unlink "$folder/backend/code.py";
append_to_file("$folder/backend/code", join("\n", @reads) . "\nkeys.get('gemini')\n");
my $found = (run_shell($search))[1];
is_deeply([ map { s/^.*?:\d+://r } split /\n/, $found ], \@reads, 'the search finds every provider\'s variable, in Python and in JavaScript');

# --- The shell's root key

my ($line) = map { $printed{$_} } grep { /key_vault root key v1/ } keys %printed;
append_to_file("$folder/key_vault/app.keyring", $line);
my ($id) = $line =~ /^(\w+)/;
is((run_sql("SELECT key_vault.activate_root_key('$id')"))[0], '', 'the root key that the shell writes can be activated');
is($node->safe_psql('app', q{SELECT key_vault.set('user_a', 'exa', repeat('e', 20)); SELECT key_vault.get('user_a', 'exa')}),
	"1\n" . 'e' x 20, 'and seals');

# --- The reference has a row for all that there is

my $reference = doc_text('docs/reference.md');
my @names = split /\n/, $node->safe_psql('app', q{
	SELECT proname || '(' FROM pg_proc WHERE pronamespace = 'key_vault'::regnamespace AND obj_description(oid) NOT LIKE 'internal:%'
	UNION SELECT relname || '`' FROM pg_class WHERE relnamespace = 'key_vault'::regnamespace AND relkind = 'v'
	UNION SELECT name || '`' FROM pg_settings WHERE name LIKE 'key\_vault.%'});
cmp_ok(scalar @names, '>', 40, 'there are functions, views and settings');
is_deeply([ grep { $reference !~ /^\|[^|]*`(CALL )?\Q$_\E/m } @names ], [], 'the reference has a row for each of them');

# What stands for a fault of the server or of ours is not told
my %untold = map { $_ => 1 } qw(INTERNAL_ERROR OUT_OF_MEMORY ADMIN_SHUTDOWN UNDEFINED_FUNCTION
  E_R_I_E_TRIGGER_PROTOCOL_VIOLATED EXTERNAL_ROUTINE_INVOCATION_EXCEPTION);
my %state_of = map { /^(\w{5})\s+E\s+ERRCODE_(\w+)/ ? ($2 => $1) : () }
  split /\n/, slurp_file($node->config_data('--sharedir') . '/errcodes.txt');
my %raised;
for my $source (map { glob "$FindBin::RealBin/../../src/$_.[ch]" } '*/*', '*/*/*')
{
	my $text = slurp_file($source);
	$raised{$1} = 1 while $text =~ /(?:\berrcode\(|^#define KV_ERRCODE_\w+[ \t]+)ERRCODE_(\w+)/mg;
}
my $errors = doc_section('docs/reference.md', 'Errors');
cmp_ok(scalar keys %raised, '>', 15, 'there are errors');
is_deeply([ grep { $errors !~ /^\|[^|]*\b$state_of{$_}\b/m } grep { !$untold{$_} } sort keys %raised ], [],
	'the reference has a row for each SQLSTATE');

$node->stop;
done_testing();
