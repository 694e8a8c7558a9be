# A preloaded server's log, and pg_stat_activity, show no key: not at default settings, where
# the text of every failed statement is logged, and not with all of them on.  With
# redaction off the same statements show it: a test of the test.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultLog;
use KeyVaultTest;
use PostgreSQL::Test::Utils;
use Test::More;

my ($libraries) = run_command([ 'pg_config', '--pkglibdir' ]);
my @others = grep { -e "$libraries/$_.so" } qw(pgaudit auto_explain pg_stat_statements);
my $preload = join ',', 'key_vault', @others;
my $node = new_logging_vault('logging', preload => "shared_preload_libraries = '$preload'");
add_role($node, 'regress_kv_service', 'service');
$node->safe_psql('postgres', <<'END');
CREATE SCHEMA app;
CREATE TABLE app.incoming (user_id text, provider text, api_key text CHECK (length(api_key) > 3));
CREATE FUNCTION app.store() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE LOG 'storing % of %', NEW.api_key, NEW.user_id;
    PERFORM key_vault.set(NEW.user_id, NEW.provider, NEW.api_key);
    RETURN NULL;
END $$;
CREATE TRIGGER store BEFORE INSERT ON app.incoming FOR EACH ROW EXECUTE FUNCTION app.store();
CREATE FUNCTION app.save_key(u text, p text, k text, fail bool = false) RETURNS int LANGUAGE plpgsql AS $$ DECLARE v int; BEGIN
    v := key_vault.set(u, p, k);
    RAISE LOG 'saved %', k;
    IF fail THEN RAISE EXCEPTION 'cannot save %', k; END IF;
    RETURN v;
END $$;
GRANT USAGE ON SCHEMA app TO regress_kv_service;
GRANT INSERT, SELECT ON app.incoming TO regress_kv_service;
CREATE TABLE app.other (a int);
CREATE FUNCTION app.not_listed(k text) RETURNS int LANGUAGE plpgsql AS $$ DECLARE v int; BEGIN
    v := key_vault.set('user_a', 'gemini', k);
    RAISE LOG 'saved %', k;
    RAISE EXCEPTION 'cannot go on' USING DETAIL = 'The key is ' || k;
END $$;
END
$node->safe_psql('postgres', 'CREATE EXTENSION pg_stat_statements') if grep { $_ eq 'pg_stat_statements' } @others;
my $observer = session($node);

# name, SQLSTATE or undef, whether default settings log it, code that runs it with a key.
my $bound = 'SELECT key_vault.set($1, $2, $3)';
my @cases = (
	[ 'a syntax error', '42601', 1, sub { $_[0]->simple("SELECT key_vault.set('user_a', 'gemini', '$_[1]'") } ],
	[ 'a syntax error at the key', '42601', 1, sub { $_[0]->simple("SELECT key_vault.set('user_a', 'gemini' '$_[1]')") } ],
	[ 'a string that does not end', '42601', 1, sub { $_[0]->simple("SELECT key_vault.set('user_a', 'gemini', '$_[1])") } ],
	[ 'a quote in the key', '42601', 1, sub { $_[0]->simple("SELECT key_vault.set('user_a', 'gemini', '12345678'$_[1]')") } ],
	[ 'double quotes', '42703', 1, sub { $_[0]->simple("SELECT key_vault.set('user_a', 'gemini', \"1$_[1]\")") } ],
	[ 'no such function', '42883', 1, sub { $_[0]->simple("SELECT key_vault.set('user_a', '$_[1]')") } ],
	[ 'a value of the wrong type', '22...', 1, sub { $_[0]->simple("SELECT key_vault.set('user_a', 'gemini', 'k', 'default', '$_[1]')") } ],
	[ 'no rights', '42501', 1, sub { my $s = session($node, 'regress_kv_nobody'); $s->simple("SELECT key_vault.set('user_a', 'gemini', '$_[1]')") } ],
	[ 'an aborted transaction', '25P02', 1, sub { $_[0]->simple('BEGIN'); $_[0]->simple('SELECT 1/0');
			my $r = $_[0]->simple("SELECT key_vault.set('user_a', 'gemini', '$_[1]')"); $_[0]->simple('ROLLBACK'); $r } ],
	[ 'an error before set', '22012', 1, sub { $_[0]->simple("SELECT key_vault.set('user_a', 'gemini', '$_[1]') FROM (SELECT 1/0 AS x OFFSET 0) s WHERE x > 0") } ],
	[ 'an error in set', '42704', 1, sub { $_[0]->simple("SELECT key_vault.set('user_a', 'nonesuch', '$_[1]')") } ],
	[ 'an error after set', '22012', 1, sub { $_[0]->simple("SELECT 1 / (key_vault.set('user_a', 'gemini', '$_[1]') * 0)") } ],
	[ 'an error by the extended protocol', '42704', 1, sub { $_[0]->query("SELECT key_vault.set(\$1, 'nonesuch', '$_[1]')", 'user_a') } ],
	[ 'a bad bound value', '22...', 0, sub { $_[0]->query(q{SELECT key_vault.set($1, 'gemini', 'k', 'default', $2)}, 'user_a', $_[1]) } ],
	[ 'an error with a bound key', '42704', 0, sub { $_[0]->query($bound, 'user_a', 'nonesuch', $_[1]) } ],
	[ 'a bound key', undef, 0, sub { $_[0]->query($bound, 'user_a', 'gemini', $_[1]) } ],
	[ 'a literal key', undef, 0, sub { $_[0]->simple("SELECT key_vault.set('user_a', 'gemini', '$_[1]')") } ],
	[ 'a short key', undef, 0, sub { $_[0]->simple("SELECT key_vault.set('user_a', 'gemini', '$_[1]')") }, 6 ],
	[ 'dollar quotes', undef, 0, sub { $_[0]->simple("SELECT key_vault.set('user_a', 'gemini', \$k\$$_[1]\$k\$)") } ],
	[ 'PREPARE and EXECUTE', undef, 0, sub { my $r = $_[0]->simple("PREPARE p AS SELECT key_vault.set('user_a', 'gemini', \$1); EXECUTE p('$_[1]'); DEALLOCATE p"); $r } ],
	[ 'EXECUTE that fails', '42704', 1, sub { $_[0]->simple("PREPARE q AS SELECT key_vault.set('user_a', 'nonesuch', \$1)");
			my $r = $_[0]->simple("EXECUTE q('$_[1]')"); $_[0]->simple('DEALLOCATE q'); $r } ],
	[ 'an escaped name', '42704', 1, sub { $_[0]->simple(qq{SELECT U&"key\\005fvault" . U&"s!0065t" UESCAPE '!' ('user_a', 'nonesuch', '$_[1]')}) } ],
	[ 'a name over several lines', '42704', 1, sub { $_[0]->simple(qq{SELECT KEY_VAULT\n-- of the extension\n. /* here */ "set"('user_a', 'nonesuch', '$_[1]')}) } ],
	[ 'a bare name', '42704', 1, sub { $_[0]->simple('SET search_path = key_vault'); $_[0]->simple("SELECT set('user_a', 'nonesuch', '$_[1]')") } ],
	[ 'a bare name behind its search_path', '42704', 1, sub { $_[0]->simple("SET search_path = key_vault; SELECT set('user_a', 'nonesuch', '$_[1]')") } ],
	[ 'EXECUTE of an escaped name', '42704', 1, sub { $_[0]->simple("PREPARE r AS SELECT key_vault.set('user_a', 'nonesuch', \$1)");
			my $r = $_[0]->simple("EXECUTE U&\"\\0072\"('$_[1]')"); $_[0]->simple('DEALLOCATE r'); $r } ],
	[ 'DO', undef, 0, sub { $_[0]->simple("DO \$\$ BEGIN PERFORM key_vault.set('user_a', 'gemini', '$_[1]'); END \$\$") } ],
	[ 'DO that fails', '42704', 1, sub { $_[0]->simple("DO \$\$ BEGIN PERFORM key_vault.set('user_a', 'nonesuch', '$_[1]'); END \$\$") } ],
	[ 'dynamic SQL that fails', '42601', 1, sub { $_[0]->simple("DO \$\$ BEGIN EXECUTE format('SELECT key_vault.set(%L, %L %L)', 'user_a', 'gemini', '$_[1]'); END \$\$") } ],
	[ 'EXPLAIN ANALYZE', undef, 0, sub { $_[0]->simple("EXPLAIN (ANALYZE, VERBOSE) SELECT key_vault.set('user_a', 'gemini', '$_[1]')") } ],
	[ 'a .env file', undef, 0, sub { $_[0]->query('SELECT * FROM key_vault.import_dotenv($1, $2)', 'user_a', "EXA_API_KEY=$_[1]\n") } ],
	[ 'a passphrase', '22012', 0, sub { $_[0]->query(q{SELECT * FROM key_vault.import_keys('SELECT 1/0', $1)}, $_[1]) } ],
	[ 'a wrapper that fails', 'P0001', 1, sub { $_[0]->simple("SELECT app.save_key('user_a', 'gemini', '$_[1]', true)") } ],
	[ 'a wrapper that fails, bound', 'P0001', 1, sub { $_[0]->query(q{SELECT app.save_key('user_a', 'gemini', $1, true)}, $_[1]) } ],
	[ 'a wrapper', undef, 1, sub { $_[0]->query(q{SELECT app.save_key('user_a', 'gemini', $1)}, $_[1]) } ],
	[ 'COPY with a trigger', undef, 1, sub { $_[0]->copy('COPY app.incoming FROM STDIN', "user_a\tgemini\t$_[1]\n") } ],
	[ 'COPY with a trigger that fails', '42704', 1, sub { $_[0]->copy('COPY app.incoming FROM STDIN', "user_a\tnonesuch\t$_[1]\n") } ],
	[ 'an insert that a trigger takes', undef, 1, sub { $_[0]->query('INSERT INTO app.incoming VALUES ($1, $2, $3)', 'user_a', 'gemini', $_[1]) } ],
	[ 'a key with a prefix of our own providers', '42703', 1, sub { $_[0]->simple(q{SELECT key_vault.source('user_a', 'acme')});
			$_[0]->simple("SELECT 'acme-$_[1]A1b2C3d4E5', nonesuch") } ],
	[ 'a JSON web token', '42703', 1, sub { $_[0]->simple("SELECT 'eyJhbGciOiJIUzI1NiJ9.$_[1].$_[1]', nonesuch") } ],
	[ 'a key that only looks like one', '42703', 1, sub { $_[0]->simple("SELECT 'sk-$_[1]A1b2C3d4E5', nonesuch") } ],
);

sub run_all
{
	my ($settings) = @_;
	my %canaries;
	my $position = log_position($node);
	for my $case (@cases)
	{
		my ($name, $state, $by_default, $run, $length) = @$case;
		my $canary = $canaries{$name} = canary($length);
		my $session = session($node, 'regress_kv_service');
		my $result = $run->($session, $canary);
		my $got = $result->{error} ? $result->{error}{state} : undef;
		defined $state ? like($got, qr/^(?:$state)$/, "$settings, $name: $state") : is($got, undef, "$settings, $name: no error");
		$canaries{"$name, pg_stat_activity"} = activity_of($observer, $session);
		$session->close;
	}
	return (log_since($node, $position), \%canaries);
}

sub no_canary
{
	my ($settings, $since, $canaries) = @_;
	for my $case (@cases)
	{
		my $name = $case->[0];
		is_deeply(shown_in_formats($since, $canaries->{$name}), [], "$settings, $name: not in the log")
		  or diag(grep { shows($_, $canaries->{$name}) } split /^/, $since->{log});
		ok(!shows($canaries->{"$name, pg_stat_activity"}, $canaries->{$name}), "$settings, $name: not in pg_stat_activity")
		  or diag($canaries->{"$name, pg_stat_activity"});
	}
	return;
}

add_role($node, 'regress_kv_nobody');
$node->safe_psql('postgres', q{SELECT key_vault.add_provider('acme', key_prefixes => '{acme-}')});
$node->safe_psql('postgres', q{ALTER SYSTEM SET key_vault.redact_names = 'app.incoming, app.save_key'; SELECT pg_reload_conf()});

# --- Default settings

my ($since, $canaries) = run_all('default settings');
no_canary('default settings', $since, $canaries);
like($since->{log}, qr/ERROR:  syntax error at end of input at character \d+\n.*STATEMENT:  SELECT key_vault\.set\(\$1, \$2, \$3\n/,
	'a statement keeps its shape, the error its message and position');
like($since->{csv}, qr/"syntax error at end of input",+"SELECT key_vault\.set\(\$1, \$2, \$3",\d+,/, 'so does CSV');
like($since->{json}, qr/"message":"syntax error at end of input","statement":"SELECT key_vault\.set\(\$1, \$2, \$3","cursor_position":\d+,/, 'and JSON');
like($since->{log}, qr/ERROR:  permission denied for schema key_vault at character 8\n.*STATEMENT:  SELECT key_vault\.set\(\$1, \$2, \$3\)\n/, 'of one without rights, too');
like($since->{log}, qr/STATEMENT:  SELECT 1\/0\n/, 'a statement without secrets is as it was');
like($since->{log}, qr/STATEMENT:  EXECUTE q\(\$1\)\n/, 'EXECUTE of what carries secrets');
like($since->{log}, qr/SQL statement "SELECT key_vault\.set\('\*\*\*\*', '\*\*\*\*', '\*\*\*\*'\)"/, 'a context keeps its shape');
like($since->{log}, qr/provider "nonesuch" is not registered/, 'our messages are as they were');

# What no list names is hidden from when the key has been passed on
for my $bound (0, 1)
{
	my $canary = canary();
	my $position = log_position($node);
	my $session = session($node, 'regress_kv_service');
	my $result = $bound ? $session->query('SELECT app.not_listed($1)', $canary) : $session->simple("SELECT app.not_listed('$canary')");
	is($result->{error}{state}, 'P0001', 'a wrapper that is not listed fails after set');
	$since = log_since($node, $position);
	is_deeply(shown_in_formats($since, $canary), [], 'and the log has no key');
	like($since->{log}, qr/LOG:  saved \*{4}\n.*DETAIL:  The key is \*{4}\n/s, 'but what the wrapper says');
}

# --- Everything on

my $everything = <<'END';
log_statement = all
log_min_duration_statement = 0
log_parameter_max_length = -1
log_parameter_max_length_on_error = -1
log_min_messages = debug5
log_min_error_statement = debug5
log_error_verbosity = verbose
log_parser_stats = on
log_planner_stats = on
log_executor_stats = on
debug_print_parse = on
debug_print_rewritten = on
debug_print_plan = on
compute_query_id = on
END
$everything .= <<'END' if grep { $_ eq 'auto_explain' } @others;
auto_explain.log_min_duration = 0
auto_explain.log_analyze = on
auto_explain.log_verbose = on
auto_explain.log_nested_statements = on
END
$everything .= <<'END' if grep { $_ eq 'pgaudit' } @others;
pgaudit.log = all
pgaudit.log_parameter = on
pgaudit.log_relation = on
END
$everything .= <<'END' if grep { $_ eq 'pg_stat_statements' } @others;
pg_stat_statements.track = all
pg_stat_statements.track_utility = on
END
$node->append_conf('postgresql.conf', $everything);
$node->reload;
$node->poll_query_until('postgres', q{SELECT current_setting('log_min_messages') = 'debug5'});
$observer->run('SET log_min_messages = panic', 'SET log_statement = none', 'SET log_min_duration_statement = -1');
($since, $canaries) = run_all('everything on');
no_canary('everything on', $since, $canaries);
like($since->{log}, qr/LOG:  00000: execute <unnamed>: SELECT key_vault\.set\(\$1, \$2, \$3\)\n/, 'log_statement keeps the shape');
like($since->{log}, qr/DETAIL:  [Pp]arameters: \$1 = '\*\*\*\*', \$2 = '\*\*\*\*', \$3 = '\*\*\*\*'\n/, 'parameters are there, without values');
like($since->{log}, qr/duration: [0-9.]+ ms  plan:\n\tQuery Text: SELECT key_vault\.set\('\*\*\*\*'/, 'auto_explain keeps the shape') if grep { $_ eq 'auto_explain' } @others;
like($since->{log}, qr/AUDIT: SESSION,[0-9]+,[0-9]+,READ,SELECT,,,"?SELECT key_vault\.set\(\$1, \$2, \$3\)"?,\*\*\*\*/, 'so does pgaudit') if grep { $_ eq 'pgaudit' } @others;

if (grep { $_ eq 'pg_stat_statements' } @others)
{
	my $statements = $observer->value('SELECT string_agg(query, chr(10)) FROM pg_stat_statements');
	is_deeply([ grep { !/activity/ && shows($statements, $canaries->{$_}) } sort keys %$canaries ], [], 'pg_stat_statements has none');
	like($statements, qr/SELECT key_vault\.set\(\$1, \$2, \$3\)/, 'but it has the call with bound keys');
}

# --- Redaction off

$node->append_conf('postgresql.conf', "key_vault.redact = off\n");
$node->reload;
$node->poll_query_until('postgres', q{SELECT current_setting('key_vault.redact') = 'off'});
($since, $canaries) = run_all('redaction off');
for my $case (@cases)
{
	my $name = $case->[0];
	cmp_ok(scalar @{ shown_in_formats($since, $canaries->{$name}) }, '==', 3, "redaction off, $name: in the log, in each format");
}

done_testing();
