# No plaintext of a key in any file of the cluster, in a dump, in a base backup, in the
# server's log or in a message, whatever was done with the key.  The same search finds
# what a plaintext table holds.
use strict;
use warnings;

use File::Find;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use MIME::Base64 qw(encode_base64);
use PostgreSQL::Test::Utils;
use Test::More;

# A key begins and ends with a mark; its last characters are the hint.
sub random_text
{
	my ($length) = @_;
	return join '', map { ('a' .. 'z', 'A' .. 'Z', 0 .. 9)[ rand 62 ] } 1 .. $length;
}

my ($bound, $literal, $in_body, $plain) = map { [ random_text(16), random_text(16) ] } 1 .. 4;

sub key
{
	my ($marks, $prefix, $length) = @_;
	my $middle = '';
	$middle .= random_text(400) . $marks->[0] while length $middle < ($length // 0);
	return "$prefix$marks->[0]$middle$marks->[1]" . random_text(4);
}

# How marks may stand in a file: as they are, in hexadecimal, in base64 at each offset.
sub pattern
{
	my @spellings;
	for my $mark (map { @$_ } @_)
	{
		push @spellings, $mark, unpack('H*', $mark), uc unpack('H*', $mark);
		for my $offset (0 .. 2)
		{
			my $encoded = encode_base64(('x' x $offset) . $mark . 'xx', '');
			push @spellings, substr($encoded, 4, 16);
		}
	}
	return join '|', map { quotemeta } @spellings;
}

sub found_in
{
	my ($pattern, $text) = @_;
	my @found;
	while ($text =~ /($pattern)(.{0,20})/gs)
	{
		push @found, "$1$2";
	}
	return @found;
}

sub files_with
{
	my ($pattern, @folders) = @_;
	my %found;
	find({ no_chdir => 1, wanted => sub {
		return unless -f $_;
		my $content = slurp_file($_);
		$found{$File::Find::name} = $1 if $content =~ /($pattern)/;
	} }, @folders);
	return \%found;
}

my $node = new_vault('canary', init => [ allows_streaming => 1 ], conf => <<'END');
log_statement = none
log_line_prefix = '%m [%p] '
log_temp_files = 0
END
add_role($node, 'regress_kv_service', 'service');
add_role($node, 'regress_kv_tenant', 'user', 'user_a');
my $super = session($node);
my $service = session($node, 'regress_kv_service');
my $tenant = session($node, 'regress_kv_tenant');
my @heard;    # every message that a client got

# --- Bound parameters

my $set = 'SELECT key_vault.set($1, $2, $3)';
my $set_label = 'SELECT key_vault.set($1, $2, $3, $4)';
my $set_expiry = q{SELECT key_vault.set($1, $2, $3, 'default', $4)};
my $set_version = q{SELECT key_vault.set($1, $2, $3, 'default', NULL, $4)};

sub expect
{
	my ($session, $expected, $name, $sql, @parameters) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $result = $session->query($sql, @parameters);
	push @heard, map { values %$_ } grep { defined } $result->{error}, @{ $result->{notices} };
	my $outcome = $result->{error} ? $result->{error}{state} : $result->{rows}[0][0];
	return is($outcome, $expected, $name);
}

# Everything that can be done with keys.
sub all_operations
{
	my ($round) = @_;
	my $key = key($bound, 'AIza');
	my $large = key($bound, 'AIza', 60_000);

	expect($service, 1, "$round: set", $set, 'user_a', 'gemini', $key);
	expect($service, $_, "$round: set, version $_", $set, 'user_a', 'gemini', key($bound, 'AIza')) for 2 .. 6;
	expect($service, 7, "$round: set a large key", $set, 'user_a', 'gemini', $large);
	expect($service, $large, "$round: get it", q{SELECT key_vault.get($1, $2)}, 'user_a', 'gemini');
	expect($service, $large, "$round: require it", q{SELECT key_vault.require($1, $2)}, 'user_a', 'gemini');
	expect($service, 8, "$round: set a key that looks like another provider's", $set, 'user_a', 'gemini', key($bound, 'sk-'));
	expect($service, 9, "$round: set a key with white space at its ends", $set, 'user_a', 'gemini', ' ' . key($bound, 'AIza') . "\n");
	expect($service, 10, "$round: set a key with quotes", $set, 'user_a', 'gemini', "AI'za\\" . key($bound, 'AIza'));
	expect($service, 1, "$round: set with a label", $set_label, 'user_a', 'gemini', $key, 'work');
	expect($service, 1, "$round: set with an expiry", $set_expiry, 'user_a', 'exa', $key, '2100-01-01');
	expect($service, 2, "$round: set with if_version", $set_version, 'user_a', 'exa', $key, '1');
	expect($service, 1, "$round: set for another user", $set, 'user_b', 'gemini', $key);
	$service->run(q{SET work_mem = '64kB'});
	expect($service, 1, "$round: set large key $_", $set, 'user_c', $_, key($bound, 'x', 60_000))
	  for qw(gemini openai anthropic mistral groq cohere xai tavily);
	like($service->value(q{SELECT key_vault.get_all('user_c')}), qr/tavily.*\Q$bound->[0]\E/, "$round: get_all");
	expect($service, 8, "$round: list", q{SELECT count(*) FROM key_vault.list($1)}, 'user_c');
	expect($service, 'user', "$round: source", q{SELECT key_vault.source($1, $2)}, 'user_a', 'gemini');
	expect($service, 3, "$round: versions", q{SELECT count(*) FROM key_vault.versions($1, $2)}, 'user_a', 'gemini');
	expect($service, 11, "$round: rollback", q{SELECT key_vault.rollback($1, $2, 9)}, 'user_a', 'gemini');

	expect($service, '42704', "$round: unknown provider", $set, 'user_a', 'nonesuch', $key);
	expect($service, '42704', "$round: provider and key exchanged", $set, 'user_a', $key, 'gemini');
	expect($service, '42704', "$round: a large key for the provider", $set, 'user_a', $large, 'gemini');
	expect($service, '22023', "$round: a label that is too long", $set_label, 'user_a', 'gemini', $key, 'l' x 64);
	expect($service, '22023', "$round: a label with a control character", $set_label, 'user_a', 'gemini', $key, "a\tb");
	expect($service, '22023', "$round: the key as the label, too", $set_label, 'user_a', 'gemini', $key, "$large");
	expect($service, '22023', "$round: an expiry in the past", $set_expiry, 'user_a', 'gemini', $key, '2001-01-01');
	expect($service, '55000', "$round: if_version that does not hold", $set_version, 'user_a', 'gemini', $key, '2');
	expect($service, '22023', "$round: a user id that is too long", $set, 'u' x 256, 'gemini', $key);
	expect($service, '22023', "$round: the key as user id, too", $set, "$large", 'gemini', $key);
	expect($service, '22004', "$round: no user id", $set, undef, 'gemini', $key);
	expect($service, '22023', "$round: a key that is too long", $set, 'user_a', 'gemini', key($bound, 'AIza', 65_536));
	expect($tenant, '42501', "$round: set of another user's key", $set, 'user_b', 'gemini', $key);
	expect($tenant, '42501', "$round: an insert that row-level security or privileges refuse",
		q{INSERT INTO key_vault_data.secrets VALUES ($1, 'gemini', 'default', 99, 'x', $2::text::bytea)}, 'user_b', $key);

	$super->run('CREATE POLICY stricter ON key_vault_data.secrets AS RESTRICTIVE FOR INSERT WITH CHECK (false)');
	expect($tenant, '42501', "$round: set that the table's policy refuses", $set, 'user_a', 'gemini', $key);
	$super->run('DROP POLICY stricter ON key_vault_data.secrets',
		'ALTER TABLE key_vault_data.secrets ADD CONSTRAINT odd CHECK (version < 0) NOT VALID');
	expect($tenant, '23514', "$round: set that a constraint refuses", $set, 'user_a', 'gemini', $key);
	$super->run('ALTER TABLE key_vault_data.secrets DROP CONSTRAINT odd');

	my $ring = keyring_path($node);
	rename $ring, "$ring.gone";
	my $fresh = session($node, 'regress_kv_service');
	expect($fresh, 'F0000', "$round: set without a keyring", $set, 'user_a', 'gemini', $key);
	rename "$ring.gone", $ring;
	$super->run(q{UPDATE key_vault_data.secrets SET sealed = set_byte(sealed, 60, get_byte(sealed, 60) # 1) WHERE user_id = 'user_b'});
	expect($service, 'XX001', "$round: get of a changed secret", q{SELECT key_vault.get('user_b', 'gemini')});

	expect($service, 't', "$round: delete", q{SELECT key_vault.delete('user_a', 'exa')});
	expect($service, 4, "$round: forget", q{SELECT key_vault.forget('user_a')});
	$service->query(q{SELECT key_vault.forget(u) FROM unnest('{user_b,user_c}'::text[]) u});
	return;
}

all_operations('default settings');
$super->run(q{ALTER SYSTEM SET log_min_messages = debug5}, q{ALTER SYSTEM SET log_error_verbosity = verbose},
	'SELECT pg_reload_conf()');
for my $session ($service, $tenant)
{
	$session->run('SET client_min_messages = debug5');
}
$node->poll_query_until('postgres', q{SELECT current_setting('log_min_messages') = 'debug5'});
all_operations('every message on');
$super->run('ALTER SYSTEM RESET ALL', 'SELECT pg_reload_conf()');
$node->poll_query_until('postgres', q{SELECT current_setting('log_min_messages') = 'warning'});
$_->run('RESET client_min_messages') for $service, $tenant;

is_deeply([ found_in(pattern($bound), join "\n", @heard) ], [], 'no message to a client holds a bound key');
my $seen = $super->value('SELECT string_agg(query, chr(10)) FROM pg_stat_activity');
is_deeply([ found_in(pattern($bound), $seen) ], [], 'pg_stat_activity holds no bound key');

# --- Keys that stand in the statement's text

my $literal_key = sub { key($literal, shift // 'AIza') };

# A statement with a literal key warns, the first one of a session, and neither the log
# nor pg_stat_activity has it.
my $warned = 0;

sub literal_is_hidden
{
	my ($name, $expected, $result) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @warnings = grep { $_->{message} =~ /stands literally/ } @{ $result->{notices} };
	is(scalar @warnings, $warned++ ? 0 : 1, "$name: " . ($warned > 1 ? 'no other WARNING' : 'a WARNING'));
	is($result->{error} ? $result->{error}{state} : undef, $expected, "$name: " . ($expected // 'no error'));
	my $query = $super->value('SELECT query FROM pg_stat_activity WHERE pid = $1::int', $service->pid);
	is_deeply([ found_in(pattern($literal), $query) ], [], "$name: pg_stat_activity does not show it");
	return;
}

literal_is_hidden('a literal key', undef, $service->simple("SELECT key_vault.set('user_a', 'gemini', '" . $literal_key->() . "')"));
literal_is_hidden('a literal key by the extended protocol', undef,
	$service->query("SELECT key_vault.set(\$1, 'gemini', '" . $literal_key->() . "')", 'user_a'));
literal_is_hidden('a literal key, and an error', '55000',
	$service->simple("SELECT key_vault.set('user_a', 'gemini', '" . $literal_key->() . "', if_version => 99)"));
literal_is_hidden('a literal key by the extended protocol, and an error', '42704',
	$service->query("SELECT key_vault.set(\$1, 'nonesuch', '" . $literal_key->() . "')", 'user_a'));
literal_is_hidden('a literal key with quotes, and an error', '42704',
	$service->simple("SELECT key_vault.set('user_a', 'nonesuch', 'a''b''" . $literal_key->() . "')"));
literal_is_hidden('a literal key with backslashes, and an error', '42704',
	$service->simple("SELECT key_vault.set('user_a', 'nonesuch', E'a\\\\b" . $literal_key->() . "')"));
literal_is_hidden('a literal key in dollar quotes, and an error', '42704',
	$service->simple("SELECT key_vault.set('user_a', 'nonesuch', \$x\$" . $literal_key->() . "\$x\$)"));
literal_is_hidden('a literal key, and an error after it in the statement', '22012',
	$service->simple("SELECT 1 / (key_vault.set('user_a', 'gemini', '" . $literal_key->() . "') * 0)"));
literal_is_hidden('a literal key, and an error after it in another statement of the same text', '22012',
	$service->simple("SELECT key_vault.set('user_a', 'gemini', '" . $literal_key->() . "'); SELECT 1 / 0"));
literal_is_hidden('a literal key in EXECUTE, and an error', '42704',
	$service->simple("PREPARE p (text) AS SELECT key_vault.set('user_a', 'nonesuch', \$1); EXECUTE p('" . $literal_key->() . "')"));
literal_is_hidden('a literal key in a DO block, and an error', '42704',
	$service->simple("DO \$\$ BEGIN PERFORM key_vault.set('user_a', 'nonesuch', '" . $literal_key->() . "'); END \$\$"));
literal_is_hidden('a literal key in dynamic SQL, and an error', '42704',
	$service->simple("DO \$\$ BEGIN EXECUTE 'SELECT key_vault.set(''user_a'', ''nonesuch'', ''" . $literal_key->() . "'')'; END \$\$"));

# The body of a function is in its catalog, so these have marks of their own.
my $body_key = sub { key($in_body, 'AIza') };
for my $function (
	[ 'PERFORM in PL/pgSQL', 'plpgsql', "BEGIN PERFORM key_vault.set('user_a', 'nonesuch', '" . $body_key->() . "'); RETURN 1; END" ],
	[ 'SELECT INTO in PL/pgSQL', 'plpgsql',
		"DECLARE v int; BEGIN SELECT key_vault.set('user_a', 'nonesuch', '" . $body_key->() . "') INTO v; RETURN v; END" ],
	[ 'an expression in PL/pgSQL', 'plpgsql', "BEGIN RETURN key_vault.set('user_a', 'nonesuch', '" . $body_key->() . "'); END" ],
	[ 'dynamic SQL in PL/pgSQL', 'plpgsql',
		"BEGIN EXECUTE 'SELECT key_vault.set(''user_a'', ''nonesuch'', ''" . $body_key->() . "'')'; RETURN 1; END" ],
	[ 'SQL', 'sql', "SELECT key_vault.set('user_a', 'nonesuch', '" . $body_key->() . "')" ],
	[ 'SQL of two statements', 'sql', "SELECT 1; SELECT key_vault.set('user_a', 'nonesuch', '" . $body_key->() . "')" ])
{
	my ($name, $language, $body) = @$function;
	$super->run("CREATE FUNCTION with_key() RETURNS int LANGUAGE $language AS \$\$ $body \$\$");
	my $result = $service->simple('SELECT with_key()');
	is($result->{error}{state}, '42704', "a key in the body of a function, $name: the error");
	$super->run('DROP FUNCTION with_key');
}
{
	my $fresh = session($node, 'regress_kv_service');
	my $result = $fresh->query("$set -- without a literal", 'user_a', 'gemini', $literal_key->());
	is(scalar grep({ $_->{message} =~ /stands literally/ } @{ $result->{notices} }), 0, 'a bound key does not warn');
	$fresh->close;
	$result = $service->simple('SELECT 1 / 0 AS later_statement');
	like(slurp_file($node->logfile), qr/STATEMENT:  SELECT 1 \/ 0 AS later_statement/,
		'a later statement is told in the log again');
}

# --- A plaintext table, which the search must find

my $control = key($plain, 'AIza');
my $control_large = key($plain, 'AIza', 60_000);
$super->run('CREATE TABLE plaintext (how text, key text)', 'ALTER TABLE plaintext ALTER key SET STORAGE EXTERNAL');
my $insert = 'INSERT INTO plaintext VALUES ($1, $2)';
$super->value($insert, 'raw', $control);
$super->value($insert, 'large', $control_large);
$super->value($insert, 'hex', unpack('H*', $plain->[0]));
$super->value($insert, "base64 $_", encode_base64(('y' x $_) . $plain->[1], '')) for 0 .. 2;
$super->query('SELECT 1 / length($1) - length($1)', $control);
$super->simple("SELECT 1 / 0 AS " . $plain->[0]);

# --- The search

$super->run('CHECKPOINT');
$node->backup('canary');
my ($dump) = run_command([ 'pg_dump', '--dbname', $node->connstr('postgres') ]);
my ($inserts) = run_command([ 'pg_dump', '--inserts', '--dbname', $node->connstr('postgres') ]);
my ($globals) = run_command([ 'pg_dumpall', '--dbname', $node->connstr('postgres') ]);
$service->query($set, 'user_last', 'gemini', key($bound, 'AIza'));
$node->stop;

my @cluster = ($node->data_dir);
my @backup = ($node->backup_dir);
my %held = (raw => $plain->[0], hex => unpack('H*', $plain->[0]),
	map { ("base64 $_" => substr(encode_base64(('y' x $_) . $plain->[1], ''), 4, 16)) } 0 .. 2);
for my $form (sort keys %held)
{
	my $files = files_with(quotemeta $held{$form}, @cluster);
	ok(scalar grep({ m{/base/} } keys %$files), "control: $form, in a table's file");
	ok(scalar grep({ m{/pg_wal/} } keys %$files), "control: $form, in the write-ahead log");
	like($held{$form}, qr/^(?:@{[pattern($plain)]})/, "control: $form is among what is searched for");
}
cmp_ok(scalar(keys %{ files_with(pattern($plain), @backup) }), '>', 1, 'control: in a base backup');
cmp_ok(scalar(found_in(pattern($plain), $_)), '>', 100, 'control: in a dump') for $dump, $inserts, $globals;
my $log = slurp_file($node->logfile);
cmp_ok(scalar(found_in(pattern($plain), $log)), '>', 0, 'control: in the log');

is(scalar keys %{ files_with(pattern($in_body), @cluster) } > 0, 1, 'control: the body of a function is in files');
is_deeply(files_with(pattern($bound, $literal), @cluster), {}, 'no file of the cluster holds a key');
is_deeply(files_with(pattern($bound, $literal), @backup), {}, 'no file of a base backup does');
is_deeply([ found_in(pattern($bound, $literal), $_) ], [], 'no dump does') for $dump, $inserts, $globals;
is_deeply([ found_in(pattern($bound), $log) ], [], 'the log holds no bound key');
is_deeply([ found_in(pattern($literal), $log) ], [], 'nor one that stood in a statement');
is_deeply([ found_in(pattern($in_body), $log) ], [], 'nor one that stood in the body of a function');
unlike($log, qr/temporary file: path.*\n.*STATEMENT: (?! BASE_BACKUP)/, 'our calls wrote no temporary file');
like($log, qr/LOCATION:  kv_/, 'the log did have every message');

done_testing();
