# What the log's hook changes, the client gets: each field in which a key was is masked, and
# all others, severity, SQLSTATE and position among them, are as they are without it.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultLog;
use KeyVaultTest;
use Test::More;

my $node = new_logging_vault('client', conf => <<'END');
log_min_messages = notice
log_parameter_max_length_on_error = -1
END
add_role($node, 'regress_kv_service', 'service');
$node->safe_psql('postgres', <<'END');
CREATE SCHEMA app;
CREATE TABLE app.keys (api_key text PRIMARY KEY CHECK (length(api_key) > 3));
CREATE FUNCTION app.save(k text) RETURNS int LANGUAGE plpgsql AS $$ DECLARE v int; BEGIN
	v := key_vault.set('user_a', 'exa', k);
	RAISE EXCEPTION 'cannot save %', k USING DETAIL = 'It is ' || k, HINT = 'Try ' || k, ERRCODE = 'KV001', SCHEMA = 'app', COLUMN = 'api_key';
END $$;
CREATE FUNCTION app.tell(k text) RETURNS int LANGUAGE plpgsql AS $$ DECLARE v int; BEGIN
	v := key_vault.set('user_a', 'exa', k);
	RAISE NOTICE 'saved %', k USING DETAIL = 'It is ' || k, HINT = 'Try ' || k;
	RAISE WARNING 'saved %', k;
	RETURN v;
END $$;
GRANT USAGE ON SCHEMA app TO regress_kv_service;
GRANT ALL ON app.keys TO regress_kv_service;
END
$node->safe_psql('postgres', q{ALTER SYSTEM SET key_vault.redact_names = 'app.keys, app.save'; SELECT pg_reload_conf()});
$node->poll_query_until('postgres', q{SELECT current_setting('key_vault.redact_names') <> ''});

# name; fields in which the key is shown; what the message is then; SQL, parameters
my $message = 'message';
my @cases = (
	[ 'a value of the wrong type', [$message], qr/^invalid input syntax for type integer: \*{4}$/, q{SELECT key_vault.set('user_a', 'exa', 'k', 'default', NULL, '%s')} ],
	[ 'a syntax error', [$message], qr/^syntax error at or near \*{4}$/, q{SELECT key_vault.set('user_a', 'exa' '%s')} ],
	[ 'a column that is not there', [$message], qr/^column "?\*{4}"? does not exist$/, q{SELECT key_vault.set('user_a', 'exa', "1%s")} ],
	[ 'a constraint', ['detail'], qr/^duplicate key value violates unique constraint "keys_pkey"$/, q{INSERT INTO app.keys VALUES ('%s'), ('%s')} ],
	[ 'a constraint, bound', ['detail'], qr/^duplicate key value violates unique constraint "keys_pkey"$/, q{INSERT INTO app.keys VALUES ($1), ($1)}, '%s' ],
	[ 'a function that raises', [ $message, 'detail', 'hint' ], qr/^cannot save \*{4}$/, q{SELECT app.save('%s')} ],
	[ 'a function that raises, bound', [ $message, 'detail', 'hint', 'context' ], qr/^cannot save \*{4}$/, q{SELECT app.save($1)}, '%s' ],
	[ 'an error in a block', ['context'], qr/^provider "nonesuch" is not registered$/, q{DO $$ BEGIN PERFORM key_vault.set('user_a', 'nonesuch', '%s'); END $$} ],
	[ 'a query in a block', ['internal_query'], qr/^syntax error at or near "here"$/, q{DO $$ BEGIN EXECUTE 'SELECT key_vault.set(''user_a'', ''exa'' here, ''%s'')'; END $$} ],
	[ 'a query in a block, at the key', [ $message, 'internal_query' ], qr/^syntax error at or near \*{4}$/, q{DO $$ BEGIN EXECUTE 'SELECT key_vault.set(''user_a'', ''exa'' ''%s'')'; END $$} ],
	[ 'bound parameters', ['context'], qr/^division by zero$/, q{SELECT key_vault.set('user_a', 'exa', $1) / ($2::int - 1)}, '%s', 1 ],
	[ 'what looks like a key', [$message], qr/^invalid input syntax for type integer: "\*{4}"$/, q{SELECT 'sk-%s0A1b2C3d4E5'::int} ],
	[ 'notices', [ $message, 'detail', 'hint' ], qr/^saved \*{4}$/, q{SELECT app.tell($1)}, '%s' ]);

# All that a statement brings to its client.
sub told
{
	my ($redact, $sql, @parameters) = @_;
	my $super = session($node);
	$super->run("SET key_vault.redact = $redact", 'SET SESSION AUTHORIZATION regress_kv_service');
	my $result = @parameters ? $super->query($sql, @parameters) : $super->simple($sql);
	# that a literal key is one is said in other words without redaction
	return [ $result->{error} // (), grep { $_->{R} ne 'kv_key_hide_literal' } @{ $result->{notices} } ];
}

for my $case (@cases)
{
	my ($name, $fields, $masked, @statement) = @$case;
	my $canary = canary();
	s/%s/$canary/g for @statement;
	my $on = told('on', @statement);
	my $off = told('off', @statement);
	is(scalar @$on, scalar @$off, "$name: as many messages");
	like($on->[0]{message}, $masked, "$name: the message");
	for my $field (@$fields)
	{
		ok(shows($off->[0]{$field}, $canary), "$name: without redaction, the $field shows the key") or diag(explain $off->[0]);
		like($on->[0]{$field}, qr/\*{3,4}|\$\d/, "$name: with it, the $field is there");
	}
	is_deeply([ grep { shows(join("\n", values %{ $on->[$_] }), $canary) } 0 .. $#$on ], [], "$name: nothing shows the key") or diag(explain $on);
	for my $at (0 .. $#$on)
	{
		is(join(' ', sort keys %{ $on->[$at] }), join(' ', sort keys %{ $off->[$at] }), "$name: the same fields");
		my @others = grep { !shows($off->[$at]{$_}, $canary) && !/^internal_query$/ } keys %{ $off->[$at] };
		cmp_ok(scalar @others, '>=', 5, "$name: most of them show none");
		is_deeply({ map { ($_ => $on->[$at]{$_}) } @others }, { map { ($_ => $off->[$at]{$_}) } @others }, "$name: and are the same");
	}
}

# A bound key is no literal one, whatever contexts quote
is_deeply([ grep { $_->{message} =~ /literally/ } @{ session($node, 'regress_kv_service')->query('SELECT app.tell($1)', canary())->{notices} } ], [], 'a bound key brings no warning');

# Position, as a client marks it: P in its own text, p in the internal query
my $canary = canary();
my $error = told('on', "SELECT key_vault.set('user_a', 'exa', '$canary'), nonesuch")->[0];
is($error->{P}, 40 + length "$canary'), ", 'the position is that in the text which the client sent');
$error = told('on', "DO \$\$ BEGIN EXECUTE 'SELECT key_vault.set(''user_a'', ''exa'', ''$canary''), nonesuch'; END \$\$")->[0];
is("$error->{internal_query}: $error->{p}", 'SELECT key_vault.set($1, $2, $3), nonesuch: ' . (40 + length "$canary'), "), 'the internal position stays as well');

done_testing();
