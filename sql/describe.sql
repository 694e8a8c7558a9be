-- What \dx+, \df+ and \d+ tell: the objects, and a sentence on each.
\pset format unaligned
SET client_min_messages = warning;
CREATE EXTENSION key_vault;
SELECT comment IS NOT NULL AS described, superuser, trusted, relocatable, requires FROM pg_available_extension_versions
WHERE name = 'key_vault' AND installed;

SELECT o.type, o.identity, obj_description(d.objid, d.classid::regclass::name) AS comment
FROM pg_depend d, LATERAL pg_identify_object(d.classid, d.objid, 0) o
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND d.classid <> 'pg_type'::regclass
  AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'key_vault')
ORDER BY o.type COLLATE "C", o.identity COLLATE "C";

-- the sentences: no full stop, no capital but of a name, nothing left blank
SELECT o.identity, comment FROM pg_depend d, LATERAL pg_identify_object(d.classid, d.objid, 0) o, obj_description(d.objid, d.classid::regclass::name) comment
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND d.classid <> 'pg_type'::regclass
  AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'key_vault') AND comment ~ '^\s*$|[.]$|^\s|\s$|  ';
SELECT attrelid::regclass, attname, col_description(attrelid, attnum) FROM pg_attribute
WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace IN ('key_vault'::regnamespace, 'key_vault_data'::regnamespace)) AND attnum > 0
  AND col_description(attrelid, attnum) ~ '^\s*$|[.]$|^\s|\s$|  ';

-- \d of the table
SELECT attname, format_type(atttypid, atttypmod) AS type, (SELECT collname FROM pg_collation c WHERE c.oid = attcollation AND collname <> 'default') AS collation,
       attnotnull, pg_get_expr(adbin, adrelid) AS "default", col_description(attrelid, attnum) AS comment
FROM pg_attribute LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)
WHERE attrelid = 'key_vault_data.secrets'::regclass AND attnum > 0 ORDER BY attnum;
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'key_vault_data.secrets'::regclass AND contype <> 'n' ORDER BY 1;
SELECT polname, obj_description(oid, 'pg_policy') FROM pg_policy WHERE polrelid = 'key_vault_data.secrets'::regclass;

-- the settings: who may set them, and what they say
SELECT key_vault.current_user_id() IS NULL AS loaded;
SELECT name, context, vartype, boot_val, min_val, max_val, unit, enumvals, short_desc FROM pg_settings WHERE name LIKE 'key\_vault.%' ORDER BY name COLLATE "C";
SELECT name FROM pg_settings WHERE name LIKE 'key\_vault.%' AND (category <> 'Customized Options' OR short_desc !~ '\.$');

DROP EXTENSION key_vault;
