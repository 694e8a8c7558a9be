# Statements that carry no secrets are logged byte for byte as by a server without the
# library, at every setting and in every format, and their client and the views of
# statistics are told the same.  Only times, process ids and what is made of them differ.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultCluster;
use KeyVaultLog;
use KeyVaultMatrix;
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my ($libraries) = run_command([ 'pg_config', '--pkglibdir' ]);
my ($version) = (run_command([ 'pg_config', '--version' ]))[0] =~ /(\d+)/;
my @others = grep { -e "$libraries/$_.so" } qw(pgaudit auto_explain pg_stat_statements);
my %has = (version => $version, map { ($_ => 1) } @others);

sub new_server
{
	my ($name, @preload) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	my $preload = join ',', @preload;
	init_cluster($node);
	$node->append_conf('postgresql.conf', <<"END");
shared_preload_libraries = '$preload'
logging_collector = on
log_destination = 'stderr,csvlog,jsonlog'
log_directory = 'log'
log_filename = 'all.log'
log_rotation_age = 0
log_rotation_size = 0
log_line_prefix = '%m [%p] %u %d %a %i %e %c %l %x %Q '
log_statement = none
autovacuum = off
fsync = off
max_wal_senders = 0
max_logical_replication_workers = 0
deadlock_timeout = 100ms
END
	$node->append_conf('postgresql.conf', "auto_explain.log_timing = off\n") if $has{auto_explain};
	$node->start;
	return $node;
}

my @nodes = (new_server('without', @others), new_server('with', @others, 'key_vault'));
my @observers = map { session($_) } @nodes;
for my $node (@nodes)
{
	$node->safe_psql('postgres', 'CREATE EXTENSION pg_stat_statements') if $has{pg_stat_statements};
	$node->safe_psql('postgres', <<'END');
CREATE TABLE users (id int PRIMARY KEY, email text, token uuid, note text,
	CONSTRAINT ck_users_email_lower CHECK (email = lower(email)));
CREATE UNIQUE INDEX ck_users_email_2024_q1_total ON users (email);
CREATE TABLE orders (id int PRIMARY KEY, user_id int CONSTRAINT fk_orders_users_v2_id REFERENCES users, total numeric);
INSERT INTO users VALUES (1, 'a@example.org', '123e4567-e89b-12d3-a456-426614174000', 'first'), (2, 'b@example.org', NULL, NULL);
CREATE FUNCTION hf_hub_download_file(name text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
	RAISE LOG 'download of %', name;
	IF name LIKE '%!' THEN
		RAISE EXCEPTION 'cannot download "%"', name USING DETAIL = 'It is ' || name, HINT = 'Try ' || name, ERRCODE = 'KV001', COLUMN = 'name';
	END IF;
	RETURN name;
END $$;
CREATE FUNCTION set_note(a int, b text) RETURNS void LANGUAGE sql AS $$ UPDATE users SET note = b WHERE id = a $$;
CREATE FUNCTION note_changes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'row % to %', OLD, NEW; RETURN NEW; END $$;
CREATE TRIGGER note_changes BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION note_changes();
CREATE VIEW names AS SELECT id, email FROM users;
CREATE RULE add AS ON INSERT TO names DO INSTEAD INSERT INTO users (id, email) VALUES (NEW.id, NEW.email);
END
}

# --- What is run: SQL, or [SQL, parameters], or [SQL, { copy => data }]

my $digits = '0123456789' x 50;
my @names = ('ck_users_email_lower', 'hf_hub_download_file', 'sk-learn-pipeline-step-2', 'fc-match-pattern-serif-bold-italic', 'gsk_window_new_with_title',
	'123e4567-e89b-12d3-a456-426614174000', 'da39a3ee5e6b4b0d3255bfef95601890afd80709', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
	'sk-1234', 'AIza-short', 'iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4', 'eyJhbGciOiJIUzI1NiJ9', 'eyJhIjoxfQ.eyJi', 'R0lGODlhAQABAAAA',
	'xai-', 'disk-0123456789abcdef', 'https://example.org/a/b?c=d&e=%20f#g', 'C:\\temp\\new', "it''s", 'key_vault', 'key_vault.get', 'set', 'schl\xc3\xbcssel');
my @statements = (
	# of all kinds
	'SELECT 1', '', ';', '/* nothing */', '-- nothing', 'SELECT 1; SELECT 2', "SELECT 'a' -- with a comment\n, /* and /* another */ one */ 'b'",
	'SHOW work_mem', "SET application_name = 'app'", 'RESET application_name', "SET my.setting = 'x'", 'BEGIN', 'SAVEPOINT s', 'SELECT 1/0', 'SELECT 2',
	'ROLLBACK TO s', "UPDATE users SET (email, note) = ('a\@example.org', 'n') WHERE id = 1", 'COMMIT',
	'UPDATE users SET (email, note, token) = ROW (email, note, token) WHERE id = 1', 'ALTER TABLE users SET (fillfactor = 70, autovacuum_enabled = off, parallel_workers = 2)',
	'CREATE TEMP TABLE t (a int, b text)', "INSERT INTO t SELECT i, 'row ' || i FROM generate_series(1, 100) i", 'CREATE INDEX ON t (a)', 'ANALYZE t', 'VACUUM t',
	'TRUNCATE t', 'COMMENT ON TABLE users IS \'who we serve\'', 'LOCK TABLE orders IN SHARE MODE', 'DROP TABLE t', 'CREATE TEMP TABLE c AS SELECT id, note FROM users', 'DROP TABLE c',
	'EXPLAIN (COSTS OFF) SELECT * FROM users WHERE id = 1', "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) SELECT * FROM users WHERE email = 'x'",
	"PREPARE p (text) AS SELECT hf_hub_download_file(\$1)", "EXECUTE p('file')", "EXECUTE p('file!')", 'DEALLOCATE p', "EXECUTE p('gone')",
	'BEGIN', "DECLARE c CURSOR FOR SELECT * FROM users WHERE note <> 'x'", 'FETCH 1 FROM c', 'CLOSE c', 'COMMIT', 'LISTEN channel', "NOTIFY channel, 'payload'", 'UNLISTEN *',
	"DO \$\$ BEGIN RAISE DEBUG 'd'; RAISE LOG 'l %', 'x'; RAISE INFO 'i'; RAISE NOTICE 'n'; RAISE WARNING 'w'; END \$\$",
	"DO \$\$ BEGIN PERFORM hf_hub_download_file('inner!'); EXCEPTION WHEN OTHERS THEN RAISE WARNING 'caught %', SQLERRM; END \$\$",
	"DO \$\$ BEGIN EXECUTE format('SELECT %L::int', 'not a number'); END \$\$", "DO \$\$ BEGIN EXECUTE 'SELECT ''a'' (' ; END \$\$",
	"CREATE ROLE regress_kv_untouched PASSWORD 'pass word 1234567890'", 'GRANT SELECT ON users TO regress_kv_untouched', 'DROP OWNED BY regress_kv_untouched', 'DROP ROLE regress_kv_untouched',
	"SELECT set_note(1, 'note')", "UPDATE users SET note = 'other' WHERE id = 2", "INSERT INTO names VALUES (3, 'c\@example.org')", 'DELETE FROM users WHERE id = 3',
	[ 'COPY users (id, email) FROM STDIN', { copy => "7\td\@example.org\n" } ], [ 'COPY users (id, email) FROM STDIN', { copy => "eight\te\@example.org\n" } ],
	[ 'COPY users FROM STDIN', { copy => "1\t2\n" } ], 'DELETE FROM users WHERE id = 7',
	# errors, with position, detail, hint, context, query
	'SELECT nonesuch FROM users', 'SELECT emial FROM users', 'SELECT * FROM nonesuch', "SELECT hf_hub_download_files('x')", 'SELEC 1', "SELECT 'unterminated", "SELECT 'a' 'b'", 'SELECT (1',
	"SELECT 'x'::int", "SELECT '2024-13-01'::date", qq{SELECT '{"a": }'::json}, "SELECT '{1,2'::int[]", "SELECT 'nonesuch'::regclass", "SELECT repeat('x', -1)::uuid", 'SELECT 2147483647 + 1', 'SELECT sqrt(-1)',
	"INSERT INTO users VALUES (1, 'z\@example.org')", "INSERT INTO users VALUES (9, 'a\@example.org')", "INSERT INTO users VALUES (9, 'Upper')", 'INSERT INTO users (email) VALUES (\'q\')',
	'INSERT INTO orders VALUES (1, 99, 10)', "SELECT hf_hub_download_file('outer!')", 'ALTER TABLE nonesuch ADD a int', 'DROP FUNCTION nonesuch()', 'CREATE TABLE users ()', 'COMMIT',
	"SELECT key_vault.get('user_a', 'exa')", 'SELECT key_vault.list(NULL)', "SET key_vault_of_ours.x = 'y'", "SELECT set('a')", 'SELECT 2 AS set',
	'SET statement_timeout = 100', "DO \$\$ BEGIN PERFORM pg_sleep(100); END \$\$ -- stopped", 'RESET statement_timeout', "SELECT U&'d\\0061t\\+000061' AS U&\"d\\0061ta\"", "SELECT U&'!0061' UESCAPE '!'", "SELECT E'a\\nb\\x41', B'01', X'1f', \$\$it's\$\$, \$t\$a\$\$b\$t\$",
	# names, in literals and errors
	(map { ("SELECT '$_'", "SELECT '$_', nonesuch") } @names), (map { ("SELECT hf_hub_download_file('$_')", "SELECT hf_hub_download_file('$_!')") } @names[ 0 .. 5 ]),
	# long ones
	"SELECT length('" . $digits x 400 . "')", 'SELECT ' . join(' + ', 1 .. 2000), "SELECT '" . $digits x 20 . "'::int",
	# parameters
	[ 'SELECT $1::int + 1', 41 ], [ 'SELECT $1::int', 'no number' ], [ 'SELECT $1::text, $2::text', 'a', undef ], [ 'SELECT $1::text, nonesuch', 'a' ],
	[ 'SELECT 1 / ($1::int - 1)', 1 ], [ 'SELECT $1::jsonb', '{"a": [1, 2, {"b": "c"}]}' ], [ 'SELECT $1::text', $digits x 100 ], [ 'INSERT INTO users (id, email) VALUES ($1, $2)', 1, 'a@example.org' ],
	[ 'SELECT hf_hub_download_file($1)', 'bound!' ], (map { [ 'SELECT 1 / length($1::text) FROM users WHERE id = $2 AND 1 / (id - 1) > 0', $_, 1 ] } @names[ 0 .. 13 ]));

# --- What may differ

sub normalized
{
	my ($text, $pid) = @_;
	# what getrusage says
	$text =~ s/^\t?!.*$/!/mg;
	$text =~ s/!\\t[^"]*/!/g;
	$text =~ s/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? \w+/(time)/g;
	# not anywhere: trees are full of numbers
	$text =~ s/\[$pid\]|(?<="pid":)$pid\b|\bPID \d+/(pid)/g;
	$text =~ s/^((?:[^,]*,){3})$pid,/$1(pid),/;
	$text =~ s/\b[0-9a-f]{8}\.[0-9a-f]+\b/(session)/g;
	$text =~ s{\b\d+/\d+\b}{(transaction)}g;
	# named after the backend's slot
	$text =~ s/\b(pg_(?:toast_)?temp_)\d+\b/$1(slot)/g;
	$text =~ s/\d+\.\d+ ms/(duration)/g;
	$text =~ s/"backend_type":"[^"]*","query_id"/"query_id"/g;
	return $text;
}

# The entries of one process; those of stderr and CSV go over several lines.
sub of_process
{
	my ($text, $format, $pid) = @_;
	my $begin = $format eq 'log' ? qr/^(?=[\d-]{10} [\d:.]+ \w+ \[)/m : $format eq 'csv' ? qr/^(?=[\d-]{10} [\d:.]+ \w+,)/m : qr/^(?=\{"timestamp")/m;
	my $mine = $format eq 'log' ? qr/^\S+ \S+ \w+ \[$pid\] / : $format eq 'csv' ? qr/^[^,]*,[^,]*,[^,]*,$pid,/ : qr/"pid":$pid,/;
	return map { normalized($_, $pid) } grep { $_ =~ $mine } split $begin, $text;
}

# --- Both do the same

sub run_one
{
	my ($session, $protocol, $statement) = @_;
	my ($sql, @parameters) = ref $statement ? @$statement : $statement;
	return $session->copy($sql, $parameters[0]{copy}, $protocol) if @parameters && ref $parameters[0];
	return undef if @parameters && $protocol eq 'simple';
	return $session->simple($sql) if $protocol eq 'simple' || $sql =~ /;./;
	$session->send_by($protocol, $sql, @parameters);
	return $session->receive;
}

sub run_all
{
	my ($i, $protocol, $settings) = @_;
	my $node = $nodes[$i];
	$node->poll_query_until('postgres', q{SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'client backend'}) or die;
	sleep 0.1;
	my $position = log_position($node);
	my $session = session($node);
	$session->run('SET DateStyle = ISO', map { "SET $_ = '$settings->{$_}'" } grep { $_ ne 'plain' } sort keys %$settings);
	my @told;
	my @seen;
	for my $statement (@statements)
	{
		my $sql = ref $statement ? $statement->[0] : $statement;
		next if $settings->{plain} && $sql =~ /U&/;
		my $result = run_one($session, $protocol, $statement) // next;
		push @told, [ $sql, $result->{error}, $result->{notices}, $result->{rows} ];
		push @seen, activity_of($observers[$i], $session) if $sql ne '';
	}
	my $pid = $session->pid;
	my $since = log_since($node, $position);
	$session->close;
	my %log = map { ($_ => [ of_process($since->{$_}, $_, $pid) ]) } keys %$since;
	return { told => \@told, seen => \@seen, %log, pid => $pid };
}

sub first_difference
{
	my ($one, $other) = @_;
	for my $at (0 .. ($#$one > $#$other ? $#$one : $#$other))
	{
		my ($left, $right) = map { ref $_ ? explain_one($_) : $_ // '(nothing)' } ($one->[$at], $other->[$at]);
		return "without:\n" . substr($left, 0, 2000) . "\nwith:\n" . substr($right, 0, 2000) if $left ne $right;
	}
	return undef;
}

sub explain_one
{
	my ($value) = @_;
	return join '', explain $value;
}

my $settings = matrix_settings(%has);
my @settings = $ENV{KV_LONG} ? sort keys %$settings : ('log_parameter_max_length_on_error = 30', 'all together');
my $entries = 0;
for my $name (@settings)
{
	for my $protocol ($ENV{KV_LONG} && $name eq 'all together' ? @KeyVaultMatrix::protocols : qw(simple extended))
	{
		my ($without, $with) = map { run_all($_, $protocol, $settings->{$name}) } 0, 1;
		is(first_difference($without->{told}, $with->{told}), undef, "$name, $protocol: the client is told the same");
		is(first_difference($without->{seen}, $with->{seen}), undef, "$name, $protocol: pg_stat_activity shows the same");
		for my $format (qw(log csv json))
		{
			is(first_difference($without->{$format}, $with->{$format}), undef, "$name, $protocol: $format is the same");
			$entries += @{ $with->{$format} };
		}
	}
}
note("$entries entries were compared");
cmp_ok($entries, '>', 2 * @statements, 'there is something to compare');
if ($has{pg_stat_statements})
{
	my $kept = q{SELECT string_agg(format('%s %s %s', queryid, calls, query), chr(10) ORDER BY queryid, query) FROM pg_stat_statements WHERE query !~ 'pg_stat_activity|end of '};
	my ($without, $with) = map { $_->value($kept) } @observers;
	is($with, $without, 'pg_stat_statements keeps the same');
	like($with, qr/hf_hub_download_file/, 'and something');
}

# --- A test of the test

push @statements, q{SELECT 'sk-0123456789abcdef0123456789abcdef', nonesuch};
my ($without, $with) = map { run_all($_, 'simple', {}) } 0, 1;
like(first_difference($without->{$_}, $with->{$_}) // '', qr/sk-0123.*'\*\*\*\*', nonesuch/s, "what looks like a key is a difference: $_") for qw(log csv json);

done_testing();
