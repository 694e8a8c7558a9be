# What the README tells people to type: every block of SQL, the Python, and the shell
# line that makes a root key.  The section on operating is run in 085_operating.pl.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $readme = PostgreSQL::Test::Utils::slurp_file("$FindBin::RealBin/../../README.md");
my $rest_of_it = $readme =~ s/^## Operating key_vault\n.*?(?=^## )//msr;
my $folder = PostgreSQL::Test::Utils::tempdir;
my $keyring = "$folder/app.keyring";

sub blocks
{
	my ($language) = @_;
	my @found = $rest_of_it =~ /^ *```$language\n(.*?)^ *```/msg;
	return @found;
}

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE app');

# The SQLSTATEs that a block raises, in order.
sub run_block
{
	my ($sql, $role) = @_;
	my ($stdout, $stderr);
	$node->psql('app', "\\set VERBOSITY sqlstate\n$sql", stdout => \$stdout, stderr => \$stderr,
		on_error_stop => 0, defined $role ? (connstr => $node->connstr('app') . " user=$role") : ());
	return (join(' ', $stderr =~ /ERROR:  (\w{5})/g), $stdout);
}

# What stands for something else in the text.
my $new_id;

sub with_real_names
{
	my ($sql) = @_;
	$sql =~ s{/etc/postgresql/key_vault/}{$folder/}g;
	$sql =~ s{<id>}{$new_id}g if defined $new_id;
	return $sql;
}

# What an application had before.
$node->safe_psql('app', q{
	CREATE TABLE public.onboarding_sessions (id int, user_id text);
	CREATE TABLE public.api_keys (session_id int, provider text, key text, updated_at timestamptz);
	INSERT INTO public.onboarding_sessions VALUES (1, 'user_old');
	INSERT INTO public.api_keys VALUES (1, 'gemini', 'AIza-' || repeat('o', 30), now())});

my @sql = blocks('sql');
cmp_ok(scalar @sql, '>=', 17, 'the README has blocks of SQL');

# The first one is the pitch: there is nothing yet.
shift @sql;

my %expected = (q{SELECT key_vault.get('user_b', 'gemini');} => '42501');
my $number = 0;
for my $block (@sql)
{
	my ($title) = $block =~ /^\s*(\S[^\n]{0,60})/;
	my $states = '';
	$number++;

	if ($block =~ /activate_root_key/)
	{
		$new_id = $node->safe_psql('app', 'SELECT key_vault.create_root_key()');
		$block =~ s/^SELECT key_vault.create_root_key\(\);.*\n//m;
	}
	for my $marker (keys %expected)
	{
		$states = $expected{$marker} if index($block, $marker) >= 0;
	}
	# keys for those who are asked about, from the second block on
	$node->safe_psql('app', q{SELECT key_vault.set(u, 'gemini', 'AIza-' || repeat('k', 30)) FROM unnest('{user_a,user_b}'::text[]) u})
		if $number > 2;
	my ($got, $out) = run_block(with_real_names($block));
	is($got, $states, "block $number: $title");
	$node->restart if $block =~ /\\gexec/;
}

is($node->safe_psql('app', 'SHOW shared_preload_libraries'), 'key_vault', 'what the start says preloads the library');
is($node->safe_psql('app', q{SELECT key_vault.get('user_old', 'gemini') LIKE 'AIza-o%'}), 't', 'the import as written imports');

# --- Python, as the backend's role, which one of the blocks has revoked ---

$node->safe_psql('app', q{SELECT key_vault.grant_access('app_backend', 'service')});

SKIP:
{
	my $python = '/usr/bin/python3';
	skip 'python3-psycopg is not installed', 2 if system("$python -c 'import psycopg' 2>/dev/null") != 0;
	my ($code) = blocks('python');
	my $program = "$folder/readme.py";
	open my $file, '>', $program or die $!;
	print $file $code, q{
import sys
with psycopg.connect(sys.argv[1], autocommit=True) as conn:
    save_key(conn, 'user_p', 'exa', 'exa-key-of-python-0123456789')
    print(key_for(conn, 'user_p', 'exa'))
    print(conn.execute("SELECT current_setting('key_vault.user_id')").fetchone()[0] == '')
};
	close $file;
	my ($out, $err) = run_command([ $python, $program, $node->connstr('app') . ' user=app_backend' ]);
	is($out, "exa-key-of-python-0123456789\nTrue", 'the Python as written');
	is($err, '', 'without a warning');
}

# --- The queries for trouble: one row tells the cause, also of a provider that is not required ---

my ($no_key) = grep { /key_vault\.source/ } @sql;
for my $provider ('gemini', 'openai')
{
	$node->safe_psql('app', q{SELECT key_vault.forget('user_a')});
	my $out = (run_block($no_key =~ s/'gemini'/'$provider'/r, 'app_backend'))[1];
	my $variable = uc "${provider}_API_KEY";
	like($out, qr/^production\|[^|]+\|$variable\|\|\|[^\n]*\z/, "why there is no key for $provider");
}

# --- The search for code that reads keys from the environment ---

my ($search) = grep { /getenv/ } blocks('sh');
mkdir "$folder/backend";
my @variables = split /\n/, $node->safe_psql('app', q{SELECT env_var FROM key_vault.providers UNION VALUES ('A_KEY'), ('A_SECRET')});
my @reads = map { ("os.getenv('$_')", qq(os.environ["$_"]), "process.env.$_") } @variables;
append_to_file("$folder/backend/code", join("\n", @reads) . "\nkeys.get('gemini')\n");
my ($found) = run_command([ 'sh', '-c', "cd '$folder' && $search" ]);
is_deeply([ map { s/^.*?:\d+://r } split /\n/, $found ], \@reads, 'the search finds every provider\'s variable, in Python and in JavaScript');

# --- The shell's root key ---

my ($line) = grep { /key_vault root key v1/ } blocks('sh');
my ($written, $error) = run_command([ 'sh', '-c', "cd '$folder' && $line" ]);
is($error, '', 'the shell line runs');
open my $ring, '>>', $keyring or die $!;
print $ring "$written\n";
close $ring;
my ($id) = $written =~ /^(\w+)/;
is((run_block("SELECT key_vault.activate_root_key('$id')"))[0], '', 'the root key that it writes can be activated');
is($node->safe_psql('app', q{SELECT key_vault.set('user_a', 'exa', repeat('e', 20)); SELECT key_vault.get('user_a', 'exa')}),
	"1\n" . 'e' x 20, 'and seals');

# --- The reference has a row for all that there is ---

my ($reference) = $readme =~ /^## Reference\n(.*?)^## /ms;
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
my ($errors) = $reference =~ /^### Errors\n(.*?)^### /ms;
cmp_ok(scalar keys %raised, '>', 15, 'there are errors');
is_deeply([ grep { $errors !~ /^\|[^|]*\b$state_of{$_}\b/m } grep { !$untold{$_} } sort keys %raised ], [],
	'the reference has a row for each SQLSTATE');

$node->stop;
done_testing();
