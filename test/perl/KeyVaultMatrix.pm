# The matrix of what may bring a key into the log: settings, ways to speak to the server, forms
# of a statement, functions that take a secret.  Each cell has a key of its own, and is run
# by run_cell().
package KeyVaultMatrix;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(matrix_objects matrix_settings matrix_cells matrix_impossible run_cell keys_in NAP_LOCK);

our @protocols = qw(simple extended named pipeline);

# --- Keys

# Letters of which no word has six in a row: so that one search finds every key.
my $letters = 'qxjzwkv';

sub run_of
{
	my ($length) = @_;
	return join '', map { substr($letters, rand length $letters, 1) } 1 .. $length;
}

# How keys are spelled: plain, with quotes, backslashes, UTF-8; and one of less than 8 bytes,
# which is hidden where the statement's text is, but not in a message that a function raises.
my @kinds = (
	sub { run_of(24) },
	sub { run_of(12) . "'s " . run_of(12) },
	sub { run_of(12) . '"\\n' . run_of(12) . '\\' },
	sub { run_of(12) . "\xc3\xa9\xe6\x97\xa5" . run_of(12) },
	sub { run_of(7) });

# Every run of six in a text, also as the numbers of bytes in a tree.
sub keys_in
{
	my ($text) = @_;
	my %found;
	my $note = sub {
		my ($run) = @_;
		$found{ substr($run, $_, 6) } = 1 for 0 .. length($run) - 6;
	};
	$note->($1) while $text =~ /([$letters]{6,})/go;
	while ($text =~ /\[ ((?:-?\d+\s+)+)\]/g)
	{
		my $bytes = join '', map { chr($_ & 255) } split ' ', $1;
		$note->($1) while $bytes =~ /([$letters]{6,})/go;
	}
	return \%found;
}

# --- Functions that take a secret: as a scalar, of the SQL for the secret

my %functions = (
	set => {
		call => sub { "key_vault.set('user_a', 'exa', $_[0])" },
		named => sub { "key_vault.set(provider => 'exa', api_key => $_[0], user_id => 'user_a')" },
		failing => sub { "key_vault.set('user_a', 'nonesuch', $_[0])" },
		secret => sub { $_[0] } },
	inspect_key => {
		call => sub { "(SELECT count(*) FROM key_vault.inspect_key('exa', $_[0]))" },
		named => sub { "(SELECT count(*) FROM key_vault.inspect_key(api_key => $_[0], provider => 'exa'))" },
		failing => sub { "(SELECT count(*) FROM key_vault.inspect_key('nonesuch', $_[0]))" },
		secret => sub { $_[0] } },
	import_dotenv => {
		call => sub { "(SELECT count(*) FROM key_vault.import_dotenv('user_a', $_[0]))" },
		named => sub { "(SELECT count(*) FROM key_vault.import_dotenv(content => $_[0], user_id => 'user_a'))" },
		failing => sub { "(SELECT count(*) FROM key_vault.import_dotenv(NULL, $_[0]))" },
		secret => sub { my $key = $_[0]; $key =~ tr/'"\\ //d; "EXA_API_KEY=$key" } },
	import_keys => {
		call => sub { "(SELECT imported FROM key_vault.import_keys('SELECT NULL::text, NULL::text, NULL::text WHERE false', $_[0]))" },
		named => sub { "(SELECT imported FROM key_vault.import_keys(passphrase => $_[0], query => 'SELECT NULL::text, NULL::text, NULL::text WHERE false'))" },
		failing => sub { "(SELECT imported FROM key_vault.import_keys('SELECT nonesuch', $_[0]))" },
		secret => sub { $_[0] } },
	# what is no token is refused
	authenticate => {
		call => sub { "(SELECT count(*) FROM key_vault.authenticate($_[0]))" },
		named => sub { "(SELECT count(*) FROM key_vault.authenticate(token => $_[0]))" },
		failing => sub { "(SELECT count(*) FROM key_vault.authenticate($_[0]))" },
		secret => sub { $_[0] },
		refuses => 1 },
	# the secret is an issuer's symmetric key
	trust_issuer => {
		call => sub { "(SELECT count(*) FROM key_vault.trust_issuer('matrix', '{a}', ($_[0])::jsonb))" },
		named => sub { "(SELECT count(*) FROM key_vault.trust_issuer(jwks => ($_[0])::jsonb, issuer => 'matrix', audience => '{a}'))" },
		failing => sub { "(SELECT count(*) FROM key_vault.trust_issuer('matrix', '{}', ($_[0])::jsonb))" },
		secret => sub { my $key = $_[0]; $key =~ s/[^$letters]//g; qq({"keys": [{"kty": "oct", "alg": "HS256", "k": ") . substr($key . run_of(48), 0, 48) . '"}]}' } });
our @functions = sort keys %functions;

# All of a function, or all with a nap in front of the call: see matrix_objects().
sub function_with
{
	my ($name, $nap) = @_;
	my %function = (%{ $functions{$name} }, name => $name);
	return \%function unless $nap;
	for my $how (qw(call named failing))
	{
		my $call = $function{$how};
		$function{$how} = sub { '(matrix.nap() + ' . $call->(@_) . ')' };
	}
	return \%function;
}

# --- How a secret is written

sub plain { my ($secret) = @_; $secret =~ s/'/''/g; return "'$secret'"; }

sub escaped
{
	my ($secret) = @_;
	$secret =~ s/(['\\])/\\$1/g;
	$secret =~ s/^(.)/sprintf '\\x%02x', ord $1/e;
	return "E'$secret'";
}

sub unicode
{
	my ($secret) = @_;
	$secret =~ s/\\/\\\\/g;
	$secret =~ s/'/''/g;
	$secret =~ s/^([a-zA-Z])/sprintf '\\%04x', ord $1/e;
	return "U&'$secret'";
}

sub dollars { return "\$of_key\$$_[0]\$of_key\$"; }

# Not within a character
sub concatenated
{
	my ($secret) = @_;
	$secret =~ /^([\x00-\x7f]{3})(.*)$/s;
	return plain($1) . ' || ' . plain($2);
}

# --- Forms: the steps of a cell, [SQL, parameters]; COPY has its data as { copy => }

my %forms = (
	bound => { steps => sub { my ($f, $k) = @_; [ 'SELECT ' . $f->{call}->('$1') . ' AS done', $k ] }, binds => 1 },
	literal => { steps => sub { my ($f, $k) = @_; [ 'SELECT ' . $f->{call}->(plain($k)) ] } },
	escaped => { steps => sub { my ($f, $k) = @_; [ 'SELECT ' . $f->{call}->(escaped($k)) ] } },
	unicode => { steps => sub { my ($f, $k) = @_; [ 'SELECT ' . $f->{call}->(unicode($k)) ] } },
	dollars => { steps => sub { my ($f, $k) = @_; [ 'SELECT ' . $f->{call}->(dollars($k)) ] } },
	concatenated => { steps => sub { my ($f, $k) = @_; [ 'SELECT ' . $f->{call}->(concatenated($k)) ] } },
	cast => { steps => sub { my ($f, $k) = @_; [ 'SELECT ' . $f->{call}->('CAST(' . plain($k) . '::varchar AS text)') ] } },
	named => { steps => sub { my ($f, $k) = @_; [ 'SELECT ' . $f->{named}->(plain($k)) ] } },
	named_bound => { steps => sub { my ($f, $k) = @_; [ 'SELECT ' . $f->{named}->('$1'), $k ] }, binds => 1 },
	prepare => { steps => sub { my ($f, $k) = @_;
		([ 'PREPARE of_cell (text) AS SELECT ' . $f->{call}->('$1') ], [ 'EXECUTE of_cell (' . plain($k) . ')' ], ['DEALLOCATE of_cell']) } },
	do => { steps => sub { my ($f, $k) = @_; [ 'DO $do$ BEGIN PERFORM ' . $f->{call}->(plain($k)) . '; END $do$' ] } },
	do_failing => { fails => 1, steps => sub { my ($f, $k) = @_; [ 'DO $do$ BEGIN PERFORM ' . $f->{failing}->(plain($k)) . '; END $do$' ] } },
	format => { steps => sub { my ($f, $k) = @_;
		[ 'DO $do$ BEGIN EXECUTE format($x$SELECT ' . $f->{call}->('%L') . '$x$, ' . plain($k) . '); END $do$' ] } },
	sql_wrapper => { steps => sub { my ($f, $k) = @_; [ "SELECT matrix.sql_$f->{name}(" . plain($k) . ')' ] } },
	sql_wrapper_bound => { steps => sub { my ($f, $k) = @_; [ "SELECT matrix.sql_$f->{name}(\$1)", $k ] }, binds => 1 },
	plpgsql_wrapper => { raises => 1, steps => sub { my ($f, $k) = @_; [ "SELECT matrix.pl_$f->{name}(" . plain($k) . ')' ] } },
	plpgsql_wrapper_bound => { raises => 1, steps => sub { my ($f, $k) = @_; [ "SELECT matrix.pl_$f->{name}(\$1)", $k ] }, binds => 1 },
	wrapper_failing => { raises => 1, fails => 1, steps => sub { my ($f, $k) = @_; [ "SELECT matrix.failing_$f->{name}(" . plain($k) . ')' ] } },
	wrapper_failing_bound => { raises => 1, fails => 1, steps => sub { my ($f, $k) = @_; [ "SELECT matrix.failing_$f->{name}(\$1)", $k ] }, binds => 1 },
	call => { raises => 1, steps => sub { my ($f, $k) = @_; [ "CALL matrix.procedure_$f->{name}(" . plain($k) . ')' ] } },
	call_bound => { raises => 1, steps => sub { my ($f, $k) = @_; [ "CALL matrix.procedure_$f->{name}(\$1)", $k ] }, binds => 1 },
	domain_bound => { raises => 1, steps => sub { my ($f, $k) = @_; [ "SELECT matrix.pl_$f->{name}(\$1::matrix.of_keys)", $k ] }, binds => 1 },
	trigger => { raises => 1, steps => sub { my ($f, $k) = @_; [ "INSERT INTO matrix.table_$f->{name} VALUES (" . plain($k) . ')' ] } },
	trigger_bound => { raises => 1, steps => sub { my ($f, $k) = @_; [ "INSERT INTO matrix.table_$f->{name} VALUES (\$1)", $k ] }, binds => 1 },
	copy => { raises => 1, copies => 1, steps => sub { my ($f, $k) = @_; [ "COPY matrix.table_$f->{name} FROM STDIN", { copy => $k } ] } },
	copy_failing => { raises => 1, fails => 1, copies => 1, steps => sub { my ($f, $k) = @_; [ "COPY matrix.failing_table_$f->{name} FROM STDIN", { copy => $k } ] } },
	rule => { steps => sub { my ($f, $k) = @_; [ "INSERT INTO matrix.view_$f->{name} VALUES (" . plain($k) . ')' ] } },
	rule_bound => { steps => sub { my ($f, $k) = @_; [ "INSERT INTO matrix.view_$f->{name} VALUES (\$1)", $k ] }, binds => 1 },
	cursor => { steps => sub { my ($f, $k) = @_;
		(['BEGIN'], [ 'DECLARE of_cell CURSOR FOR SELECT ' . $f->{call}->(plain($k)) ], ['FETCH of_cell'], ['COMMIT']) } },
	cursor_wrapper => { raises => 1, steps => sub { my ($f, $k) = @_;
		(['BEGIN'], [ "DECLARE of_cell CURSOR FOR SELECT matrix.pl_$f->{name}(" . plain($k) . ')' ], ['FETCH of_cell'], ['COMMIT']) } },
	cursor_wrapper_bound => { raises => 1, steps => sub { my ($f, $k) = @_;
		(['BEGIN'], [ "DECLARE of_cell CURSOR FOR SELECT matrix.pl_$f->{name}(\$1)", $k ], ['FETCH of_cell'], ['COMMIT']) }, binds => 1 },
	cte => { steps => sub { my ($f, $k) = @_; [ 'WITH k AS MATERIALIZED (SELECT ' . plain($k) . '::text AS k) SELECT ' . $f->{call}->('k') . ' FROM k' ] } },
	explain => { steps => sub { my ($f, $k) = @_; [ 'EXPLAIN (ANALYZE, VERBOSE) SELECT ' . $f->{call}->(plain($k)) ] } },
	create_as => { steps => sub { my ($f, $k) = @_;
		([ 'CREATE TEMP TABLE of_cell AS SELECT ' . $f->{call}->(plain($k)) . ' AS done' ], ['DROP TABLE IF EXISTS of_cell']) } },
	values => { steps => sub { my ($f, $k) = @_; [ 'SELECT ' . $f->{call}->('v.k') . ' FROM (VALUES (' . plain($k) . ')) AS v (k)' ] } },
	error_before => { fails => 1, steps => sub { my ($f, $k) = @_; [ "SELECT 'x'::int, " . $f->{call}->(plain($k)) ] } },
	error_before_bound => { fails => 1, steps => sub { my ($f, $k) = @_; [ "SELECT 1/(1 - \$2::int), " . $f->{call}->('$1'), $k, '1' ] }, binds => 1 },
	error_in => { fails => 1, steps => sub { my ($f, $k) = @_; [ 'SELECT ' . $f->{failing}->(plain($k)) ] } },
	error_in_bound => { fails => 1, steps => sub { my ($f, $k) = @_; [ 'SELECT ' . $f->{failing}->('$1'), $k ] }, binds => 1 },
	error_after => { fails => 1, steps => sub { my ($f, $k) = @_; [ 'SELECT 1/(0 * ' . $f->{call}->(plain($k)) . ')' ] } },
	error_after_bound => { fails => 1, steps => sub { my ($f, $k) = @_; [ 'SELECT 1/(0 * ' . $f->{call}->('$1') . ')', $k ] }, binds => 1 },
	wrong_type => { fails => 1, steps => sub { my ($f, $k) = @_; [ 'SELECT ' . $f->{call}->(plain($k)) . ', ' . plain($k) . '::int' ] } },
	wrong_type_bound => { fails => 1, steps => sub { my ($f, $k) = @_; [ 'SELECT ' . $f->{call}->('$1') . ', $2::int', $k, $k ] }, binds => 1 },
	syntax_error => { fails => 1, steps => sub { my ($f, $k) = @_; [ 'SELECT ' . $f->{call}->(plain($k)) . ' ' . plain($k) . ' (' ] } },
	aborted => { fails => 1, steps => sub { my ($f, $k) = @_;
		(['BEGIN'], ['SELECT 1/0'], [ 'SELECT ' . $f->{call}->(plain($k)) ], ['ROLLBACK']) } });
our @forms = sort keys %forms;

# Who holds this advisory lock lets those wait who take a nap: where the setting matrix.nap is on.
use constant NAP_LOCK => 4711;

# What wrappers, triggers and rules need.
sub matrix_objects
{
	my $lock = NAP_LOCK;
	my $sql = <<"END";
CREATE SCHEMA matrix;
CREATE DOMAIN matrix.of_keys AS text;
CREATE FUNCTION matrix.nap() RETURNS int LANGUAGE plpgsql AS \$\$ BEGIN
	IF current_setting('matrix.nap', true) = 'on' THEN
		PERFORM pg_advisory_lock_shared($lock), pg_advisory_unlock_shared($lock);
	END IF;
	RETURN 0;
END \$\$;
END
	for my $name (@functions)
	{
		my ($call, $failing) = @{ function_with($name, 1) }{qw(call failing)};
		my ($of_k, $of_new, $failing_k, $failing_new) = ($call->('k'), $call->('NEW.k'), $failing->('k'), $failing->('NEW.k'));
		$sql .= <<"END";
CREATE FUNCTION matrix.sql_$name(k text) RETURNS bigint LANGUAGE sql AS \$\$ SELECT ($of_k)::bigint \$\$;
CREATE FUNCTION matrix.pl_$name(k text) RETURNS bigint LANGUAGE plpgsql AS \$\$
DECLARE v bigint; BEGIN RAISE LOG 'with %', k; v := $of_k; RAISE LOG 'done with %', k; RETURN v; END \$\$;
CREATE FUNCTION matrix.failing_$name(k text) RETURNS bigint LANGUAGE plpgsql AS \$\$
BEGIN PERFORM $of_k; RAISE EXCEPTION 'cannot go on with %', k USING DETAIL = 'key ' || k, HINT = k; END \$\$;
CREATE PROCEDURE matrix.procedure_$name(k text) LANGUAGE plpgsql AS \$\$
DECLARE v bigint; BEGIN RAISE LOG 'with %', k; v := $of_k; RAISE LOG 'done with %', k; END \$\$;
CREATE TABLE matrix.table_$name (k text);
CREATE FUNCTION matrix.store_$name() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN RAISE LOG 'storing %', NEW.k; PERFORM $of_new; RETURN NULL; END \$\$;
CREATE TRIGGER store BEFORE INSERT ON matrix.table_$name FOR EACH ROW EXECUTE FUNCTION matrix.store_$name();
CREATE TABLE matrix.failing_table_$name (k text);
CREATE FUNCTION matrix.fail_$name() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN PERFORM $failing_new; RETURN NULL; END \$\$;
CREATE TRIGGER store BEFORE INSERT ON matrix.failing_table_$name FOR EACH ROW EXECUTE FUNCTION matrix.fail_$name();
CREATE VIEW matrix.view_$name AS SELECT NULL::text AS k;
CREATE RULE store AS ON INSERT TO matrix.view_$name DO INSTEAD SELECT $of_new;
END
	}
	return $sql;
}

# The setting key_vault.redact_names for them.
sub matrix_names
{
	return join ', ', map { my $kind = $_; map { "matrix.${kind}_$_" } @functions } qw(sql pl failing procedure table failing_table view);
}

# --- Settings: name => { setting => value }

sub matrix_settings
{
	my (%has) = @_;    # pgaudit, auto_explain, pg_stat_statements; version
	my %one_by_one = (
		'defaults' => {},
		'log_statement = all' => { log_statement => 'all' },
		'log_statement = mod' => { log_statement => 'mod' },
		'log_statement = ddl' => { log_statement => 'ddl' },
		'log_min_duration_statement' => { log_min_duration_statement => 0 },
		'log_min_duration_sample' => { log_min_duration_sample => 0, log_statement_sample_rate => 1 },
		'log_transaction_sample_rate' => { log_transaction_sample_rate => 1 },
		'log_duration' => { log_duration => 'on' },
		'log_parameter_max_length = -1' => { log_statement => 'all', log_parameter_max_length => -1 },
		'log_parameter_max_length = 0' => { log_statement => 'all', log_parameter_max_length => 0 },
		'log_parameter_max_length = 5' => { log_statement => 'all', log_parameter_max_length => 5 },
		'log_parameter_max_length = 30' => { log_min_duration_statement => 0, log_parameter_max_length => 30 },
		'log_parameter_max_length_on_error' => { log_parameter_max_length_on_error => -1 },
		'log_parameter_max_length_on_error = 0' => { log_parameter_max_length_on_error => 0 },
		'log_parameter_max_length_on_error = 5' => { log_parameter_max_length_on_error => 5 },
		'log_parameter_max_length_on_error = 30' => { log_parameter_max_length_on_error => 30 },
		(map { ("log_min_error_statement = $_" => { log_min_error_statement => $_ }) }
			  qw(debug5 debug4 debug3 debug2 debug1 info notice warning error log fatal panic)),
		'log_min_messages = debug5' => { log_min_messages => 'debug5' },
		'log_error_verbosity' => { log_error_verbosity => 'verbose' },
		(map { ("log_${_}_stats" => { "log_${_}_stats" => 'on' }) } qw(parser planner executor statement)),
		(map { ($_ => { $_ => 'on' }) } qw(debug_print_parse debug_print_rewritten debug_print_plan)),
		'debug_pretty_print = off' => { debug_print_plan => 'on', debug_print_parse => 'on', debug_pretty_print => 'off' },
		'compute_query_id' => { compute_query_id => 'on' },
		'log_lock_waits' => { log_lock_waits => 'on' },
		'standard_conforming_strings = off' => { log_statement => 'all', standard_conforming_strings => 'off', escape_string_warning => 'off', plain => 1 });
	$one_by_one{debug_print_raw_parse} = { debug_print_raw_parse => 'on' } if $has{version} >= 19;
	delete $one_by_one{'standard_conforming_strings = off'} if $has{version} >= 19;
	if ($has{auto_explain})
	{
		my %explain = ('auto_explain.log_min_duration' => 0, 'auto_explain.log_nested_statements' => 'on',
			'auto_explain.log_verbose' => 'on', 'auto_explain.log_analyze' => 'on');
		$explain{'auto_explain.log_parameter_max_length'} = -1 if $has{version} >= 16;
		$one_by_one{"auto_explain, $_"} = { %explain, 'auto_explain.log_format' => $_ } for qw(text json xml yaml);
		$one_by_one{"auto_explain, only $_"} = { 'auto_explain.log_min_duration' => 0, "auto_explain.$_" => 'on' } for qw(log_nested_statements log_verbose log_analyze);
		$one_by_one{"auto_explain, parameters = $_"} = { 'auto_explain.log_min_duration' => 0, 'auto_explain.log_parameter_max_length' => $_ }
		  for $has{version} >= 16 ? (-1, 0, 5, 30) : ();
	}
	if ($has{pgaudit})
	{
		$one_by_one{pgaudit} = { 'pgaudit.log' => 'all', 'pgaudit.log_parameter' => 'on', 'pgaudit.log_relation' => 'on' };
		$one_by_one{"pgaudit, only $_"} = { 'pgaudit.log' => 'all', "pgaudit.$_" => 'on' } for qw(log_parameter log_relation);
		$one_by_one{'pgaudit, once'} = { 'pgaudit.log' => 'all', 'pgaudit.log_parameter' => 'on', 'pgaudit.log_statement_once' => 'on' };
	}
	if ($has{pg_stat_statements})
	{
		$one_by_one{pg_stat_statements} = { 'pg_stat_statements.track' => 'all', 'pg_stat_statements.track_utility' => 'on' };
		$one_by_one{'pg_stat_statements, only track_utility'} = { 'pg_stat_statements.track' => 'top', 'pg_stat_statements.track_utility' => 'on' };
	}
	# those that go together; the last of each is what counts
	my %all;
	for my $name ('log_statement = all', 'log_min_duration_statement', 'log_transaction_sample_rate', 'log_duration',
		'log_parameter_max_length_on_error', 'log_min_error_statement = debug5', 'log_min_messages = debug5', 'log_error_verbosity',
		'log_parser_stats', 'log_planner_stats', 'log_executor_stats', 'debug_print_parse', 'debug_print_rewritten',
		'debug_print_plan', 'debug_print_raw_parse', 'compute_query_id', 'log_lock_waits', 'auto_explain, text', 'pgaudit', 'pg_stat_statements')
	{
		%all = (%all, %{ $one_by_one{$name} // {} });
	}
	$one_by_one{'all together'} = \%all;
	return \%one_by_one;
}

# --- Cells

# Whether there is such a cell; else why not.
sub impossible
{
	my ($protocol, $form) = @_;
	return 'a simple query has no parameters' if $protocol eq 'simple' && $forms{$form}{binds};
	return 'COPY is no statement to be prepared' if $protocol eq 'named' && $forms{$form}{copies};
	return 'COPY ends a pipeline' if $protocol eq 'pipeline' && $forms{$form}{copies};
	return undef;
}

sub matrix_impossible
{
	my %why;
	for my $protocol (@protocols)
	{
		for my $form (@forms)
		{
			my $reason = impossible($protocol, $form) // next;
			push @{ $why{"$protocol: $reason"} }, $form;
		}
	}
	return \%why;
}

my $number = 0;

# matrix_cells(protocol, plain => 1, nap => 1): all cells of it, each with a new key.  plain:
# without standard_conforming_strings, so no backslashes and no U&.
sub matrix_cells
{
	my ($protocol, %option) = @_;
	my @cells;
	for my $function (@functions)
	{
		for my $form (@forms)
		{
			next if defined impossible($protocol, $form);
			next if $option{plain} && $form eq 'unicode';    # the server refuses it
			my $kind = $number++ % ($forms{$form}{raises} ? @kinds - 1 : @kinds);
			$kind = 0 if $kind == 2 && $option{plain};
			my $with = function_with($function, $option{nap});
			my $secret = $with->{secret}->($kinds[$kind]->());
			$secret =~ tr/\\//d if $option{plain};
			push @cells, {
				name => "$protocol, $form, $function", protocol => $protocol, form => $form, function => $function,
				secret => $secret, fails => $forms{$form}{fails} || $with->{refuses},
				binds => $forms{$form}{binds}, steps => [ $forms{$form}{steps}->($with, $secret) ] };
		}
	}
	return @cells;
}

# Runs a cell's statements: the SQLSTATEs that they raised, the expected 1/0 left out.  The
# observer, if there is one, holds the lock that naps wait for: see receive_watched().
sub run_cell
{
	my ($session, $cell, $observer) = @_;
	my @states;
	for my $step (@{ $cell->{steps} })
	{
		my ($sql, @parameters) = @$step;
		# no key is in these, and a pipeline would not get to them when it has failed
		my $protocol = $sql =~ /^(?:BEGIN|COMMIT|ROLLBACK)$/ ? 'simple' : $cell->{protocol};
		if (@parameters && ref $parameters[0])
		{
			my $data = $parameters[0]{copy};
			$data =~ s/\\/\\\\/g;
			$session->send_copy($sql, "$data\n", $protocol);
		}
		else
		{
			$session->send_by($protocol, $sql, @parameters);
		}
		my $result = $observer ? receive_watched($session, $cell, $observer) : $session->receive;
		push @states, $result->{error}{state} if $result->{error} && $sql ne 'SELECT 1/0';
	}
	$session->simple('ROLLBACK') if @states && $cell->{form} =~ /^cursor/;
	return @states;
}

# What another session sees of it while it naps, if it does, as seen_meanwhile, and then its
# result.  With resets, pg_stat_statements is emptied then; what it had kept until then, is kept.
sub receive_watched
{
	my ($session, $cell, $observer) = @_;
	my $result;
	until ($result = $session->ready)
	{
		my $row = $observer->query(q{SELECT query FROM pg_stat_activity WHERE pid = $1::int AND wait_event = 'advisory'}, $session->pid)->{rows}[0] // next;
		$cell->{seen_meanwhile} .= $row->[0];
		if ($cell->{resets})
		{
			$cell->{kept} = $observer->value('SELECT string_agg(query, chr(10)) FROM pg_stat_statements');
			$observer->value('SELECT pg_stat_statements_reset()');
		}
		$observer->value('SELECT pg_advisory_unlock($1::int)', NAP_LOCK);
		$result = $session->receive;
		$observer->value('SELECT pg_advisory_lock($1::int)', NAP_LOCK);
		last;
	}
	return $result;
}

1;
