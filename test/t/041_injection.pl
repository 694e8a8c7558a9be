# SQL injected into an application.  At level user, with an identity, it reaches that
# user's keys and no others.  At level service it can name any user: that is what the
# level means, and only a transaction's identity stands against its mistakes.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_vault('injection');
add_role($node, 'regress_kv_tenant', 'user', 'user_a');
add_role($node, 'regress_kv_service', 'service');
my $folder = PostgreSQL::Test::Utils::tempdir;
my $super = session($node);
my %keys = (user_a => 'AIza-of-user_a-' . 'a' x 20, victim => 'AIza-of-victim-' . 'v' x 16 . 'last');
$super->value(q{SELECT key_vault.set($1, 'gemini', $2)}, $_, $keys{$_}) for sort keys %keys;
$super->run('CREATE TABLE documents (title text)', q{INSERT INTO documents VALUES ('one')},
	'GRANT SELECT ON documents TO PUBLIC', 'GRANT CREATE ON SCHEMA public TO PUBLIC', 'ANALYZE');
my $sealed = $super->value(q{SELECT encode(sealed, 'hex') FROM key_vault.secrets WHERE user_id = 'victim'});
my $ring = slurp_file(keyring_path($node));
my $state = q{SELECT md5(concat((SELECT string_agg(s::text, ' ' ORDER BY s.user_id, s.version) FROM key_vault.secrets s),
	(SELECT string_agg(r::text, ' ' ORDER BY r.id) FROM key_vault_data.root_key_registry r),
	(SELECT string_agg(o::text, ' ' ORDER BY o.name) FROM key_vault_data.own_providers o),
	(SELECT string_agg(a::text, ' ' ORDER BY a.role) FROM key_vault.access a),
	(SELECT string_agg(d::text, ' ') FROM pg_db_role_setting d),
	(SELECT string_agg(polname || pg_get_expr(polqual, polrelid), ' ') FROM pg_policy)))};
my $before = $super->value($state);

# Everything that came back, as one text.
sub heard
{
	my ($result) = @_;
	return join "\n", (map { join '|', map { $_ // '' } @$_ } @{ $result->{rows} }),
	  map { join '|', values %$_ } grep { defined } $result->{error}, @{ $result->{notices} };
}

# The application's query, and what an attacker sends as its title.
sub search
{
	my ($title) = @_;
	return "SELECT title FROM documents WHERE title = '$title'";
}

my @payloads = (
	q{' UNION ALL SELECT key_vault.get('victim', 'gemini') --},
	q{' UNION ALL SELECT key_vault.require('victim', 'gemini') --},
	q{' UNION ALL SELECT key_vault.get_all('victim')::text --},
	q{' UNION ALL SELECT hint FROM key_vault.list('victim') --},
	q{' UNION ALL SELECT hint FROM key_vault.versions('victim', 'gemini') --},
	q{' UNION ALL SELECT key_vault.get(u, 'gemini') FROM (VALUES ('victim')) AS v (u) --},
	q{' UNION ALL SELECT encode(sealed, 'hex') FROM key_vault.secrets WHERE user_id = 'victim' --},
	q{' UNION ALL SELECT s::text FROM key_vault.secrets s --},
	q{' UNION ALL SELECT i::text FROM key_vault.inventory i --},
	q{' UNION ALL SELECT r::text FROM key_vault_data.root_key_registry r --},
	q{' UNION ALL SELECT most_common_vals::text FROM pg_stats WHERE schemaname = 'key_vault' --},
	q{' UNION ALL SELECT s::text FROM pg_statistic s --},
	q{' UNION ALL SELECT set_config('key_vault.user_id', 'victim', false) UNION ALL SELECT key_vault.get(NULL, 'gemini') --},
	q{' UNION ALL SELECT set_config('role', 'regress_kv_service', false) UNION ALL SELECT key_vault.get('victim', 'gemini') --},
	q{' UNION ALL SELECT set_config('row_security', 'off', false) UNION ALL SELECT hint FROM key_vault.secrets --},
	q{'; SET key_vault.user_id = 'victim'; SELECT key_vault.get(NULL, 'gemini') --},
	q{'; SET SESSION key_vault.user_id TO DEFAULT; SELECT key_vault.get('victim', 'gemini') --},
	q{'; RESET ALL; SELECT key_vault.get('victim', 'gemini') --},
	q{'; RESET SESSION AUTHORIZATION; RESET ROLE; SELECT key_vault.get('victim', 'gemini') --},
	q{'; SET ROLE regress_kv_service; SELECT key_vault.get('victim', 'gemini') --},
	q{'; SET SESSION AUTHORIZATION regress_kv_service; SELECT key_vault.get('victim', 'gemini') --},
	q{'; SET row_security = off; SELECT s::text FROM key_vault.secrets s --},
	q{'; ALTER ROLE regress_kv_tenant SET key_vault.user_id = 'victim' --},
	q{'; ALTER ROLE regress_kv_tenant RESET key_vault.user_id --},
	q{'; ALTER SYSTEM SET key_vault.keyring_file = '/tmp/mine' --},
	q{'; GRANT SET ON PARAMETER key_vault.user_id TO regress_kv_tenant --},
	q{'; SELECT key_vault.grant_access('regress_kv_tenant', 'service') --},
	q{'; SELECT privilege FROM key_vault.level_rights() --},
	q{'; SELECT key_vault.set('victim', 'gemini', 'AIza-of-the-attacker') --},
	q{'; SELECT key_vault.delete('victim', 'gemini') --},
	q{'; SELECT key_vault.forget('victim') --},
	q{'; SELECT key_vault.rollback('victim', 'gemini', 1) --},
	q{'; SELECT key_vault.create_root_key() --},
	q{'; SELECT key_vault.add_provider('mine') --},
	q{'; SELECT key_vault.import_keys('SELECT ''user_a'', ''gemini'', sealed FROM key_vault.secrets') --},
	q{'; SELECT key_vault.escrow_keyring('') --},
	q{'; INSERT INTO key_vault_data.secrets SELECT 'user_a', provider, label, 9, root_key_id, sealed FROM key_vault.secrets --},
	q{'; UPDATE key_vault_data.secrets SET user_id = 'user_a' --},
	q{'; DELETE FROM key_vault_data.secrets --},
	q{'; TRUNCATE key_vault_data.secrets --},
	q{'; LOCK TABLE key_vault_data.secrets IN ACCESS EXCLUSIVE MODE --},
	q{'; COPY key_vault_data.secrets TO STDOUT --},
	q{'; COPY documents FROM PROGRAM 'cat RING' --},
	q{'; COPY documents FROM 'RING' --},
	q{'; SELECT pg_read_file('RING') --},
	q{'; SELECT lo_import('RING') --},
	q{'; SHOW key_vault.keyring_file --},
	q{'; SELECT setting FROM pg_settings WHERE name LIKE 'key_vault.%' --},
	q{'; LOAD 'RING' --},
	q{'; CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
		$$ BEGIN RAISE NOTICE 'leaked %', $1; RETURN true; END $$; SELECT hint FROM key_vault.secrets WHERE pg_temp.leak(user_id || hint) --},
	q{'; CREATE FUNCTION public.current_user_id() RETURNS text LANGUAGE sql AS $$ SELECT 'victim' $$;
		SET search_path = public, key_vault; SELECT get(NULL, 'gemini') --},
	q{'; CREATE FUNCTION key_vault.current_user_id(int DEFAULT 1) RETURNS text LANGUAGE sql AS $$ SELECT 'victim' $$ --},
	q{'; CREATE FUNCTION public.as_victim() RETURNS text LANGUAGE sql SET key_vault.user_id = 'victim' AS $$ SELECT key_vault.get(NULL, 'gemini') $$ --},
	q{'; CREATE VIEW public.all_of_them AS SELECT * FROM key_vault.secrets; SELECT a::text FROM public.all_of_them a --},
	q{'; CREATE RULE r AS ON SELECT TO key_vault_data.secrets DO INSTEAD NOTHING --},
	q{'; CREATE POLICY p ON key_vault_data.secrets USING (true) --},
	q{'; CREATE TRIGGER t BEFORE INSERT ON key_vault_data.secrets FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger() --},
	q{'; CREATE INDEX ON key_vault_data.secrets ((sealed::text)) --},
	q{'; DO $$ BEGIN PERFORM key_vault.get('victim', 'gemini'); EXCEPTION WHEN OTHERS THEN
		RAISE NOTICE 'still here as %', key_vault.current_user_id(); RAISE NOTICE '%', key_vault.get(NULL, 'gemini'); END $$ --},
	q{'; BEGIN; SAVEPOINT s; SELECT key_vault.get('victim', 'gemini'); ROLLBACK TO s; SELECT key_vault.get(NULL, 'gemini') --},
	q{'; SELECT query FROM pg_stat_activity --},
	q{'; EXPLAIN (ANALYZE, VERBOSE) SELECT key_vault.get('victim', 'gemini') --},
	q{'; PREPARE p AS SELECT key_vault.get('victim', 'gemini'); EXECUTE p --},
	q{'; DECLARE c CURSOR WITH HOLD FOR SELECT key_vault.get('victim', 'gemini'); FETCH c --},
	q{'; NOTIFY x; SELECT 1 FROM key_vault.status() --});

# --- Level user

my %name_of = map { my $name = $_; $name =~ s/\s+/ /g; $_ => length $name > 90 ? substr($name, 0, 90) . '...' : $name } @payloads;
for my $payload (@payloads)
{
	(my $sent = $payload) =~ s/RING/keyring_path($node)/ge;
	my @heard;
	for my $first_use (0, 1)
	{
		my $session = session($node, 'regress_kv_tenant');
		$session->value(q{SELECT key_vault.get(NULL, 'gemini')}) if !$first_use;
		push @heard, heard($session->simple(search($sent)));
		push @heard, heard($session->query(search($sent)));
		$session->simple('ROLLBACK');
		push @heard, heard($session->query(q{SELECT concat_ws('|', key_vault.current_user_id(), key_vault.get(NULL, 'gemini'),
			key_vault.get('user_a', 'gemini'), (SELECT string_agg(user_id, ',') FROM key_vault.secrets))}));
		# an identity that is lost is no harm; another's is
	}
	my $heard = join "\n", @heard;
	unlike($heard, qr/\Q$keys{victim}\E|v{8}|\Q$sealed\E|last\b|leaked victim|^victim$|\Q@{[ substr($ring, -80, 40) ]}\E/m,
		"level user: $name_of{$payload}");
}
$super->run('DROP FUNCTION IF EXISTS public.current_user_id, public.as_victim', 'DROP VIEW IF EXISTS public.all_of_them');
is($super->value($state), $before, 'level user: nothing of ours has changed');
is(slurp_file(keyring_path($node)), $ring, 'level user: nor has the keyring');
is($super->value(q{SELECT key_vault.get('victim', 'gemini')}), $keys{victim}, 'level user: the victim has its key');

# --- Level service, in a transaction with an identity, a bound statement at a time

my @calls = grep { /UNION/ && !/set_config/ } @payloads;
for my $payload (@calls)
{
	my $session = session($node, 'regress_kv_service');
	$session->run('BEGIN', q{SET LOCAL key_vault.user_id = 'user_a'});
	my $heard = heard($session->query(search($payload)));
	$session->run('ROLLBACK');
	unlike($heard, qr/\Q$keys{victim}\E|v{8}|\Q$sealed\E|last\b/, "level service with an identity: $name_of{$payload}");
}

# What the level means: who may set the identity may set it in SQL that is injected, too.
{
	my $session = session($node, 'regress_kv_service');
	$session->run('BEGIN', q{SET LOCAL key_vault.user_id = 'user_a'});
	my $heard = heard($session->query(search(q{' UNION ALL SELECT set_config('key_vault.user_id', 'victim', true)
		UNION ALL SELECT key_vault.get(NULL, 'gemini') --})));
	like($heard, qr/\Q$keys{victim}\E/, 'not promised: SQL injected at level service sets the identity itself');
	$session->run('ROLLBACK');
}

done_testing();
