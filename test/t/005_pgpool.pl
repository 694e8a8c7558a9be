# pgpool-II before a primary and a standby, with load balancing: which server a statement runs on,
# and which identity it has there.  docs/drivers.md, "Poolers", has a table of it, which is held against
# what is seen.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultClient;
use KeyVaultDocs;
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($pgpool) = grep { -x } map { "$_/pgpool" } split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin';
plan skip_all => 'pgpool is not installed' unless defined $pgpool;

# --- A primary and a standby, which log what reaches them

my $primary = new_vault('primary', init => [ allows_streaming => 1 ], conf => "log_statement = all\n");
add_role($primary, 'regress_kv_service', 'service');
add_role($primary, 'regress_kv_tenant', 'user', 'user_a');
my %keys = map { $_ => "AIza-of-$_" } qw(user_a user_b);
$primary->safe_psql('postgres', "SELECT key_vault.set('$_', 'gemini', '$keys{$_}')") for sort keys %keys;
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);

# --- pgpool, which gives all that may be balanced to the standby

my $folder = PostgreSQL::Test::Utils::tempdir_short;
my ($port, $control) = map { PostgreSQL::Test::Cluster::get_free_port() } 1, 2;
my $pid;

sub stop_pool
{
	return unless $pid;
	kill 'INT', $pid;
	waitpid $pid, 0;
	undef $pid;
	return;
}

END
{
	my $status = $?;
	stop_pool();
	$? = $status;
}

sub restart_pool
{
	my ($settings) = @_;
	stop_pool();
	unlink "$folder/pgpool.conf", "$folder/log";
	my $superuser = $primary->safe_psql('postgres', 'SELECT current_user');
	append_to_file("$folder/$_", '') for qw(pcp.conf pool_hba.conf);
	append_to_file("$folder/pgpool.conf", <<"END" . $settings);
backend_clustering_mode = 'streaming_replication'
listen_addresses = ''
port = $port
pcp_port = $control
socket_dir = '$folder'
pcp_socket_dir = '$folder'
wd_ipc_socket_dir = '$folder'
pid_file_name = '$folder/pid'
logdir = '$folder'
num_init_children = 4
backend_hostname0 = '@{[ $primary->host ]}'
backend_port0 = @{[ $primary->port ]}
backend_weight0 = 0
backend_hostname1 = '@{[ $standby->host ]}'
backend_port1 = @{[ $standby->port ]}
backend_weight1 = 1
load_balance_mode = on
sr_check_user = '$superuser'
sr_check_database = 'postgres'
END
	$pid = fork // die "fork: $!";
	if ($pid == 0)
	{
		open STDOUT, '>', "$folder/log";
		open STDERR, '>&', \*STDOUT;
		exec $pgpool, '-n', '-f', "$folder/pgpool.conf", '-F', "$folder/pcp.conf", '-a', "$folder/pool_hba.conf" or die "exec: $!";
	}
	for (1 .. 100)
	{
		last if -e "$folder/log" && slurp_file("$folder/log") =~ /successfully started/;
		select undef, undef, undef, 0.1;
	}
	ok(-S "$folder/.s.PGSQL.$port", 'pgpool runs') or BAIL_OUT(slurp_file("$folder/log"));
	return;
}

sub client
{
	my ($role) = @_;
	return KeyVaultClient->connect(host => $folder, port => $port, user => $role // 'regress_kv_service', dbname => 'postgres');
}

# --- Where a statement runs

my %read_to;

# The servers whose log has grown by this statement.
sub servers_that_ran
{
	my ($sql) = @_;
	my @ran;
	for my $node ($primary, $standby)
	{
		my $log = slurp_file($node->logfile);
		my $new = substr $log, $read_to{ $node->name } // 0;
		$read_to{ $node->name } = length $log;
		push @ran, $node->name if $new =~ /(?:statement|execute [^:]*): \Q$sql\E/;
	}
	return @ran == 2 ? 'every server' : $ran[0] // 'none';
}

# runs_on(client, how: simple or query, statement, server, what comes of it): the last is as
# KeyVaultClient's outcome says, and not looked at when it is not given.
sub runs_on
{
	my ($client, $how, $sql, $server, $outcome) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	servers_that_ran('');
	my $result = $client->$how($sql);
	is(servers_that_ran($sql), $server, "$how: on $server: $sql");
	return unless defined $outcome;
	my $row = $result->{rows}[0];
	is($result->{error} ? $result->{error}{state} : $row ? $row->[0] // 'NULL' : 'no row', $outcome, "and gives $outcome");
	return;
}

my $get = q{SELECT key_vault.get(NULL, 'gemini')};
my $who = 'SELECT key_vault.current_user_id()';

# Every statement of the table in docs/drivers.md, by both protocols.
my %server_of = ('every server' => 'every server', 'the primary' => 'primary', 'one of them' => 'standby');
restart_pool('');
{
	my @rows = doc_section('docs/drivers.md', 'Poolers') =~ /^\| (`.*`) \| (.*) \|$/mg;
	my %told;
	while (my ($statements, $where) = splice @rows, 0, 2)
	{
		ok($server_of{$where}, "the table says a place: $where");
		for my $sql ($statements =~ /`([^`]+)`/g)
		{
			my $client = client();
			runs_on($client, $_, $sql, $server_of{$where}) for qw(simple query);
			$client->close;
			$told{$where}++;
		}
	}
	is_deeply([ sort keys %told ], [ sort keys %server_of ], 'the table has a row for each place');
}

# --- The identity

for my $how ('simple', 'query')
{
	my $client = client();
	runs_on($client, $how, q{SET key_vault.user_id = 'user_b'}, 'every server');
	runs_on($client, $how, $who, 'standby', 'user_b');
	runs_on($client, $how, $get, 'primary', $keys{user_b});

	$client->run(q{SELECT set_config('key_vault.user_id', 'user_a', false)});
	runs_on($client, $how, $get, 'primary', $keys{user_a});
	runs_on($client, $how, $who, 'standby', 'user_b');
	$client->run('RESET key_vault.user_id', q{SELECT set_config('key_vault.user_id', 'user_a', false)});
	runs_on($client, $how, 'SELECT user_id FROM key_vault.secrets', 'standby', 'no row');
	$client->close;

	$client = client();
	runs_on($client, $how, $who, 'standby', 'NULL');
	runs_on($client, $how, $get, 'primary', '22004');
	for my $identity (q{SET LOCAL key_vault.user_id = 'user_a'}, q{SELECT set_config('key_vault.user_id', 'user_a', true)})
	{
		$client->run('BEGIN', $identity);
		runs_on($client, $how, $get, 'primary', $keys{user_a});
		runs_on($client, $how, $who, 'primary', 'user_a');
		runs_on($client, $how, q{SELECT key_vault.get('user_b', 'gemini')}, 'primary', '42501');
		$client->run('ROLLBACK');
		runs_on($client, $how, $who, 'standby', 'NULL');
	}
	$client->close;

	my $tenant = client('regress_kv_tenant');
	runs_on($tenant, $how, $get, 'primary', $keys{user_a});
	runs_on($tenant, $how, 'SELECT user_id FROM key_vault.secrets', 'standby', 'user_a');
	$tenant->close;
}

# --- Set up against what docs/drivers.md says

restart_pool("read_only_function_list = 'key_vault[.]get'\ndisable_load_balance_on_write = 'off'\n");
{
	my $client = client();
	$client->run(q{SELECT set_config('key_vault.user_id', 'user_a', false)});
	runs_on($client, 'query', $get, 'standby', '22004');
	runs_on($client, 'query', q{SELECT key_vault.get('user_b', 'gemini')}, 'standby', $keys{user_b});
	$client->run(q{SET key_vault.user_id = 'user_b'}, q{SELECT set_config('key_vault.user_id', 'user_a', false)});
	runs_on($client, 'query', $get, 'standby', $keys{user_b});
	$client->close;

	$client = client();
	$client->run('BEGIN', q{SELECT set_config('key_vault.user_id', 'user_a', true)});
	runs_on($client, 'query', $get, 'standby', '22004');
	$client->run('ROLLBACK', 'BEGIN', q{SET LOCAL key_vault.user_id = 'user_a'});
	runs_on($client, 'query', $get, 'standby', $keys{user_a});
	$client->run('ROLLBACK');
	$client->close;
}

# --- Set up as it says; and what its log holds

my ($redirect) = doc_section('docs/drivers.md', 'Poolers') =~ /`(database_redirect_preference_list = [^`]*)`/;
restart_pool(($redirect =~ s/app/postgres/r) . "\nlog_statement = on\nlog_per_node_statement = on\nlog_client_messages = on\n");
{
	my $client = client();
	$client->run(q{SELECT set_config('key_vault.user_id', 'user_a', false)});
	runs_on($client, 'query', $who, 'primary', 'user_a');
	runs_on($client, 'query', 'SELECT user_id FROM key_vault.secrets', 'primary', 'user_a');
	$client->value(q{SELECT key_vault.set(NULL, 'exa', $1)}, 'exa-bound-0123456789');
	$client->run(q{SELECT key_vault.set(NULL, 'exa', 'exa-literal-0123456789')});
	$client->close;
	stop_pool();
	my $log = slurp_file("$folder/log");
	unlike($log, qr/exa-bound/, 'a key that is bound is not in pgpool\'s log');
	like($log, qr/exa-literal/, 'one that stands in a statement is, when pgpool logs statements');
}

done_testing();
