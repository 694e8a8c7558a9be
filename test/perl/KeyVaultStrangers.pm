# Every kind of statement that takes a name and a lock, or finds what to lock by itself, as a
# role would try it that owns nothing of what it names: for tests of who waits for it then.
package KeyVaultStrangers;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(own_objects statements_on_relation statements_on_index statements_on_routine statements_on_schema
	statements_on_everything cannot_be_in_a_transaction);

# own_objects(role, extension, superuser's session): a schema of the role's own, by the role's name,
# with what statements combine with things of others, and an extension that anybody may create.
sub own_objects
{
	my ($role, $extension, $super) = @_;
	$super->run(
		"CREATE SCHEMA $role AUTHORIZATION $role",
		"GRANT CREATE ON DATABASE postgres TO $role",
		"SET ROLE $role",
		"CREATE TABLE $role.mine (user_id text, provider text, label text, version int)",
		"CREATE TABLE $role.parted (LIKE $role.mine) PARTITION BY LIST (user_id)",
		"CREATE SEQUENCE $role.counter",
		"CREATE PUBLICATION ${role}_publication FOR TABLE $role.mine",
		"RESET ROLE");
	# where contrib is not installed, there is none
	$super->simple("SET ROLE $role; CREATE EXTENSION $extension SCHEMA $role");
	$super->run('RESET ROLE');
	return;
}

my @lock_modes = map { "$_ MODE" } 'ACCESS SHARE', 'ROW SHARE', 'ROW EXCLUSIVE', 'SHARE UPDATE EXCLUSIVE', 'SHARE', 'SHARE ROW EXCLUSIVE',
	'EXCLUSIVE', 'ACCESS EXCLUSIVE';

# For a table or view r with a column c, by a role with the schema o and the extension.
sub statements_on_relation
{
	my ($r, $c, $o, $extension) = @_;
	my @queries = ("SELECT * FROM $r FOR UPDATE", "SELECT * FROM $r FOR NO KEY UPDATE", "SELECT * FROM $r FOR SHARE", "SELECT * FROM $r FOR KEY SHARE",
		"INSERT INTO $r ($c) VALUES (NULL)", "UPDATE $r SET $c = $c", "DELETE FROM $r",
		"MERGE INTO $r USING $o.mine ON true WHEN MATCHED THEN DELETE", "SELECT 1 FROM $r");
	my $number = 0;
	return (
		(map { "LOCK TABLE $r IN $_" } @lock_modes), "LOCK TABLE ONLY $r",
		@queries, (map { "EXPLAIN $_" } @queries),
		(map { my $name = 'p' . ++$number . '_' . $r =~ s/\W/_/gr; "PREPARE $name AS $_" } @queries),
		(map { 'DECLARE c' . ++$number . '_' . ($r =~ s/\W/_/gr) . " CURSOR FOR $_" } @queries[ 0 .. 3 ]),

		# rules and triggers
		"CREATE RULE stranger AS ON UPDATE TO $r DO NOTHING", "CREATE RULE stranger AS ON INSERT TO $r DO INSTEAD NOTHING",
		qq{CREATE OR REPLACE RULE "_RETURN" AS ON SELECT TO $r DO INSTEAD SELECT * FROM $o.mine},
		qq{DROP RULE "_RETURN" ON $r}, qq{ALTER RULE "_RETURN" ON $r RENAME TO stranger}, qq{COMMENT ON RULE "_RETURN" ON $r IS 'stranger'},
		"CREATE TRIGGER stranger BEFORE UPDATE ON $r FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
		"CREATE TRIGGER stranger INSTEAD OF UPDATE ON $r FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
		"CREATE CONSTRAINT TRIGGER stranger AFTER UPDATE ON $r FROM $o.mine FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
		"DROP TRIGGER metadata_changed ON $r", "ALTER TRIGGER metadata_changed ON $r RENAME TO stranger",
		"ALTER TRIGGER metadata_changed ON $r DEPENDS ON EXTENSION $extension", "COMMENT ON TRIGGER metadata_changed ON $r IS 'stranger'",

		# what is said of it
		"COMMENT ON TABLE $r IS 'stranger'", "COMMENT ON VIEW $r IS 'stranger'", "COMMENT ON COLUMN $r.$c IS 'stranger'",
		"COMMENT ON CONSTRAINT secrets_pkey ON $r IS 'stranger'", "COMMENT ON POLICY own_rows ON $r IS 'stranger'",
		"SECURITY LABEL ON TABLE $r IS 'stranger'", "SECURITY LABEL ON VIEW $r IS 'stranger'", "SECURITY LABEL ON COLUMN $r.$c IS 'stranger'",
		"CREATE STATISTICS $o.stranger ON $c, ($c || 'x') FROM $r",

		# policies and rights
		"CREATE POLICY stranger ON $r USING (true)", "ALTER POLICY own_rows ON $r USING (true)", "ALTER POLICY own_rows ON $r RENAME TO stranger",
		"DROP POLICY own_rows ON $r", "GRANT SELECT ON $r TO PUBLIC", "REVOKE ALL ON $r FROM PUBLIC", "GRANT SELECT ($c) ON $r TO PUBLIC",

		# what refers to it
		"CREATE TABLE $o.referring (c text REFERENCES $r ($c))", "ALTER TABLE $o.mine ADD FOREIGN KEY (user_id) REFERENCES $r ($c)",
		"CREATE TABLE $o.heir () INHERITS ($r)", "ALTER TABLE $o.mine INHERIT $r", "ALTER TABLE $o.mine NO INHERIT $r",
		"CREATE TABLE $o.part PARTITION OF $r DEFAULT", "ALTER TABLE $o.parted ATTACH PARTITION $r FOR VALUES IN ('x')",
		"ALTER TABLE $o.parted DETACH PARTITION $r", "ALTER TABLE $o.parted DETACH PARTITION $r CONCURRENTLY",
		"CREATE TABLE $o.likeness (LIKE $r INCLUDING ALL)", "CREATE TABLE $o.typed OF $r", "ALTER TABLE $o.mine OF $r",
		"CREATE VIEW $o.over AS SELECT * FROM $r", "CREATE MATERIALIZED VIEW $o.copied AS SELECT * FROM $r", "SELECT * INTO $o.taken FROM $r",
		"ALTER SEQUENCE $o.counter OWNED BY $r.$c", "CREATE PUBLICATION stranger FOR TABLE $r", "ALTER PUBLICATION ${o}_publication ADD TABLE $r",
		"ALTER PUBLICATION ${o}_publication SET TABLE $r", "ALTER PUBLICATION ${o}_publication DROP TABLE $r",
		"CREATE FUNCTION $o.of_row($r) RETURNS int LANGUAGE sql RETURN 1", "CREATE FUNCTION $o.of_column(c $r.$c%TYPE) RETURNS int LANGUAGE sql RETURN 1",
		"CREATE RULE stranger AS ON DELETE TO $o.mine DO ALSO DELETE FROM $r",

		# upkeep
		"VACUUM $r", "VACUUM FULL $r", "VACUUM (FREEZE, ANALYZE) $r ($c)", "VACUUM (FULL, SKIP_LOCKED) $r", "ANALYZE $r", "ANALYZE $r ($c)",
		"CLUSTER $r", "CLUSTER $r USING secrets_pkey", "REINDEX TABLE $r", "REINDEX TABLE CONCURRENTLY $r", "TRUNCATE $r", "TRUNCATE ONLY $r CASCADE",
		"TRUNCATE $o.mine, $r", "REFRESH MATERIALIZED VIEW $r", "REFRESH MATERIALIZED VIEW CONCURRENTLY $r",
		"CREATE INDEX ON $r ($c)", "CREATE UNIQUE INDEX CONCURRENTLY stranger ON $r ($c)",
		"COPY $r TO STDOUT", "COPY $r FROM STDIN", "COPY $r FROM '/dev/null'", "COPY (SELECT * FROM $r) TO STDOUT",

		# changes
		"ALTER TABLE $r ADD COLUMN stranger int", "ALTER TABLE $r DROP COLUMN $c", "ALTER TABLE $r ALTER COLUMN $c SET STATISTICS 0",
		"ALTER TABLE $r ALTER COLUMN $c SET (n_distinct = 1)", "ALTER TABLE $r SET (fillfactor = 50)", "ALTER TABLE $r RESET (fillfactor)",
		"ALTER TABLE $r DISABLE TRIGGER ALL", "ALTER TABLE $r DISABLE ROW LEVEL SECURITY", "ALTER TABLE $r OWNER TO CURRENT_USER",
		"ALTER TABLE $r RENAME TO stranger", "ALTER TABLE $r RENAME COLUMN $c TO stranger", "ALTER TABLE $r SET SCHEMA $o",
		"ALTER TABLE $r VALIDATE CONSTRAINT secrets_user_id_length", "ALTER TABLE $r CLUSTER ON secrets_pkey", "ALTER TABLE $r SET TABLESPACE pg_default",
		"ALTER TABLE $r REPLICA IDENTITY FULL", "ALTER TABLE $r INHERIT $o.mine", "ALTER TABLE $r ATTACH PARTITION $o.mine DEFAULT",
		"ALTER VIEW $r SET (security_barrier = false)", "ALTER VIEW $r ALTER COLUMN $c SET DEFAULT 'x'", "ALTER VIEW $r RENAME TO stranger",
		"ALTER VIEW $r OWNER TO CURRENT_USER", "ALTER VIEW $r SET SCHEMA $o", "CREATE OR REPLACE VIEW $r AS SELECT 1 AS $c",
		"ALTER MATERIALIZED VIEW $r RENAME TO stranger", "ALTER FOREIGN TABLE $r RENAME TO stranger", "ALTER INDEX $r RENAME TO stranger",
		"ALTER SEQUENCE $r RESTART", "DROP TABLE $r", "DROP VIEW $r", "DROP VIEW $r CASCADE", "DROP MATERIALIZED VIEW $r", "DROP INDEX $r",
		"DROP SEQUENCE $r", "DROP TYPE $r", "ALTER TYPE $r OWNER TO CURRENT_USER", "ALTER TYPE $r ADD ATTRIBUTE stranger int",
		"COMMENT ON TYPE $r IS 'stranger'", "GRANT USAGE ON TYPE $r TO PUBLIC",
		(map { ("ALTER EXTENSION $_ ADD TABLE $r", "ALTER EXTENSION $_ ADD VIEW $r", "ALTER EXTENSION $_ DROP VIEW $r", "ALTER EXTENSION $_ DROP TABLE $r") }
			'key_vault', $extension));
}

sub statements_on_index
{
	my ($i, $o, $extension) = @_;
	return ("REINDEX INDEX $i", "REINDEX INDEX CONCURRENTLY $i", "DROP INDEX $i", "DROP INDEX CONCURRENTLY $i", "ALTER INDEX $i RENAME TO stranger",
		"ALTER INDEX $i SET (fillfactor = 50)", "ALTER INDEX $i SET TABLESPACE pg_default", "ALTER INDEX $i ALTER COLUMN 1 SET STATISTICS 1",
		"ALTER INDEX $i DEPENDS ON EXTENSION $extension", "ALTER INDEX $i ATTACH PARTITION $i", "COMMENT ON INDEX $i IS 'stranger'",
		"ALTER TABLE $i SET (fillfactor = 50)", "CREATE RULE stranger AS ON UPDATE TO $i DO NOTHING", "LOCK TABLE $i", "ANALYZE $i", "VACUUM $i", "SELECT * FROM $i",
		"CREATE STATISTICS $o.stranger ON user_id, provider FROM $i");
}

# kind is FUNCTION or PROCEDURE; signature is name and types of arguments.
sub statements_on_routine
{
	my ($kind, $signature, $o, $extension) = @_;
	my ($name) = $signature =~ /^([\w.]+)/;
	return ("DROP $kind $signature", "DROP ROUTINE $signature CASCADE", "ALTER $kind $signature OWNER TO CURRENT_USER", "ALTER $kind $signature RENAME TO stranger",
		"ALTER $kind $signature SET SCHEMA $o", "ALTER ROUTINE $signature SECURITY DEFINER", "ALTER $kind $signature DEPENDS ON EXTENSION $extension",
		"COMMENT ON $kind $signature IS 'stranger'", "SECURITY LABEL ON $kind $signature IS 'stranger'", "GRANT EXECUTE ON $kind $signature TO PUBLIC",
		"REVOKE EXECUTE ON ROUTINE $signature FROM PUBLIC",
		"CREATE OR REPLACE $kind $signature " . ($kind eq 'FUNCTION' ? 'RETURNS int ' : '') . "LANGUAGE sql AS 'SELECT 1'",
		"CREATE OPERATOR $o.@@@ (FUNCTION = $name, LEFTARG = text, RIGHTARG = text)", "CREATE CAST (text AS int) WITH FUNCTION $signature",
		"CREATE AGGREGATE $o.stranger(text) (SFUNC = $name, STYPE = text)", "CREATE TRIGGER stranger BEFORE UPDATE ON $o.mine EXECUTE FUNCTION $name()",
		"ALTER EXTENSION key_vault DROP $kind $signature", "ALTER EXTENSION $extension ADD $kind $signature");
}

sub statements_on_schema
{
	my ($s, $o) = @_;
	return ("DROP SCHEMA $s", "DROP SCHEMA $s CASCADE", "ALTER SCHEMA $s RENAME TO stranger", "ALTER SCHEMA $s OWNER TO CURRENT_USER", "COMMENT ON SCHEMA $s IS 'stranger'",
		"GRANT USAGE ON SCHEMA $s TO PUBLIC", "GRANT ALL ON ALL TABLES IN SCHEMA $s TO PUBLIC", "GRANT ALL ON ALL ROUTINES IN SCHEMA $s TO PUBLIC",
		"CREATE TABLE $s.stranger ()", "CREATE VIEW $s.stranger AS SELECT 1",
		"ALTER TABLE $o.mine SET SCHEMA $s", "CREATE PUBLICATION stranger FOR TABLES IN SCHEMA $s", "ALTER PUBLICATION ${o}_publication ADD TABLES IN SCHEMA $s",
		"REINDEX SCHEMA $s", "REINDEX SCHEMA CONCURRENTLY $s", "SECURITY LABEL ON SCHEMA $s IS 'stranger'");
}

# What names nothing of ours, or the whole; oids are those of tables and indexes, functions those of
# PostgreSQL that take one of them.
sub statements_on_everything
{
	my ($o, $oids, $functions) = @_;
	my @statements = ('VACUUM', 'VACUUM (FULL, ANALYZE)', 'ANALYZE', 'CLUSTER', 'REINDEX DATABASE postgres', 'REINDEX DATABASE CONCURRENTLY postgres', 'REINDEX SYSTEM postgres',
		'DROP EXTENSION key_vault', 'DROP EXTENSION key_vault CASCADE', 'ALTER EXTENSION key_vault UPDATE', "ALTER EXTENSION key_vault SET SCHEMA $o",
		q{COMMENT ON EXTENSION key_vault IS 'stranger'}, "ALTER EXTENSION key_vault ADD TABLE $o.mine", 'CREATE EXTENSION key_vault',
		'CREATE PUBLICATION stranger FOR ALL TABLES', 'ALTER TABLE ALL IN TABLESPACE pg_default SET TABLESPACE pg_default NOWAIT',
		'ALTER INDEX ALL IN TABLESPACE pg_default SET TABLESPACE pg_default', 'CREATE EVENT TRIGGER stranger ON ddl_command_start EXECUTE FUNCTION key_vault.metadata_changed()');
	for my $oid (@$oids)
	{
		push @statements, (map { "SELECT $_($oid)" } @$functions), "SELECT brin_summarize_range($oid, 0)", "SELECT brin_desummarize_range($oid, 0)",
			"SELECT pg_relation_size($oid, 'main')", "SELECT currtid2($oid\::regclass::text, '(0,1)')", "SELECT table_to_xml($oid, true, true, '')",
			"SELECT cursor_to_xml('x', 1, true, true, '') FROM pg_class WHERE oid = $oid", "SELECT pg_get_viewdef($oid, true)", "SELECT has_table_privilege($oid, 'DELETE')";
	}
	return @statements;
}

sub cannot_be_in_a_transaction
{
	my ($sql) = @_;
	return $sql =~ /^(VACUUM|CLUSTER$|REINDEX (SCHEMA|DATABASE|SYSTEM))|\bCONCURRENTLY\b/;
}

1;
