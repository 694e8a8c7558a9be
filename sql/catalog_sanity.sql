-- What the catalogs hold of ours is in order, in the manner of PostgreSQL's own checks of its
-- types and functions: each query finds what is not, and finds nothing.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE EXTENSION key_vault;
-- but for the type of lookup()'s rows, which is no relation to anybody else
CREATE TEMP VIEW ours AS SELECT * FROM pg_class WHERE relnamespace IN ('key_vault'::regnamespace, 'key_vault_data'::regnamespace) AND oid <> (SELECT typrelid FROM pg_type WHERE oid = 'key_vault.looked_up'::regtype);
CREATE TEMP VIEW our_functions AS SELECT * FROM pg_proc WHERE pronamespace IN ('key_vault'::regnamespace, 'key_vault_data'::regnamespace);
CREATE TEMP VIEW builtin_types AS SELECT * FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND oid < 16384 AND typtype = 'b';

-- there is something to look at
SELECT count(*) FILTER (WHERE relkind = 'r') > 3 AS tables, count(*) FILTER (WHERE relkind = 'v') > 5 AS views, count(*) FILTER (WHERE relkind = 'i') > 3 AS indexes FROM ours;
SELECT count(*) > 20 AS functions FROM our_functions;

-- a column has the length, alignment, passing and storage of its type, which is one of PostgreSQL's own
SELECT c.oid::regclass, a.attname FROM ours c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
WHERE (a.attlen, a.attalign, a.attbyval) IS DISTINCT FROM (t.typlen, t.typalign, t.typbyval) OR a.attstorage NOT IN (t.typstorage, 'p');
SELECT c.oid::regclass, a.attname, a.atttypid::regtype FROM ours c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE a.attnum > 0 AND a.atttypid NOT IN (SELECT oid FROM builtin_types);
-- as many columns as the relation says, none dropped, and system columns for tables only
SELECT c.oid::regclass FROM ours c
WHERE c.relnatts <> (SELECT count(*) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped)
   OR (c.relkind = 'r') <> EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attnum < 0);
-- a default for each column that says it has one
SELECT c.oid::regclass, a.attname FROM ours c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relkind = 'r' AND a.atthasdef <> EXISTS (SELECT FROM pg_attrdef WHERE (adrelid, adnum) = (a.attrelid, a.attnum));

-- a table is a permanent heap, with a primary key, which says which row is meant where rows are replicated, and a toast table
SELECT c.oid::regclass FROM ours c LEFT JOIN pg_am am ON am.oid = c.relam
WHERE c.relkind = 'r' AND (am.amname <> 'heap' OR c.relpersistence <> 'p' OR c.relispartition OR c.relhassubclass OR c.relreplident <> 'd'
   OR c.reltoastrelid = 0 OR NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary));
SELECT oid::regclass, relkind FROM ours WHERE relkind NOT IN ('r', 'v', 'i');
-- its row type is named after it, and has an array type
SELECT c.oid::regclass FROM ours c LEFT JOIN pg_type t ON t.oid = c.reltype LEFT JOIN pg_type e ON e.oid = t.typarray
WHERE c.relkind IN ('r', 'v') AND ((t.typname, t.typtype, t.typrelid, t.typnamespace) IS DISTINCT FROM (c.relname, 'c', c.oid, c.relnamespace)
   OR (e.typelem, e.typnamespace) IS DISTINCT FROM (t.oid, c.relnamespace));
-- an index is a valid B-tree on columns of its table
SELECT i.indexrelid::regclass FROM pg_index i JOIN ours c ON c.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am am ON am.oid = x.relam
WHERE am.amname <> CASE x.relname WHEN 'audit_users' THEN 'brin' ELSE 'btree' END OR NOT (i.indisvalid AND i.indisready AND i.indislive) OR i.indexprs IS NOT NULL OR 0 = ANY (i.indkey)
   OR x.relnamespace <> c.relnamespace OR i.indnkeyatts <> i.indnatts;
-- what identifies something is compared byte by byte
SELECT i.indexrelid::regclass, a.attname FROM pg_index i JOIN ours c ON c.oid = i.indrelid JOIN pg_attribute a ON a.attrelid = i.indexrelid
WHERE a.attcollation NOT IN (0, 'pg_catalog."C"'::regcollation);
-- constraints are checked, named after their table, and lead to no other table
SELECT k.conrelid::regclass, k.conname FROM pg_constraint k JOIN ours c ON c.oid = k.conrelid
WHERE c.relkind = 'r' AND (k.contype NOT IN ('p', 'c', 'n') OR NOT k.convalidated OR k.contype <> 'n' AND NOT starts_with(k.conname::text, c.relname || '_'));
-- a trigger fires whoever writes, replication too
SELECT g.tgrelid::regclass, g.tgname FROM pg_trigger g JOIN ours c ON c.oid = g.tgrelid
WHERE g.tgenabled <> 'A' OR g.tgfoid NOT IN (SELECT oid FROM our_functions) OR g.tgisinternal;
-- rules are what views are
SELECT r.ev_class::regclass, r.rulename FROM pg_rewrite r JOIN ours c ON c.oid = r.ev_class WHERE r.rulename <> '_RETURN' OR c.relkind <> 'v';

-- a function in C is named after what it calls, in this library; there are none of the same name;
-- what talks to Citus, which may not be there, is planned when it runs, and by a search_path of its own
SELECT f.oid::regprocedure, f.prosrc, f.probin FROM our_functions f JOIN pg_language l ON l.oid = f.prolang
WHERE l.lanname NOT IN ('c', 'sql', 'plpgsql')
   OR (l.lanname = 'plpgsql' AND f.proconfig IS DISTINCT FROM '{"search_path=pg_catalog, pg_temp"}') OR (l.lanname = 'c' AND (f.prosrc, f.probin) IS DISTINCT FROM ('kv_sql_' || f.proname, '$libdir/key_vault'));
SELECT proname, count(*) FROM our_functions GROUP BY 1 HAVING count(*) > 1;
-- each argument has a name
SELECT f.oid::regprocedure FROM our_functions f
WHERE f.pronargs > 0 AND (coalesce(cardinality(f.proargnames), 0) < f.pronargs OR '' = ANY (f.proargnames));
-- arguments and results are of PostgreSQL's own types, but for the row that lookup() returns
SELECT f.oid::regprocedure, t::regtype FROM our_functions f, unnest(coalesce(f.proallargtypes, f.proargtypes::oid[]) || f.prorettype) t
WHERE t NOT IN (SELECT oid FROM builtin_types) AND t::regtype::text NOT IN ('void', 'record', 'trigger', 'key_vault.looked_up');
-- none answers NULL without being asked, aggregates, takes any number of arguments, or has a planner's helper
SELECT f.oid::regprocedure FROM our_functions f
WHERE f.proisstrict OR f.prokind NOT IN ('f', 'p') OR f.provariadic <> 0 OR f.prosupport <> 0 OR f.protrftypes IS NOT NULL;
-- a function that returns rows says about how many, and one that does not, none
SELECT f.oid::regprocedure FROM our_functions f WHERE f.proretset <> (f.prorows > 0);

-- one owner
SELECT relowner::regrole FROM ours UNION SELECT proowner::regrole FROM our_functions UNION
SELECT nspowner::regrole FROM pg_namespace WHERE nspname IN ('key_vault', 'key_vault_data')
EXCEPT SELECT extowner::regrole FROM pg_extension WHERE extname = 'key_vault';
-- nothing of ours needs what is in another schema, or of another extension
SELECT pg_describe_object(d.classid, d.objid, d.objsubid) AS ours, pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid) AS theirs
FROM pg_depend d, LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) o, LATERAL pg_identify_object(d.refclassid, d.refobjid, d.refobjsubid) r
WHERE (o.schema IN ('key_vault', 'key_vault_data') OR o.identity ~ '^(key_vault|key_vault_data)$')
  AND (r.schema NOT IN ('key_vault', 'key_vault_data', 'pg_catalog', 'pg_toast')
       OR (r.type = 'extension' AND r.identity <> 'key_vault') OR (r.type = 'schema' AND r.identity NOT IN ('key_vault', 'key_vault_data')));
-- all that is in the two schemas is the extension's, or goes with what is
SELECT c.oid::regclass FROM ours c WHERE c.relkind <> 'i' AND NOT EXISTS (
    SELECT FROM pg_depend WHERE (classid, objid, deptype) = ('pg_class'::regclass, c.oid, 'e') AND refclassid = 'pg_extension'::regclass);
SELECT f.oid::regprocedure FROM our_functions f WHERE NOT EXISTS (
    SELECT FROM pg_depend WHERE (classid, objid, deptype) = ('pg_proc'::regclass, f.oid, 'e') AND refclassid = 'pg_extension'::regclass);

DROP VIEW ours, our_functions, builtin_types;
DROP EXTENSION key_vault;
