-- The join of older applications, as it stands there: for a user, an admin and a superuser.
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
SELECT key_vault.set('user_xxx', 'gemini', 'AIza' || repeat('0', 31) || 'wxyz'),
       key_vault.set('user_xxx', 'openai', 'short'),
       key_vault.set('user_yyy', 'gemini', 'AIza' || repeat('1', 31) || 'stuv'),
       key_vault.set('user_yyy', 'exa', repeat('2', 16) || 'efgh');
SELECT key_vault.set('user_yyy', 'copilotkit', 'ck_' || repeat('3', 16) || 'ijkl');
SELECT key_vault.set('user_yyy', 'tavily', 'tvly-' || repeat('4', 16) || 'mnop');
-- not the current ones, not of other labels, and not expired ones
SELECT key_vault.set('user_xxx', 'gemini', 'AIza' || repeat('0', 31) || 'abcd'),
       key_vault.set('user_xxx', 'mistral', repeat('0', 31) || 'work', label => 'work'),
       key_vault.set('user_xxx', 'tavily', 'tvly-' || repeat('0', 31), expires_at => clock_timestamp() + '0.05 s');
SELECT pg_sleep(0.1);
SET search_path = key_vault;
\set join 'SELECT s.user_id, k.provider, k.key FROM api_keys k JOIN onboarding_sessions s ON k.session_id = s.id WHERE s.user_id = '

-- a superuser
SELECT s.user_id, k.provider, k.key
FROM api_keys k
JOIN onboarding_sessions s ON k.session_id = s.id
WHERE s.user_id = 'user_xxx';

-- when: of the first key, of the last one that was required, of each key's first and current version
SELECT s.user_id, s.started_at = min(v.created_at) AS started,
       s.completed_at = max(v.created_at) FILTER (WHERE v.provider = 'copilotkit') AS completed, s.completed_at < max(v.created_at) AS before_others
FROM onboarding_sessions s JOIN secrets v ON v.user_id = s.user_id GROUP BY s.user_id, s.started_at, s.completed_at ORDER BY 1;
SELECT k.session_id, k.provider, k.created_at = min(v.created_at) AS created, k.updated_at = max(v.created_at) AS updated
FROM api_keys k JOIN secrets v ON (v.user_id, v.provider, v.label) = (k.session_id, k.provider, 'default')
GROUP BY k.session_id, k.provider, k.created_at, k.updated_at ORDER BY 1, 2;

-- an admin: anybody's
SET ROLE regress_kv_dba;
SELECT s.user_id, k.provider, k.key
FROM api_keys k
JOIN onboarding_sessions s ON k.session_id = s.id
WHERE s.user_id = 'user_xxx';
SELECT user_id, progress, current_step, completed_at IS NOT NULL AS completed FROM onboarding_sessions ORDER BY id;
SELECT session_id, provider, key, created_at < updated_at AS replaced FROM api_keys ORDER BY 1, 2;
RESET ROLE;

-- the user: the own ones
SET key_vault.user_id = 'user_xxx';
SET ROLE regress_kv_user;
SELECT s.user_id, k.provider, k.key
FROM api_keys k
JOIN onboarding_sessions s ON k.session_id = s.id
WHERE s.user_id = 'user_xxx';
:join 'user_yyy';
SELECT user_id, progress, current_step FROM onboarding_sessions;
RESET ROLE;
RESET key_vault.user_id;

-- the application, for whom it acts
SET ROLE regress_kv_app;
:join 'user_xxx';
BEGIN;
SET LOCAL key_vault.user_id = 'user_yyy';
:join 'user_xxx';
:join 'user_yyy';
SELECT count(*) FROM onboarding_sessions;
COMMIT;
:join 'user_yyy';
RESET ROLE;

-- a user who has not begun, or has ended, has no session
SELECT count(*) FROM onboarding_sessions WHERE user_id = 'user_zzz';
SELECT key_vault.forget('user_yyy') AS forgotten;
SELECT count(*) FROM onboarding_sessions WHERE user_id = 'user_yyy';

-- a function of the reader's own sees no more than the reader
SET key_vault.user_id = 'user_zzz';
SET ROLE regress_kv_user;
SET client_min_messages = error; -- Citus, where it is installed, warns of what is in pg_temp
CREATE FUNCTION pg_temp.spy(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$BEGIN RAISE WARNING 'spied'; RETURN true; END$$;
SET client_min_messages = warning;
SELECT count(*) FROM api_keys WHERE pg_temp.spy(key);
SELECT count(*) FROM onboarding_sessions WHERE pg_temp.spy(user_id);
SELECT count(*) FROM monthly_costs WHERE pg_temp.spy(user_id);
RESET ROLE;

-- reading only
INSERT INTO api_keys (session_id, provider, key) VALUES ('user_xxx', 'exa', 'x');
DELETE FROM onboarding_sessions;

RESET search_path;
RESET key_vault.user_id;
DROP FUNCTION pg_temp.spy;
DROP EXTENSION key_vault;
REVOKE SET ON PARAMETER key_vault.user_id, key_vault.team_id FROM regress_kv_app;
DROP ROLE regress_kv_app, regress_kv_user, regress_kv_dba;
