# What import_keys() does not take for a key, what it opens with a passphrase, and that
# no message holds a key, whichever column it stands in and whatever goes wrong.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_vault('import_refused', conf => "log_min_messages = warning\nlog_statement = none\n");
add_role($node, 'regress_kv_service', 'service');
my $super = session($node);
my $service = session($node, 'regress_kv_service');
$super->run(<<'END');
CREATE EXTENSION pgcrypto;
CREATE TABLE old (user_id text, provider text, key text, changed timestamptz, note text);
GRANT SELECT ON old TO regress_kv_service;
END

my $all = 'SELECT user_id, provider, key, changed FROM old ORDER BY user_id COLLATE "C"';
my $counts = 'SELECT imported || $$ $$ || skipped || $$ $$ || failed FROM key_vault.import_keys($1, $2, $3)';

# Everything that a result says: severity, message, detail and so on.
sub said
{
	my ($result) = @_;
	return join "\n", map { values %$_ } @{ $result->{notices} }, $result->{error} // ();
}

# fill([user, provider, key as an expression], ...)
sub fill
{
	$super->run('TRUNCATE old', q(SELECT key_vault.forget(user_id) FROM key_vault.inventory GROUP BY user_id));
	$super->run("INSERT INTO old (user_id, provider, key) SELECT '$_->[0]', '$_->[1]', $_->[2]") for @_;
	return;
}

# imported(what, counts, passphrase, refuse_odd): the WARNINGs, by user.
sub imported
{
	my ($name, $expected, @arguments) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $result = $service->query($counts, $all, @arguments);
	is($result->{rows}[0][0], $expected, $name) or diag said($result);
	return { map { $_->{message} =~ /user "(.*?)"/ ? ($1, $_) : () }
		  grep { $_->{severity} eq 'WARNING' } @{ $result->{notices} } };
}

# --- Ciphertexts, hashes, masks and words for nothing: never

my %nothing = (
	armor => [ q(armor(pgp_sym_encrypt('canary-key', 'secret'))), 'OpenPGP' ],
	pgp_hex => [ q(encode(pgp_sym_encrypt('canary-key', 'secret'), 'hex')), 'OpenPGP' ],
	pgp_bytea_text => [ q(pgp_sym_encrypt('canary-key', 'secret')::text), 'OpenPGP' ],
	pgp_base64 => [ q(encode(pgp_sym_encrypt('canary-key', 'secret', 'cipher-algo=aes256'), 'base64')), 'OpenPGP' ],
	fernet => [ q('gAAAAABlU_EAAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-Pw=='), 'Fernet' ],
	fernet_hex => [ q(encode('gAAAAABlU_EAAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-Pw==', 'hex')), 'Fernet' ],
	age => [ q(E'-----BEGIN AGE ENCRYPTED FILE-----\nYWdlLWVuY3J5cHRpb24ub3Jn\n-----END AGE ENCRYPTED FILE-----\n'), 'age' ],
	bcrypt => [ q(crypt('canary-key', gen_salt('bf', 4))), 'bcrypt' ],
	jwe => [ q('eyJhbGciOiJkaXIifQ..aXY.Y2lw.dGFn'), 'JWE' ],
	vault => [ q('vault:v1:8SDd3WHDOjf7mq69CyCqYjBXAiQQAVZRkFM13ok481zoCmHnSeDX9vyf7w=='), 'Vault' ],
	vault_hex => [ q(encode('vault:v1:8SDd3WHDOjf7mq69CyCqYjBX', 'hex')), 'Vault' ],
	mask => [ q('****0004'), 'masked' ],
	bullets => [ q('sk-••••••••abcd'), 'masked' ],
	null_word => [ q('null'), 'nothing' ],
	python_none => [ q('None'), 'nothing' ],
	blank => [ q(E' \t'), 'blank' ],
	empty => [ q(''), 'empty' ]);
my $failing = scalar keys %nothing;

for my $refuse_odd (undef, 0)
{
	my $how = defined $refuse_odd ? ', also when what is odd is taken' : '';
	fill(map { [ $_, 'exa', $nothing{$_}[0] ] } keys %nothing);
	my $warnings = imported("what is no key fails$how", "0 0 $failing", undef, $refuse_odd);
	for my $user (sort keys %nothing)
	{
		like($warnings->{$user}{message}, qr/^row \d+ is not imported: user "$user", provider "exa"$/, "$user: the WARNING names row, user and provider");
		like($warnings->{$user}{detail}, qr/^API key is .*$nothing{$user}[1].*\.$/, "$user: ... and says what it is");
	}
	like($warnings->{armor}{hint}, qr/passphrase/, 'what may be decrypted has a hint');
	is($super->value('SELECT count(*) FROM key_vault.inventory'), 0, '... and nothing is stored');
}

# --- With the passphrase, text is opened in each spelling; a key that is none of them is taken as it is

my @spelled = map { [ $_, 'exa', $nothing{$_}[0] =~ s/canary-key/canary-key-of-$_/r ] } grep { /^armor|^pgp/ } keys %nothing;
fill(@spelled, [ 'plain', 'exa', q('canary-plain') ], [ 'other', 'exa', q(armor(pgp_sym_encrypt('canary-key', 'another'))) ]);
my $warnings = imported('armor, hex and base64 of OpenPGP are opened', '5 0 1', 'secret', undef);
outcome_is($service, "canary-key-of-$_->[0]", "... $_->[0]", 'SELECT key_vault.get($1, $2)', $_->[0], 'exa') for @spelled;
outcome_is($service, 'canary-plain', '... and plaintext stays', 'SELECT key_vault.get($1, $2)', 'plain', 'exa');
is(join(' ', keys %$warnings), 'other', '... but another passphrase fails its row');
fill([ 'twice', 'exa', q(armor(pgp_sym_encrypt(armor(pgp_sym_encrypt('canary-key', 'secret')), 'secret'))) ], [ 'odd', 'exa', q(armor(pgp_sym_encrypt(' canary-key', 'secret'))) ]);
$warnings = imported('what is inside has to be a key as well', '0 0 2', 'secret', undef);
like($warnings->{twice}{detail}, qr/OpenPGP/, '... no other message');
like($warnings->{odd}{detail}, qr/white space/, '... nor an odd one');

# --- Odd ones fail, unless they are to be taken

my @odd = ([ 'space', 'exa', q(' canary-space') ], [ 'break', 'exa', q(E'canary-\nbreak') ], [ 'zero', 'exa', q(U&'canary-\200Bzero') ]);
fill(@odd, [ 'good', 'exa', q('canary-good') ]);
$warnings = imported('odd keys fail', '1 0 3', undef, undef);
like($warnings->{ $_->[0] }{message}, qr/^row \d+ is not imported: user "$_->[0]", provider "exa"$/, "... $_->[0]") for @odd;
like($warnings->{space}{detail}, qr/begins or ends with white space/, '... with the reason');
like($warnings->{zero}{detail}, qr/zero width space.* position 8/, '... and where');
like($warnings->{zero}{hint}, qr/refuse_odd => false/, '... and how to import it all the same');
$warnings = imported('refuse_odd => false takes them', '3 1 0', undef, 0);
like($warnings->{space}{message}, qr/^row \d+ is odd: user "space", provider "exa"$/, '... with a WARNING');
outcome_is($service, ' canary-space', '... as they are', 'SELECT key_vault.get($1, $2)', 'space', 'exa');
# what set is told to do is not what an import does
$super->run(q(ALTER SYSTEM SET key_vault.check_keys = 'refuse'), 'SELECT pg_reload_conf()');
{
	my $fresh = session($node, 'regress_kv_service');
	fill(@odd);
	is($fresh->value($counts, $all, undef, 0), '3 0 0', 'also when set refuses odd keys');
}
$super->run('ALTER SYSTEM RESET key_vault.check_keys', 'SELECT pg_reload_conf()');

# --- Keys that do not look like their provider's are told of once

fill(map { [ "user_$_", 'openai', "'canary-pk-$_'" ] } 1 .. 3);
my $result = $service->query($counts, $all, undef, undef);
is($result->{rows}[0][0], '3 0 0', 'another beginning than the provider\'s never fails a row');
my @mismatch = grep { $_->{message} =~ /look like/ } @{ $result->{notices} };
is(scalar @mismatch, 1, '... one WARNING tells of all of them');
like($mismatch[0]{message}, qr/^3 imported keys do not look like keys of their providers$/, '... with their number');
like($mismatch[0]{detail}, qr/^The first one is in row 1: user "user_1", provider "openai"\.$/, '... and where to look');

# --- Columns in the wrong order: no message holds the key, and none is stored in the clear

my %keys = (
	'a key with a prefix' => 'sk-proj-9f2c4e61a7b3d80512ce4f6a7b8c9d0e',
	'a key without one' => '9f2c4e61a7b3d80512ce4f6a7b8c9d0e',
	'a UUID' => '9f2c4e61-a7b3-4d80-912c-e4f6a7b8c9d0');

sub permutations
{
	my @rest = @_;
	return ([]) unless @rest;
	return map {
		my $i = $_;
		my @others = @rest[ grep { $_ != $i } 0 .. $#rest ];
		map { [ $rest[$i], @$_ ] } permutations(@others)
	} 0 .. $#rest;
}

for my $kind (sort keys %keys)
{
	my $key = $keys{$kind};
	my @told;
	my @stored;

	fill([ 'user_a', 'openai', "'$key'" ]);
	$super->run(q(UPDATE old SET changed = '2025-01-01'));
	for my $order (permutations(qw(user_id provider key changed)))
	{
		for my $columns (join(', ', @$order), join(', ', map { "$_\::text" } @$order), join(', ', @$order[ 0 .. 2 ]))
		{
			my $result = $service->query($counts, "SELECT $columns FROM old", undef, 0);
			push @told, "$columns: " . said($result) if index(said($result), $key) >= 0;
			my $in_the_clear = $super->value(q(SELECT count(*) FROM key_vault.secrets WHERE concat(user_id, '/', provider, '/', label) LIKE '%' || $1 || '%'), $key);
			push @stored, $columns if $in_the_clear > 0;
			$super->run(q(SELECT key_vault.forget(user_id) FROM key_vault.inventory GROUP BY user_id));
		}
	}
	is_deeply(\@told, [], "$kind: no message holds it, in whichever column it stands");
	is_deeply(\@stored, [], "$kind: nor is it stored in the clear") if $kind =~ /with a prefix/;
}

# --- Time and key in the wrong order

fill([ 'user_a', 'exa', q('canary-9f2c4e61a7b3d80512ce') ]);
$super->run(q(UPDATE old SET changed = '2025-01-01', note = '2025-01-01'));
$result = $service->query($counts, 'SELECT user_id, provider, changed, key FROM old', undef, undef);
like("$result->{error}{state} $result->{error}{message}", qr/^22023 .*third column, the key, is of type timestamp with time zone$/, 'a time for the key is refused by its type');
for my $type (qw(int boolean interval numeric date))
{
	outcome_is($service, '22023', "... and $type", $counts, "SELECT 'user_a', 'exa', NULL::$type", undef, undef);
}
$result = $service->query($counts, 'SELECT user_id, provider, note, key FROM old', undef, undef);
is($result->{rows}[0][0], '0 0 1', 'a key for the time, as text, fails its row');
my ($row) = grep { $_->{message} =~ /^row 1 is not imported: user "user_a", provider "exa"$/ } @{ $result->{notices} };
like($row->{detail}, qr/fourth column is no time/, '... and says why');
$super->run(q(INSERT INTO old (user_id, provider, key, note) VALUES ('user_a', 'exa', 'canary-good', '2025-01-01')));
is($service->value($counts, q(SELECT user_id, provider, key, CASE key WHEN 'canary-good' THEN note ELSE 'no time' END FROM old), undef, undef), '1 0 1', 'one bad time takes no other row');

# --- What fails inside the query is PostgreSQL's to say, and its words may quote a key

$super->run(<<'END');
CREATE FUNCTION complain(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'bad value %', $1 USING DETAIL = 'It is ' || $1, HINT = $1; END $$;
CREATE FUNCTION collide(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN INSERT INTO twice VALUES ($1), ($1); RETURN $1; END $$;
CREATE TABLE twice (k text PRIMARY KEY);
GRANT ALL ON twice TO regress_kv_service;
END
my $k = q('canary-9f2c4e61a7b3d80512ce');
for my $failing (
	[ '22007', 'a cast to a time', 'SELECT user_id, provider, key, key::timestamptz FROM old' ],
	[ '22P02', 'a cast to a number', 'SELECT user_id, provider, key, changed FROM old WHERE key::int > 0' ],
	[ '22P02', 'a cast to jsonb', q(SELECT user_id, provider, key::jsonb->>'key', changed FROM old) ],
	[ '22007', 'a constant', "SELECT 'user_a', 'exa', 'k', $k\::timestamptz" ],
	[ 'P0001', 'RAISE', 'SELECT user_id, provider, complain(key), changed FROM old' ],
	[ '23505', 'a duplicate', 'SELECT user_id, provider, collide(key), changed FROM old' ],
	[ '22012', 'any other', 'SELECT user_id, provider, key, changed FROM old WHERE 1 / (length(key) - length(key)) = 1' ])
{
	my ($state, $name, $query) = @$failing;
	$result = $service->query($counts, $query, undef, undef);
	is($result->{error}{state}, $state, "$name fails with its own SQLSTATE");
	is($result->{error}{message}, 'query of key_vault.import_keys() failed', '... and our message');
	like($result->{error}{hint}, qr/Run the query by itself/, '... which says how to see the other');
	unlike(said($result), qr/canary/, '... nothing of it holds a key');
}
for my $failing (
	[ '42601', 'syntax', "SELECT 'user_a', 'exa', $k $k" ],
	[ '42601', 'an open quote', q(SELECT 'user_a', 'exa', 'canary-9f2c4e61a7b3d80512ce) ],
	[ '42P01', 'no such table', "SELECT 'user_a', 'exa', $k FROM not_there" ],
	[ '42501', 'no right', "SELECT 'user_a', 'exa', $k FROM pg_authid" ],
	[ '22023', 'no SELECT', "DELETE FROM old WHERE key = $k" ],
	[ '22023', 'columns', "SELECT 'user_a', $k" ])
{
	my ($state, $name, $query) = @$failing;
	$result = $service->query($counts, $query, undef, undef);
	is($result->{error}{state}, $state, "$name: the SQLSTATE");
	unlike(said($result), qr/canary/, '... and the query\'s text, in which a key may stand, is not shown');
}
like($service->query($counts, 'SELECT a, b, c FROM not_there', undef, undef)->{error}{message}, qr/relation.* does not exist/, 'what is about names is said');

# --- A statement with a key in its query's text is not logged when the query fails

outcome_is($service, '42P01', 'a literal key in the query', q{SELECT key_vault.import_keys('SELECT ''user_a'', ''openai'', ''sk-proj-9f2c4e61a7b3d80512ce4f6a7b8c9d0e'' FROM not_there')});

my $log = slurp_file($node->logfile);
unlike($log, qr/canary/, 'the log holds none of the keys');
unlike($log, qr/\Q$_\E/, '... nor this one') for values %keys;
like($log, qr/row \d+ is not imported/, 'but the WARNINGs');

done_testing();
