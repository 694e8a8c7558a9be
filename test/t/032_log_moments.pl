# Secrets while a statement runs, and when something ends it: what another session sees, what
# a cancel, a time limit, a deadlock and a crash log, what pg_stat_statements gets by a reset
# meanwhile; and what a preload by the session, or none, changes.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultLog;
use KeyVaultTest;
use PostgreSQL::Test::Utils;
use Test::More;

my ($libraries) = run_command([ 'pg_config', '--pkglibdir' ]);
my $has_statements = -e "$libraries/pg_stat_statements.so";
my $preload = $has_statements ? 'pg_stat_statements,key_vault' : 'key_vault';
my $node = new_logging_vault('moments', preload => "shared_preload_libraries = '$preload'", conf => <<'END');
deadlock_timeout = 10ms
log_lock_waits = on
restart_after_crash = on
compute_query_id = on
END
$node->append_conf('postgresql.conf', "pg_stat_statements.track = all\n") if $has_statements;
$node->restart if $has_statements;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_stat_statements') if $has_statements;
add_role($node, 'regress_kv_service', 'service');
$node->safe_psql('postgres', 'CREATE TABLE rows (id int PRIMARY KEY, n int); INSERT INTO rows VALUES (1), (2); GRANT ALL ON rows TO regress_kv_service');
my $observer = session($node);

sub wait_for
{
	my ($event, $session) = @_;
	return $node->poll_query_until('postgres',
		"SELECT wait_event = '$event' FROM pg_stat_activity WHERE pid = " . $session->pid);
}

# --- While it runs

my %forms = (
	'before set' => sub { "SELECT pg_sleep(600), key_vault.set('user_a', 'exa', '$_[0]')" },
	'after set' => sub { "SELECT key_vault.set('user_a', 'exa', '$_[0]'), pg_sleep(600)" },
	'in DO' => sub { "DO \$\$ BEGIN PERFORM key_vault.set('user_a', 'exa', '$_[0]'); PERFORM pg_sleep(600); END \$\$" },
	'in CREATE TABLE AS' => sub { "CREATE TEMP TABLE t AS SELECT key_vault.set('user_a', 'exa', '$_[0]'), pg_sleep(600) IS NULL AS slept" });
for my $protocol (qw(simple extended named pipeline))
{
	for my $form (sort keys %forms)
	{
		my $name = "$protocol, $form";
		my $position = log_position($node);
		my $canary = canary();
		my $session = session($node, 'regress_kv_service');
		$session->send_by($protocol, $forms{$form}->($canary));
		wait_for('PgSleep', $session);
		my $seen = activity_of($observer, $session);
		ok(!shows($seen, $canary), "$name: another session does not see the key");
		like($seen, $form eq 'in DO' ? qr/^DO \$1$/ : qr/key_vault\.set\(\$\d+, \$\d+, \$\d+\)/, "$name: but the statement's shape");
		# a statement in it has an id of its own
		outcome_is($observer, '0', "$name: it has no query id", 'SELECT coalesce(query_id, 0) FROM pg_stat_activity WHERE pid = $1::int', $session->pid)
		  unless $form eq 'in DO';
		$observer->query('SELECT pg_stat_statements_reset()') if $has_statements;
		$observer->value('SELECT pg_cancel_backend($1::int)', $session->pid);
		is($session->receive->{error}{state}, '57014', "$name: cancelled");
		is_deeply(shown_in_formats(log_since($node, $position), $canary), [], "$name: the log has no key");
		ok(!shows(activity_of($observer, $session), $canary), "$name: nor does another session see it afterwards");
		$session->close;
	}
}

# --- The same text, time and again

{
	my $position = log_position($node);
	my $session = session($node, 'regress_kv_service');
	my $own = '(SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid())';
	my $run = sub { my ($text, @keys) = @_; return $session->value($text, @keys) . ' after ' . activity_of($observer, $session); };
	for my $alias (qw(one two))
	{
		my $text = "SELECT $own AS $alias, key_vault.set('user_a', 'exa', \$1)";
		is($run->($text, canary()), join(' after ', ("SELECT (SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()) AS $alias, key_vault.set(\$2, \$3, \$1)") x 2),
			"$alias, $_: is shown as it is, without its literals") for 1 .. 3;
	}
	my $bound = "SELECT $own, key_vault.set(\$1, \$2, \$3)";
	is($session->value($bound, 'user_a', 'exa', canary()) . ' after ' . activity_of($observer, $session), "$bound after $bound", "without literals, $_: is shown as it is") for 1 .. 3;
	my $canary = canary();
	like($run->("SELECT $own AS tri, key_vault.set('user_a', 'exa', '$canary')"), qr/AS tri, key_vault\.set\(\$1, \$2, \$3\)/, 'the same but for a literal key: it is not shown') for 1 .. 2;
	if ($node->pg_version->major < 19)
	{
		# a name, or within a literal: it depends on whether backslashes escape
		my $text = "SELECT $own, key_vault.set('user_a', 'exa', \$1), '\\'', ' k$canary --'\n";
		$session->run('SET escape_string_warning = off');
		ok(shows($run->($text, canary()), $canary), 'a name is shown');
		$session->run('SET standard_conforming_strings = off');
		ok(!shows($run->($text, canary()), $canary), 'and not any more where it has become a literal');
	}
	is_deeply(shown_in_formats(log_since($node, $position), $canary), [], 'nor is it logged');
}

# --- The same text, which carried no secrets before

$node->safe_psql('postgres', 'CREATE FUNCTION stores(value text, place text) RETURNS text LANGUAGE sql RETURN value || place');
for my $case (
	[ 'redact_names', q{SELECT stores($1, '%s')}, [q{SET key_vault.redact_names = 'stores'}], [q{RESET key_vault.redact_names}] ],
	[ 'another name in redact_names', q{SELECT stores($1, '%s')}, [q{SET key_vault.redact_names = 'stored'}, q{SET key_vault.redact_names = 'stores'}], [q{SET key_vault.redact_names = 'stored'}] ],
	[ 'search_path', q{SELECT set('user_a', 'exa', $1, '%s')}, ['SET search_path = key_vault, pg_catalog'], ['SET search_path = public'] ],
	[ 'what EXECUTE means', q{EXECUTE p('$1 %s')}, [ 'DEALLOCATE p', q{PREPARE p (text) AS SELECT key_vault.set('user_a', 'exa', $1)} ], undef, q{PREPARE p (text) AS SELECT $1} ])
{
	my ($name, $form, $change, $back, $before) = @$case;
	my $session = session($node);
	my $canary = canary();
	my $text = sprintf $form, $canary;
	my @bound = $text =~ /EXECUTE/ ? () : ('abc');
	my $shown = sub { $session->query($text, @bound); return shows(activity_of($observer, $session), $canary) };
	$session->run($before) if $before;
	ok($shown->(), "$name: the text is shown") for 1 .. 2;
	$session->run(@$change, q{SET log_statement = 'all'});
	my $position = log_position($node);
	ok(!$shown->(), "$name: it is not, once it carries secrets") for 1 .. 2;
	$session->query("$text /");
	is_deeply(shown_in_formats(log_since($node, $position), $canary), [], "$name: nor in the log");
	next unless $back;
	$session->run(@$back);
	ok($shown->(), "$name: and it is shown again");
	$session->close;
}

# --- In parallel workers

$node->safe_psql('postgres', <<'END');
CREATE FUNCTION checked_slowly(k text) RETURNS bool LANGUAGE plpgsql PARALLEL SAFE AS $$ BEGIN PERFORM pg_sleep(600); RETURN true; END $$;
CREATE FUNCTION checked(k text) RETURNS bool LANGUAGE plpgsql PARALLEL SAFE AS $$ BEGIN
	RAISE LOG 'checking %', k;
	RAISE EXCEPTION 'cannot check % in process %', k, pg_backend_pid();
END $$;
ALTER SYSTEM SET key_vault.redact_names = 'checked_slowly, checked';
SELECT pg_reload_conf();
END
$node->poll_query_until('postgres', q{SELECT current_setting('key_vault.redact_names') <> ''});
for my $bound (0, 1)
{
	my $name = $bound ? 'a parallel worker, bound' : 'a parallel worker';
	my $position = log_position($node);
	my $canary = canary();
	my ($literal, @parameters) = $bound ? ('$1', $canary) : "'$canary'";
	my $session = session($node);
	$session->run(q{SELECT set_config(name, CASE vartype WHEN 'enum' THEN 'on' ELSE '0' END, false) FROM pg_settings
		WHERE name IN ('force_parallel_mode', 'debug_parallel_query', 'parallel_setup_cost', 'parallel_tuple_cost')},
		'SET log_parameter_max_length_on_error = -1', 'SET plan_cache_mode = force_generic_plan');
	$session->send("SELECT checked_slowly($literal) FROM rows", @parameters);
	my $workers = 'SELECT string_agg(query, chr(10)) FROM pg_stat_activity WHERE leader_pid = ' . $session->pid;
	$node->poll_query_until('postgres', "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND leader_pid = " . $session->pid);
	my $seen = $observer->value($workers);
	ok(!shows($seen, $canary), "$name: another session does not see the key");
	like($seen, qr/^SELECT checked_slowly\(\$1\) FROM rows$/, "$name: but the statement's shape");
	$observer->value('SELECT pg_cancel_backend($1::int)', $session->pid);
	is($session->receive->{error}{state}, '57014', "$name: cancelled");
	my $error = $session->query("SELECT checked($literal) FROM rows", @parameters)->{error};
	is($error->{state}, 'P0001', "$name: an error in it");
	unlike($error->{message}, qr/process @{[ $session->pid ]}$/, "$name: which is not the leader");
	ok(!shows(join("\n", values %$error), $canary), "$name: the client is not told the key") or diag(explain $error);
	is_deeply(shown_in_formats(log_since($node, $position), $canary), [], "$name: the log has none");
}

# --- pg_stat_statements

SKIP:
{
	skip 'pg_stat_statements is not installed', 4 unless $has_statements;
	my $literal = canary();
	my $bound = canary();
	my $session = session($node, 'regress_kv_service');
	$session->send_by('simple', "SELECT key_vault.set('user_a', 'exa', '$literal'), pg_sleep(0.5)");
	wait_for('PgSleep', $session);
	$observer->query('SELECT pg_stat_statements_reset()');
	is($session->receive->{error}, undef, 'a statement whose entry is reset while it runs');
	$session->query('SELECT key_vault.set($1, $2, $3)', 'user_a', 'exa', $bound);
	my $statements = $observer->value('SELECT string_agg(query, chr(10)) FROM pg_stat_statements');
	ok(!shows($statements, $_), 'is not kept with its key') for $literal, $bound;
	like($statements, qr/SELECT key_vault\.set\(\$1, \$2, \$3\)/, 'one with a bound key is kept');
}

# --- Ended from outside

{
	my $position = log_position($node);
	my $canary = canary();
	my $session = session($node, 'regress_kv_service');
	$session->run(q{SET statement_timeout = '50ms'});
	is($session->simple("SELECT key_vault.set('user_a', 'exa', '$canary'), pg_sleep(600)")->{error}{state}, '57014', 'a statement that takes too long');
	my $since = log_since($node, $position);
	is_deeply(shown_in_formats($since, $canary), [], 'is logged without its key');
	like($since->{log}, qr/canceling statement due to statement timeout\n.*STATEMENT:  SELECT key_vault\.set\(\$1, \$2, \$3\), pg_sleep\(\$4\)/, 'but with its shape');
}
{
	my $position = log_position($node);
	my @canaries = (canary(), canary());
	my @sessions = map { session($node, 'regress_kv_service') } 0, 1;
	for my $i (0, 1)
	{
		$sessions[$i]->run('BEGIN', 'UPDATE rows SET n = 1 WHERE id = ' . ($i + 1));
	}
	for my $i (0, 1)
	{
		$sessions[$i]->send_by('simple',
			"WITH k AS MATERIALIZED (SELECT key_vault.set('user_$i', 'exa', '$canaries[$i]') AS v) UPDATE rows SET n = v FROM k WHERE id = " . (2 - $i));
	}
	my @states = sort map { $_->receive->{error}{state} // '' } @sessions;
	is_deeply(\@states, [ '', '40P01' ], 'a deadlock ends one of two');
	my $since = log_since($node, $position);
	is_deeply(shown_in_formats($since, $_), [], 'and is logged without keys') for @canaries;
	like($since->{log}, qr/Process \d+: WITH k AS MATERIALIZED \(SELECT key_vault\.set\(\$\d, \$\d, \$\d\)/, 'but with the shape of both statements');
}
{
	my $position = log_position($node);
	my $canary = canary();
	my $session = session($node, 'regress_kv_service');
	$session->send_by('simple', "SELECT key_vault.set('user_a', 'exa', '$canary'), pg_sleep(600)");
	wait_for('PgSleep', $session);
	kill 'KILL', $session->pid;
	ok($session->receive->{error}, 'a backend is killed');
	is_up_again($node) or die 'no restart';
	my $since = log_since($node, $position);
	is_deeply(shown_in_formats($since, $canary), [], 'the postmaster logs no key');
	like($since->{log}, qr/Failed process was running: SELECT key_vault\.set\(\$1, \$2, \$3\), pg_sleep\(\$4\)/, 'but what it ran');
}

# Nothing of it stays behind
my @last = (canary(), canary());
{
	my $session = session($node, 'regress_kv_service');
	$session->simple("SELECT key_vault.set('user_a', 'exa', '$last[0]')");
	$session->simple("CREATE TEMP TABLE t AS SELECT key_vault.set('user_a', 'exa', '$last[1]')");
	$session->query('SELECT 1 AS kept_in_statistics');
}
$node->stop;
my $statistics = join '', map { slurp_file($_) } grep { -f } glob($node->data_dir . '/pg_stat/* ' . $node->data_dir . '/pg_stat_tmp/*');
ok(!shows($statistics, $_), 'statistics on disk have no key') for @last;
like($statistics, qr/kept_in_statistics/, 'but texts of statements') if $has_statements;

# --- Preloaded by the session

my $second = new_logging_vault('by_session', preload => "session_preload_libraries = 'key_vault'");
add_role($second, 'regress_kv_service', 'service');
{
	my $position = log_position($second);
	my $canary = canary();
	my $session = session($second, 'regress_kv_service');
	is($session->simple("SELECT key_vault.set('user_a', 'exa' '$canary')")->{error}{state}, '42601', 'preloaded by the session: its first statement fails');
	ok(!shows(activity_of(session($second), $session), $canary), 'and is not seen');
	my $since = log_since($second, $position);
	is_deeply(shown_in_formats($since, $canary), [], 'and not logged');
	like($since->{log}, qr/STATEMENT:  SELECT key_vault\.set\(\$1, \$2 \$3\)/, 'but its shape is');
	my $result = session($second, 'regress_kv_service')->simple("SELECT key_vault.set('user_a', 'exa', '$canary')");
	like($result->{notices}[0]{detail}, qr/for a moment/, 'a literal key brings a WARNING all the same');
}

# --- Not preloaded

$second->append_conf('postgresql.conf', "session_preload_libraries = ''\n");
$second->reload;
$second->poll_query_until('postgres', q{SELECT current_setting('session_preload_libraries') = ''});
{
	my $position = log_position($second);
	my $canary = canary();
	my $session = session($second, 'regress_kv_service');
	my $result = $session->simple("SELECT key_vault.set('user_a', 'exa', '$canary')");
	is(warned($result, '01000'), 1, 'not preloaded: a literal key brings a WARNING');
	like($result->{notices}[0]{hint}, qr/shared_preload_libraries/, 'which names the setting that mends it');
	ok(!shows(activity_of(session($second), $session), $canary), 'it is not seen after the call');
	is_deeply(shown_in_formats(log_since($second, $position), $canary), [], 'nor in the log');
	$session = session($second, 'regress_kv_service');
	$session->simple("SELECT key_vault.set('user_a', 'exa' '$canary')");
	is(scalar @{ shown_in_formats(log_since($second, $position), $canary) }, 3, 'but a first statement that fails is logged with its key');
}

done_testing();
