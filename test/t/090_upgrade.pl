# ALTER EXTENSION key_vault UPDATE: from the oldest version to the newest, and to one that
# is made up here, so that the way is tried before there is a second version.
use strict;
use warnings;

use Digest::SHA;
use File::Basename qw(basename);
use FindBin;
use lib "$FindBin::RealBin/../perl";
use KeyVaultCluster;
use KeyVaultDocs;
use KeyVaultTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/../..";

sub slurp
{
	my ($path) = @_;
	return PostgreSQL::Test::Utils::slurp_file($path);
}

sub spew
{
	my ($path, $content) = @_;
	open my $file, '>', $path or die "$path: $!";
	print $file $content;
	close $file or die "$path: $!";
	return;
}

# Everything that an install made, as text: what an update must end with.
my $describe = q{
	SELECT string_agg(line, E'\n' ORDER BY line) FROM (
	    SELECT concat_ws(' | ', i.type, i.identity, obj_description(d.objid, d.classid::regclass::name),
	           coalesce(p.proacl::text, c.relacl::text, n.nspacl::text),
	           CASE WHEN p.prokind IS NOT NULL THEN md5(pg_get_functiondef(p.oid)) END,
	           CASE WHEN c.relkind = 'v' THEN md5(pg_get_viewdef(c.oid)) END,
	           c.relrowsecurity, c.relforcerowsecurity, c.relreplident, c.reloptions,
	           (SELECT string_agg(concat_ws(' ', attname, atttypid::regtype, attcollation::regcollation, attnotnull, attstorage, attcompression,
	                                        attstattarget, attacl::text, col_description(c.oid, attnum), pg_get_expr(adbin, adrelid)), ', ' ORDER BY attnum)
	            FROM pg_attribute a LEFT JOIN pg_attrdef f ON adrelid = attrelid AND adnum = attnum
	            WHERE a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
	           (SELECT string_agg(concat_ws(' ', polname, polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
	                                        pg_get_expr(polwithcheck, polrelid), obj_description(l.oid, 'pg_policy')), ', ' ORDER BY polname)
	            FROM pg_policy l WHERE polrelid = c.oid),
	           (SELECT string_agg(concat_ws(' ', conname, pg_get_constraintdef(k.oid), obj_description(k.oid, 'pg_constraint')), ', ' ORDER BY conname)
	            FROM pg_constraint k WHERE conrelid = c.oid),
	           (SELECT string_agg(concat_ws(' ', pg_get_indexdef(indexrelid), indisreplident, obj_description(indexrelid, 'pg_class')), ', '
	                              ORDER BY indexrelid::regclass::text)
	            FROM pg_index WHERE indrelid = c.oid),
	           (SELECT string_agg(concat_ws(' ', pg_get_triggerdef(t.oid), tgenabled, obj_description(t.oid, 'pg_trigger')), ', ' ORDER BY tgname)
	            FROM pg_trigger t WHERE tgrelid = c.oid AND NOT tgisinternal)) AS line
	    FROM pg_extension e
	    JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e',
	    LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) i
	    LEFT JOIN LATERAL (SELECT * FROM pg_proc WHERE d.classid = 'pg_proc'::regclass AND oid = d.objid) p ON true
	    LEFT JOIN LATERAL (SELECT * FROM pg_class WHERE d.classid = 'pg_class'::regclass AND oid = d.objid) c ON true
	    LEFT JOIN LATERAL (SELECT * FROM pg_namespace WHERE d.classid = 'pg_namespace'::regclass AND oid = d.objid) n ON true
	    WHERE e.extname = 'key_vault'
	    UNION ALL
	    SELECT 'level | ' || concat_ws(' ', privilege, levels) FROM key_vault.level_rights()
	    UNION ALL
	    SELECT 'provider | ' || b::text FROM key_vault_data.builtin_providers b
	    UNION ALL
	    SELECT 'dumped | ' || t::regclass || ' ' || w FROM pg_extension, unnest(extconfig, extcondition) AS x(t, w)
	    WHERE extname = 'key_vault') AS lines};

# The made-up version needs files beside the extension's own.
my ($install, $extension) = copy_of_server();
my @base = sort map { basename($_) =~ /^key_vault--([^-]+)\.sql$/ ? $1 : () } glob("$extension/key_vault--*.sql");
my ($default) = slurp("$extension/key_vault.control") =~ /^default_version = '([^']+)'/m;
my $oldest = $base[0];
my $next = "$default.made_up";

# --- The made-up version: a function in no level, one of level user that has to be made anew, a provider ---

my ($import) = slurp("$extension/key_vault--$default.sql") =~ /^(CREATE FUNCTION key_vault\.import_dotenv\(.*?IS '(?:[^']|'')*';\n)/ms;
die 'the script has no import_dotenv' unless defined $import;
my $addition = q{
CREATE FUNCTION key_vault.made_up() RETURNS text AS 'SELECT ''here''' LANGUAGE sql;
REVOKE ALL ON FUNCTION key_vault.made_up FROM PUBLIC;
COMMENT ON FUNCTION key_vault.made_up IS 'a function that only this test knows';
DROP FUNCTION key_vault.import_dotenv;
} . $import . q{
INSERT INTO key_vault_data.builtin_providers (name, display_name, env_var) VALUES ('made_up', 'Made up', 'MADE_UP_API_KEY');
};
spew("$extension/key_vault--$default--$next.sql", $addition);
spew("$extension/key_vault--$next.sql", slurp("$extension/key_vault--$default.sql") . $addition);

my $node = PostgreSQL::Test::Cluster->new('main', install_path => $install);
init_cluster($node);
$node->append_conf('postgresql.conf',
	"key_vault.keyring_file = '" . PostgreSQL::Test::Utils::tempdir . "/keyring'\n");
$node->start;
$node->safe_psql('postgres', "CREATE DATABASE $_") for qw(fresh updated);

# --- Old data, own grants, own providers, a level that was cut down ---

$node->safe_psql('updated', "CREATE EXTENSION key_vault VERSION '$oldest'");
is($node->safe_psql('updated', q{SELECT extversion FROM pg_extension WHERE extname = 'key_vault'}),
	$oldest, 'the oldest version installs');
$node->safe_psql('updated', q{
	SELECT key_vault.create_root_key();
	SELECT key_vault.set('user_a', 'gemini', 'AIza-' || repeat('k', 30));
	CREATE ROLE regress_kv_user; CREATE ROLE regress_kv_service; CREATE ROLE regress_kv_admin;
	CREATE ROLE regress_kv_cut; CREATE ROLE regress_kv_auditor; CREATE ROLE regress_kv_none;
	SELECT key_vault.grant_access('regress_kv_user', 'user');
	SELECT key_vault.grant_access('regress_kv_service', 'service');
	SELECT key_vault.grant_access('regress_kv_admin', 'admin');
	SELECT key_vault.grant_access('regress_kv_cut', 'user');
	REVOKE EXECUTE ON FUNCTION key_vault.set FROM regress_kv_cut;
	GRANT USAGE ON SCHEMA key_vault TO regress_kv_auditor;
	GRANT SELECT ON key_vault.inventory TO regress_kv_auditor;
	INSERT INTO key_vault_data.own_providers (name, display_name, env_var) VALUES ('acme', 'Acme', 'ACME_API_KEY')});

# The installed library serves the oldest version's SQL: CREATE EXTENSION has looked
# up every C function of it, and a call works.
is($node->safe_psql('updated', q{SELECT key_vault.get('user_a', 'gemini') LIKE 'AIza-k%'}),
	't', 'the library serves the oldest version');

# --- To the newest ---

$node->safe_psql('updated', 'ALTER EXTENSION key_vault UPDATE') if $oldest ne $default;
$node->safe_psql('fresh', 'CREATE EXTENSION key_vault');
my $acls = q{REVOKE ALL ON ALL TABLES IN SCHEMA key_vault, key_vault_data FROM regress_kv_user, regress_kv_service, regress_kv_admin, regress_kv_cut, regress_kv_auditor;
	REVOKE ALL ON ALL ROUTINES IN SCHEMA key_vault FROM regress_kv_user, regress_kv_service, regress_kv_admin, regress_kv_cut;
	REVOKE ALL ON SCHEMA key_vault FROM regress_kv_user, regress_kv_service, regress_kv_admin, regress_kv_cut, regress_kv_auditor;};

# What an update made, without the roles' grants.  Rolled back.
sub description
{
	my ($dbname, $revoke) = @_;
	return $node->safe_psql($dbname, 'BEGIN;' . ($revoke ? $acls : '') . "$describe; ROLLBACK");
}

my $fresh = description('fresh', 0);
cmp_ok(length $fresh, '>', 10000, 'the description of a fresh install says something');
is(description('updated', 1), $fresh, 'updated from the oldest to the newest is as installed afresh');

# --- And to the made-up one ---

$node->safe_psql('updated', "ALTER EXTENSION key_vault UPDATE TO '$next'");
my $changed = description('updated', 1);
isnt($changed, $fresh, 'an update changes the description');
$node->safe_psql('fresh', "DROP EXTENSION key_vault; CREATE EXTENSION key_vault VERSION '$next'");
is($changed, description('fresh', 0), 'updated to the made-up version is as installed afresh');

sub may
{
	my ($role, $function) = @_;
	return $node->safe_psql('updated', "SELECT has_function_privilege('$role', 'key_vault.$function', 'EXECUTE')");
}
my $levels = q{SELECT string_agg(concat_ws(' ', role, complete, missing), ', ' ORDER BY role) FROM key_vault.access
	WHERE level IS NOT NULL AND role NOT IN ('regress_kv_auditor', 'regress_kv_cut')};
my $import_dotenv = 'import_dotenv(text, text)';
is($node->safe_psql('updated', $levels),
	'regress_kv_admin t {}, regress_kv_service f {"EXECUTE ON ROUTINE key_vault.import_dotenv"}, regress_kv_user f {"EXECUTE ON ROUTINE key_vault.import_dotenv"}',
	'who lacks what the new version brought is told');
my ($upgrading) = map { $_->{text} =~ /^ALTER EXTENSION key_vault UPDATE;\n(.*)/s } blocks_by('090_upgrade.pl');
$node->safe_psql('updated', $upgrading);
is($node->safe_psql('updated', $levels), 'regress_kv_admin t {}, regress_kv_service t {}, regress_kv_user t {}',
	'what docs/operating.md says makes the levels complete');
is(may('regress_kv_user', $import_dotenv), 't', 'the function reaches level user');
is(may('regress_kv_service', $import_dotenv), 't', 'and level service');
is(may('regress_kv_admin', $import_dotenv), 'f', 'but not level admin');
is(may('regress_kv_none', $import_dotenv), 'f', 'nor a role without a level');
is(may('regress_kv_service', 'made_up()'), 'f', 'what is in no level reaches nobody');
is($node->safe_psql('updated', q{SELECT has_table_privilege('regress_kv_auditor', 'key_vault.inventory', 'SELECT')}),
	't', 'own grants stay');
is($node->safe_psql('updated', q{SELECT string_agg(name, ', ' ORDER BY name) FROM key_vault.providers WHERE name IN ('acme', 'made_up')}),
	'acme, made_up', 'own providers stay, new ones come');
is($node->safe_psql('updated', q{SELECT key_vault.get('user_a', 'gemini') LIKE 'AIza-k%'}), 't', 'secrets stay');

# --- Released scripts never change ---

for (grep { !/^\s*(#|$)/ } split /\n/, slurp("$top/scripts/released.sha256"))
{
	my ($sum, $file) = split;
	is(Digest::SHA->new(256)->addfile("$top/$file")->hexdigest, $sum, "$file is as released");
}

$node->stop;
done_testing();
