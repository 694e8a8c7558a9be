# Each kind of call, done and refused, in each kind of transaction and by each way to get there: it
# leaves its record, once, although everything is rolled back.  No record holds a key that was passed
# in a wrong place, and none calls refused what does not open, or the other way round.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use KeyVaultToken;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_vault('calls', conf => "shared_preload_libraries = 'key_vault'\nkey_vault.audit = durable\n");
my $key = 'sk-proj-Zq3vT8kLm2Np5Rw7Xy1Bc4Df6';
my $super = session($node);
add_role($node, 'regress_kv_user', 'user', 'user_a');
add_role($node, 'regress_kv_web', 'user');
my $user = session($node, 'regress_kv_user');
my $web = session($node, 'regress_kv_web');

my $issuer = new_issuer(algorithm => 'RS256');
$issuer->trusted_by($node);
my $token = $issuer->token;
my $jwks = $issuer->jwks;

$super->run(<<"SQL");
CREATE EXTENSION pgcrypto;
SELECT key_vault.set('user_a', 'openai', '$key'), key_vault.set('user_a', 'openai', '$key'), key_vault.set('user_b', 'openai', '$key');
CREATE ROLE regress_kv_other;
SELECT key_vault.grant_access('regress_kv_other', 'monitor');
CREATE TABLE one AS SELECT 1 AS one;
CREATE TABLE jobs (sql text, found text);
CREATE FUNCTION on_job() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN EXECUTE NEW.sql INTO NEW.found; RETURN NEW; END';
CREATE TRIGGER on_job BEFORE INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION on_job();
GRANT SELECT ON one TO PUBLIC;
GRANT INSERT ON jobs TO PUBLIC;
SQL
my $pgp_key = (slurp_file("$FindBin::RealBin/../../sql/escrow.sql") =~ /(-----BEGIN PGP PUBLIC.*?END PGP PUBLIC KEY BLOCK-----)/sg)[1];
my $root_key = $super->value('SELECT id FROM key_vault.root_keys');

# What the call is recorded as, and what it returns: [session, record, call]; done, and refused
my @done = (
	[ $user, 'get ok', q{key_vault.get('user_a', 'openai')} ],
	[ $user, 'get none', q{key_vault.get('user_a', 'exa')} ],
	[ $user, 'require ok', q{key_vault.require('user_a', 'openai')} ],
	[ $user, 'lookup ok', q{key_vault.lookup('user_a', 'openai')} ],
	[ $user, 'get_all ok', q{key_vault.get_all('user_a')} ],
	[ $user, 'set ok', qq{key_vault.set('user_a', 'openai', '$key')} ],
	[ $user, 'rollback ok', q{key_vault.rollback('user_a', 'openai', 1)} ],
	[ $user, 'delete ok', q{key_vault.delete('user_a', 'openai')} ],
	[ $user, 'delete none', q{key_vault.delete('user_a', 'exa')} ],
	[ $user, 'forget ok', q{key_vault.forget('user_a')} ],
	[ $user, 'import_dotenv ok', qq{key_vault.import_dotenv('user_a', 'OPENAI_API_KEY=$key')} ],
	[ $user, 'revoke_tokens ok', q{key_vault.revoke_tokens('user_a')} ],
	[ $super, 'import_keys ok', qq{key_vault.import_keys('SELECT ''user_c'', ''openai'', ''$key''')} ],
	[ $web, 'authenticate ok', "key_vault.authenticate('$token')" ],
	[ $super, 'trust_issuer ok', "key_vault.trust_issuer('https://issuer.example', '{key_vault}', '$jwks')" ],
	[ $super, 'distrust_issuer ok', q{key_vault.distrust_issuer('https://issuer.example')} ],
	[ $super, 'grant_access ok', q{key_vault.grant_access('regress_kv_other', 'auditor')} ],
	[ $super, 'revoke_access ok', q{key_vault.revoke_access('regress_kv_other')} ],
	[ $super, 'create_root_key ok', q{key_vault.create_root_key()} ],
	[ $super, 'escrow_keyring ok', "key_vault.escrow_keyring('$pgp_key')" ],
	[ $super, 'activate_root_key ok', "key_vault.activate_root_key('$root_key')" ],
);
my @refused = (
	[ $user, 'get refused 42501', q{key_vault.get('user_b', 'openai')} ],
	[ $user, 'require refused 42501', q{key_vault.require('user_b', 'openai')} ],
	[ $user, 'require none P0002', q{key_vault.require('user_a', 'exa')} ],
	[ $user, 'lookup refused 42501', q{key_vault.lookup('user_b', 'openai')} ],
	[ $user, 'get_all refused 42501', q{key_vault.get_all('user_b')} ],
	[ $user, 'set refused 42501', qq{key_vault.set('user_b', 'openai', '$key')} ],
	[ $user, 'rollback refused 42704', q{key_vault.rollback('user_a', 'openai', 9)} ],
	[ $user, 'delete refused 42501', q{key_vault.delete('user_b', 'openai')} ],
	[ $user, 'forget refused 42501', q{key_vault.forget('user_b')} ],
	[ $user, 'import_dotenv refused 42501', qq{key_vault.import_dotenv('user_b', 'OPENAI_API_KEY=$key')} ],
	[ $user, 'revoke_tokens refused 42501', q{key_vault.revoke_tokens('user_b')} ],
	[ $super, 'import_keys refused 42P01', q{key_vault.import_keys('SELECT * FROM nonesuch')} ],
	[ $web, 'authenticate refused 28000', q{key_vault.authenticate('a.b.c')} ],
	[ $super, 'trust_issuer refused 22023', q{key_vault.trust_issuer('https://issuer.example', '{key_vault}', '{}')} ],
	[ $super, 'distrust_issuer none', q{key_vault.distrust_issuer('https://nobody.example')} ],
	[ $super, 'grant_access refused 22023', q{key_vault.grant_access('regress_kv_other', 'none')} ],
	[ $super, 'revoke_access refused 42704', q{key_vault.revoke_access('regress_kv_nobody')} ],
	[ $super, 'activate_root_key refused F0000', q{key_vault.activate_root_key('0123456789abcdef')} ],
	[ $super, 'retire_root_key refused 55000', "key_vault.retire_root_key('$root_key')" ],
	[ $super, 'escrow_keyring refused 22023', q{key_vault.escrow_keyring('none')} ],
);

# The records behind a number, once what is not waited for is there, too
sub head { $super->value(q{SELECT key_vault.get('settled', 'exa')}); return $super->value('SELECT number FROM key_vault.audit_head()'); }
sub records_after
{
	my ($number) = @_;
	head();
	return $super->value(q{SELECT string_agg(concat_ws(' ', action, outcome, sqlstate), ', ' ORDER BY number) FROM key_vault.audit_log
		WHERE number > $1 AND user_id IS DISTINCT FROM 'settled'}, $number) // 'none';
}

my %way = (
	'a transaction' => sub { return ('BEGIN', "SELECT $_[0]", 'ROLLBACK'); },
	'a savepoint' => sub { return ('BEGIN', 'SAVEPOINT s', "SELECT $_[0]", 'ROLLBACK TO s', 'ROLLBACK'); },
	'a cursor' => sub { return ('BEGIN', "DECLARE c CURSOR FOR SELECT $_[0]", 'FETCH c', 'ROLLBACK'); },
	'a trigger' => sub { my $sql = "SELECT $_[0]" =~ s/'/''/gr; return ('BEGIN', "INSERT INTO jobs VALUES ('$sql')", 'ROLLBACK'); },
	'a handler of errors' => sub { return ('BEGIN', "DO \$do\$ BEGIN PERFORM $_[0]; RAISE 'undone'; EXCEPTION WHEN OTHERS THEN NULL; END \$do\$", 'ROLLBACK'); },
	'a serializable transaction' => sub { return ('BEGIN ISOLATION LEVEL SERIALIZABLE', "SELECT $_[0]", 'ROLLBACK'); },
	'a transaction that is refused its commit' => sub { return ('BEGIN', "SELECT $_[0]", 'SELECT 1/0', 'COMMIT'); },
);

sub each_leaves_its_record
{
	my ($way, $statements, $calls) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my (@found, @expected);
	for my $call (@$calls)
	{
		my ($session, $record, $sql) = @$call;
		my $before = head();
		$session->simple($_) for $statements->($sql);
		push @found, records_after($before);
		push @expected, $record;
	}
	is_deeply(\@found, \@expected, $way);
	return;
}
each_leaves_its_record("in $_", $way{$_}, [ @done, @refused ]) for sort keys %way;

# What would write is refused there, and recorded as refused
my $reads = qr/^(get|require|lookup|get_all|authenticate|escrow_keyring) /;
each_leaves_its_record('in a read-only transaction', sub { return ('BEGIN READ ONLY', "SELECT $_[0]", 'ROLLBACK'); },
	[ (map { [ $_->[0], $_->[1] =~ $reads ? $_->[1] : $_->[1] =~ s/ .*/ refused 25006/r, $_->[2] ] } @done), grep { $_->[1] =~ $reads } @refused ]);

my @of_secrets = grep { $_->[1] =~ /^(get|require|lookup|get_all|set|rollback|delete|forget|import_\w+) / } @done, @refused;
$super->run('CREATE POLICY more ON key_vault_data.secrets FOR ALL TO PUBLIC USING (user_id = key_vault.current_user_id())');
each_leaves_its_record("by the planner's way", $way{'a transaction'}, \@of_secrets);
$super->run('DROP POLICY more ON key_vault_data.secrets');

# A row of a parallel plan each
$super->run("CREATE TABLE many AS SELECT 'user_a' AS u FROM generate_series(1, 200)", 'ALTER TABLE many SET (parallel_workers = 2)', 'ANALYZE many', 'GRANT SELECT ON many TO PUBLIC');
$user->run("SET $_ = 0") for 'parallel_setup_cost', 'parallel_tuple_cost', 'min_parallel_table_scan_size';
for my $call ("get(u, 'openai')", "require(u, 'openai')", "lookup(u, 'openai')", 'get_all(u)')
{
	my ($name) = $call =~ /(\w+)/;
	my $sql = $name eq 'lookup' ? "SELECT count(*) FROM many, key_vault.$call" : "SELECT count(key_vault.$call) FROM many";
	like(join("\n", map { $_->[0] } @{ $user->query("EXPLAIN $sql")->{rows} }), qr/Gather/, "$name in a parallel plan");
	my $before = head();
	is($user->value($sql), 200, '... of many rows');
	head();
	is($super->value(q{SELECT count(*) FROM key_vault.audit_log WHERE number > $1 AND action = $2 AND outcome = 'ok'}, $before, $name), 200, '... leaves a record of each');
}

# --- A key in the wrong place is in no record

my $wrong = 'sk-ant-api03-Wr0ngPl4ceWr0ngPl4ceWr0ngPl4ce77';
my $jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJXcjBuZ1BsNGNlIn0.c2lnbmF0dXJlLVdyMG5nUGw0Y2U';
add_role($node, 'regress_kv_service', 'service');
my $service = session($node, 'regress_kv_service');
my $before = head();
my $passed = 0;
for my $value ($wrong, $jwt)
{
	for my $call ('get(%s, %s, %s)', 'require(%s, %s, %s)', 'lookup(%s, %s, %s)', 'set(%s, %s, %4$s, %s)', 'delete(%s, %s, %s)', 'rollback(%s, %s, 1, %s)',
		'get_all(%s)', 'forget(%s)', 'revoke_tokens(%s)', 'import_dotenv(%s, %4$s)')
	{
		for my $at (0 .. ($call =~ /forget|all|tokens|dotenv/ ? 0 : 2))
		{
			my @arguments = map { "'$_'" } 'user_a', 'openai', 'default', 'short';
			$arguments[$at] = "'$value'";
			# done as well as refused: what is done as such a user is named as such, and forget() takes it out
			for my $session ($user, $service, $web)
			{
				next if $session == $service && $at == 0;
				$session->simple('SELECT key_vault.' . sprintf $call, @arguments);
				$passed++;
			}
		}
	}
	$super->simple("SELECT key_vault.$_") for "authenticate('$value')", "activate_root_key('$value')", "retire_root_key('$value')", "grant_access('$value', 'user')",
		"grant_access('regress_kv_other', '$value')", "revoke_access('$value')", "trust_issuer('$value', '{a}', '{}')", "distrust_issuer('$value')", "escrow_keyring('$value')",
		"import_keys('SELECT ''$wrong'', ''openai'', ''x''')", "import_keys('SELECT ''user_a'', ''$value'', ''x''')", "import_keys('$value')";
	$super->simple("CALL key_vault.discard_secrets('$value')");
}
head();
cmp_ok($super->value('SELECT count(*) FROM key_vault.audit_log WHERE number > $1', $before), '>=', $passed, 'calls with a key in the wrong place have their records');
is($super->value(q{SELECT string_agg(a::text, E'\n') FROM key_vault_data.audit a WHERE a::text ~ 'Wr0ngPl4ce|WHIwbmdQbDRjZQ|eyJhbGci'}) // '', '', '... which hold none of it');

# --- What does not open

my $second = $super->value('SELECT key_vault.create_root_key()');
$super->run("SELECT key_vault.activate_root_key('$second')", "SELECT key_vault.set('user_a', 'exa', '01234567-89ab-cdef-0123-456789abcdef')");
my $keyring = slurp_file(keyring_path($node));

# The records of calls, each by a session that has not read the keyring, while that is as said
sub with_keyring
{
	my ($text, @calls) = @_;
	my @sessions = map { session($node, $_ =~ /escrow/ ? undef : 'regress_kv_service') } @calls;
	my $number = head();
	{ open my $file, '>', keyring_path($node) or die; print $file $text; }
	my @states = map { $sessions[$_]->outcome("SELECT key_vault.$calls[$_]") } 0 .. $#calls;
	{ open my $file, '>', keyring_path($node) or die; print $file $keyring; }
	return records_after($number);
}
is(with_keyring($keyring =~ s/^$second .*\n//mr, "get('user_a', 'exa')", "get('user_a', 'openai')", "rollback('user_a', 'exa', 1)", "get_all('user_a')", "set('user_a', 'exa', '$key')", "delete('user_b', 'exa')"),
	'get unopened F0000, get ok, rollback unopened F0000, get_all unopened, get_all ok, set refused F0000, delete none', 'a key whose root key is missing is unopened');
is(with_keyring("nonsense\n", "get('user_a', 'exa')", "get('user_a', 'nonesuch')", "get_all('user_a')", "require('user_z', 'exa')", "escrow_keyring('$pgp_key')", "set('user_a', 'exa', '$key')"),
	'get unopened F0000, get refused 42704, get_all unopened F0000, require none P0002, escrow_keyring refused F0000, set refused F0000', 'without a keyring keys are unopened, and calls that open none are refused');

is($super->value('SELECT count(*) FROM key_vault.verify_audit()'), 0, 'the chain verifies');

$node->stop;
done_testing();
