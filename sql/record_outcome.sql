-- record_outcome(): what the provider said of the key, until the key is set anew.
\set VERBOSITY sqlstate
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE ROLE regress_kv_app;
CREATE ROLE regress_kv_user;
CREATE ROLE regress_kv_dba;
SELECT key_vault.grant_access('regress_kv_app', 'service');
SELECT key_vault.grant_access('regress_kv_user', 'user');
SELECT key_vault.grant_access('regress_kv_dba', 'admin');
-- what list, lookup and onboarding show
CREATE FUNCTION shown(u text) RETURNS TABLE (list text, lookup text, onboarding text, at_once boolean) LANGUAGE sql AS $$
    SELECT l.last_outcome, k.last_outcome, o.last_outcome,
           k.last_outcome_at BETWEEN now() - interval '1 minute' AND clock_timestamp() AND l.last_outcome_at = k.last_outcome_at AND o.last_outcome_at = k.last_outcome_at
    FROM key_vault.lookup(u, 'exa') k LEFT JOIN key_vault.list(u) l ON l.provider = 'exa' AND l.label = 'default'
    LEFT JOIN key_vault.onboarding(u) o ON o.provider = 'exa'
$$;
SET ROLE regress_kv_app;
SELECT key_vault.set('user_a', 'exa', repeat('a', 20)), key_vault.set('user_a', 'exa', repeat('w', 20), 'work'), key_vault.set('user_b', 'exa', repeat('b', 20));
SELECT * FROM shown('user_a');

-- it is shown, and the last one counts
SELECT key_vault.record_outcome('user_a', 'exa', 'accepted');
SELECT * FROM shown('user_a');
SELECT key_vault.record_outcome('user_a', ' EXA ', 'rejected');
SELECT * FROM shown('user_a');
SELECT key_vault.record_outcome('user_a', 'exa', 'quota', 'work');
SELECT label, last_outcome FROM key_vault.list('user_a') ORDER BY label COLLATE "C";
SELECT * FROM shown('user_b');

-- the same again within a minute is not written again, another one is
SELECT last_outcome_at AS first FROM key_vault.lookup('user_a', 'exa') \gset
SELECT key_vault.record_outcome('user_a', 'exa', 'rejected');
SELECT last_outcome_at = :'first' AS as_before FROM key_vault.lookup('user_a', 'exa');
SELECT key_vault.record_outcome('user_a', 'exa', 'quota');
SELECT last_outcome, last_outcome_at > :'first' AS later FROM key_vault.lookup('user_a', 'exa');
RESET ROLE;
UPDATE key_vault_data.outcomes SET recorded_at = recorded_at - interval '61 seconds';
SET ROLE regress_kv_app;
SELECT last_outcome_at AS first FROM key_vault.lookup('user_a', 'exa') \gset
SELECT key_vault.record_outcome('user_a', 'exa', 'quota');
SELECT last_outcome, last_outcome_at > :'first' AS later FROM key_vault.lookup('user_a', 'exa');

-- of a version that is not the current one it is not recorded
SELECT key_vault.record_outcome('user_a', 'exa', 'rejected', version => 1);
SELECT key_vault.set('user_a', 'exa', repeat('A', 20));
SELECT * FROM shown('user_a');
SELECT key_vault.record_outcome('user_a', 'exa', 'rejected', version => 1), key_vault.record_outcome('user_a', 'exa', 'rejected', version => 3);
SELECT * FROM shown('user_a');
SELECT key_vault.record_outcome('user_a', 'exa', 'rejected', version => 2);
SELECT * FROM shown('user_a');

-- set, rollback and delete begin anew, also where the number comes again
SELECT key_vault.rollback('user_a', 'exa', 1);
SELECT * FROM shown('user_a');
SELECT key_vault.record_outcome('user_a', 'exa', 'accepted', version => 3);
SELECT key_vault.delete('user_a', 'exa'), key_vault.record_outcome('user_a', 'exa', 'accepted');
SELECT key_vault.set('user_a', 'exa', repeat('c', 20)), key_vault.set('user_a', 'exa', repeat('d', 20)), key_vault.set('user_a', 'exa', repeat('e', 20));
SELECT * FROM shown('user_a');
BEGIN;
SELECT key_vault.record_outcome('user_a', 'exa', 'rejected');
ROLLBACK;
SELECT * FROM shown('user_a');

-- versions and labels that were set in the same instant have their own
RESET ROLE;
ALTER TABLE key_vault_data.secrets ALTER created_at SET DEFAULT now();
SET ROLE regress_kv_app;
BEGIN;
SELECT key_vault.set('user_t', 'exa', repeat('p', 20)), key_vault.set('user_t', 'exa', repeat('q', 20), 'work'), key_vault.record_outcome('user_t', 'exa', 'rejected');
SELECT label, version, last_outcome, (SELECT l.last_outcome FROM key_vault.lookup('user_t', 'exa', label) l) AS lookup FROM key_vault.list('user_t') ORDER BY label COLLATE "C";
SELECT key_vault.set('user_t', 'exa', repeat('r', 20));
SELECT label, version, last_outcome, (SELECT l.last_outcome FROM key_vault.lookup('user_t', 'exa', label) l) AS lookup FROM key_vault.list('user_t') ORDER BY label COLLATE "C";
ROLLBACK;
RESET ROLE;
ALTER TABLE key_vault_data.secrets ALTER created_at SET DEFAULT clock_timestamp();
SET ROLE regress_kv_app;

-- an expired key keeps it
SELECT key_vault.set('user_e', 'exa', repeat('x', 20), expires_at => now() + interval '1 day');
SELECT key_vault.record_outcome('user_e', 'exa', 'quota');
SELECT last_outcome FROM key_vault.list('user_e');

-- nobody's key
SELECT key_vault.record_outcome('user_c', 'exa', 'accepted'), key_vault.record_outcome('user_b', 'exa', 'accepted', 'work'), key_vault.record_outcome('user_b', 'gemini', 'accepted');

-- by the planner's way as by the straight one
CREATE TEMPORARY TABLE seen AS SELECT l.* FROM unnest('{user_a,user_b,user_e}'::text[]) u, LATERAL key_vault.lookup(u, 'exa') l;
RESET ROLE;
CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER never BEFORE TRUNCATE ON key_vault_data.outcomes EXECUTE FUNCTION never();
SET ROLE regress_kv_app;
SELECT u, l.last_outcome, l = s AS same FROM unnest('{user_a,user_b,user_e}'::text[]) u, LATERAL key_vault.lookup(u, 'exa') l LEFT JOIN seen s USING (api_key);
RESET ROLE;
DROP FUNCTION never CASCADE;

-- and whatever becomes of the table: what a session keeps of it from one lookup to the next follows
CREATE FUNCTION same_after(change text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    same boolean;
BEGIN
    EXECUTE change;
    SELECT bool_and(l = s) INTO same FROM unnest('{user_a,user_b,user_e}'::text[]) u, LATERAL key_vault.lookup(u, 'exa') l LEFT JOIN seen s USING (api_key);
    RETURN same;
END $$;
SELECT change, same_after(change) AS same FROM unnest(ARRAY[
    'SELECT 1', 'REINDEX TABLE key_vault_data.outcomes', 'CLUSTER key_vault_data.outcomes USING outcomes_pkey',
    'ALTER TABLE key_vault_data.outcomes ADD COLUMN note text DEFAULT repeat(''n'', 100)',
    'ALTER TABLE key_vault_data.outcomes ADD COLUMN seen int DEFAULT 7, ALTER COLUMN note TYPE varchar',
    'ALTER TABLE key_vault_data.outcomes DROP COLUMN note, DROP COLUMN seen',
    'ALTER TABLE key_vault_data.outcomes ALTER COLUMN recorded_by TYPE name',
    'ALTER TABLE key_vault_data.outcomes ALTER COLUMN recorded_by TYPE text COLLATE "C"',
    'ALTER TABLE key_vault_data.outcomes DROP CONSTRAINT outcomes_pkey',
    'ALTER TABLE key_vault_data.outcomes ADD CONSTRAINT outcomes_pkey PRIMARY KEY (provider, user_id, label, recorded_by)',
    'ALTER TABLE key_vault_data.outcomes DROP CONSTRAINT outcomes_pkey, ADD PRIMARY KEY (user_id, provider, label, recorded_by)',
    'SELECT 1']) AS change;
DROP FUNCTION same_after;
DROP TABLE seen;
SET ROLE regress_kv_app;

-- a team's key, when it served: the member's own comes first
SELECT key_vault.set('team:acme', 'exa', repeat('t', 20));
BEGIN;
SET LOCAL key_vault.user_id = 'user_m';
SET LOCAL key_vault.team_id = 'acme';
SELECT key_vault.record_outcome(NULL, 'exa', 'rejected', version => 1);
SELECT * FROM shown(NULL);
COMMIT;
BEGIN;
SET LOCAL key_vault.user_id = 'user_b';
SET LOCAL key_vault.team_id = 'acme';
SELECT key_vault.record_outcome(NULL, 'exa', 'quota', version => 1);
SELECT * FROM shown(NULL);
COMMIT;
BEGIN;
SET LOCAL key_vault.user_id = 'user_n';
SET LOCAL key_vault.team_id = 'acme';
SELECT last_outcome FROM key_vault.lookup(NULL, 'exa');
SELECT key_vault.record_outcome(NULL, 'exa', 'accepted');
SELECT last_outcome FROM key_vault.lookup(NULL, 'exa');
COMMIT;
SELECT last_outcome FROM key_vault.list('team:acme');
SELECT last_outcome FROM key_vault.list('user_b');
RESET ROLE;
SELECT user_id, recorded_by, outcome FROM key_vault_data.outcomes WHERE user_id = 'team:acme' ORDER BY recorded_by COLLATE "C";
SELECT key_vault.forget('user_m');
SELECT user_id, recorded_by, outcome FROM key_vault_data.outcomes WHERE user_id = 'team:acme' ORDER BY recorded_by COLLATE "C";
SELECT key_vault.forget('team:acme'), key_vault.forget('user_b');
SELECT DISTINCT user_id FROM key_vault_data.outcomes ORDER BY 1;
SELECT key_vault.delete('user_a', 'exa', 'work');
SELECT user_id, label FROM key_vault_data.outcomes ORDER BY 1, 2;

-- purge takes it along
UPDATE key_vault_data.secrets SET expires_at = now() - interval '1 year' WHERE user_id = 'user_e';
CALL key_vault.purge();
SELECT user_id, label FROM key_vault_data.outcomes ORDER BY 1, 2;

-- what is refused says nothing of what was passed
SELECT key_vault.set('user_a', 'exa', repeat('f', 20));
SET ROLE regress_kv_app;
SELECT key_vault.record_outcome('user_a', 'exa', NULL);
SELECT key_vault.record_outcome('user_a', 'exa', 'Accepted');
SELECT key_vault.record_outcome('user_a', 'exa', '');
SELECT key_vault.record_outcome('user_a', 'exa', 'accepted', version => 0);
SELECT key_vault.record_outcome('user_a', 'exa', 'accepted', NULL);
SELECT key_vault.record_outcome('user_a', 'exa', 'accepted', '');
SELECT key_vault.record_outcome('user_a', 'exo', 'accepted');
SELECT key_vault.record_outcome('user_a', NULL, 'accepted');
SELECT key_vault.record_outcome('', 'exa', 'accepted');
SELECT key_vault.record_outcome(NULL, 'exa', 'accepted');
\set VERBOSITY default
SELECT key_vault.record_outcome('user_a', 'exa', 'sk-' || repeat('Secret7', 6));
\set VERBOSITY sqlstate
BEGIN READ ONLY;
SELECT key_vault.record_outcome('user_a', 'exa', 'accepted');
ROLLBACK;
SELECT * FROM shown('user_a');

-- another user, and those without the right
BEGIN;
SET LOCAL key_vault.user_id = 'user_b';
SELECT key_vault.record_outcome('user_a', 'exa', 'rejected');
ROLLBACK;
RESET ROLE;
SET key_vault.user_id = 'user_b';
SET ROLE regress_kv_user;
SELECT key_vault.record_outcome('user_a', 'exa', 'rejected');
SELECT key_vault.record_outcome(NULL, 'exa', 'rejected');
SELECT count(*) FROM key_vault_data.outcomes;
RESET ROLE;
RESET key_vault.user_id;
SET ROLE regress_kv_dba;
SELECT key_vault.record_outcome('user_a', 'exa', 'rejected');
RESET ROLE;

-- a policy of the database's own decides, too
CREATE POLICY none ON key_vault_data.outcomes AS RESTRICTIVE USING (outcome <> 'quota');
SET ROLE regress_kv_app;
SELECT key_vault.record_outcome('user_a', 'exa', 'quota');
SELECT key_vault.record_outcome('user_a', 'exa', 'accepted');
SELECT * FROM shown('user_a');
RESET ROLE;

DROP FUNCTION shown;
DROP EXTENSION key_vault;
REVOKE SET ON PARAMETER key_vault.user_id, key_vault.team_id FROM regress_kv_app;
DROP ROLE regress_kv_app, regress_kv_user, regress_kv_dba;
