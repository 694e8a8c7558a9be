-- record_usage() and monthly_costs: who pays for what.
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
CREATE VIEW costs AS
    SELECT user_id, provider, month = date_trunc('month', now() AT TIME ZONE 'UTC')::date AS this_month, paid_by, requests, tokens, cost
    FROM key_vault.monthly_costs;
ALTER VIEW costs SET (security_invoker);
GRANT SELECT ON costs TO regress_kv_app, regress_kv_user, regress_kv_dba;
SET ROLE regress_kv_app;

-- it adds up, exactly
SELECT key_vault.record_usage('user_a', 'gemini', cost => 0.1) FROM generate_series(1, 3);
SELECT key_vault.record_usage('user_a', 'google', 2, 1500, 0.000000000000000000001);
SELECT key_vault.record_usage('user_a', 'exa');
SELECT key_vault.record_usage('user_b', 'gemini', 1000000000000, 1000000000000, 123456789012.12);
SELECT key_vault.record_usage('user_b', 'gemini', 1000000000000, 1000000000000, 0);
BEGIN;
SET LOCAL key_vault.user_id = 'user_a';
SELECT * FROM costs ORDER BY provider COLLATE "C";
SELECT key_vault.record_usage(NULL, 'exa', 0, 5);
SELECT provider, requests, tokens FROM costs WHERE provider = 'exa';
SAVEPOINT s;
SELECT key_vault.record_usage('user_b', 'exa');
ROLLBACK TO s;
ROLLBACK;

-- without an identity nobody's rows; an admin sees all
SELECT count(*) FROM costs;
RESET ROLE;
SET ROLE regress_kv_dba;
SELECT * FROM costs ORDER BY user_id COLLATE "C", provider COLLATE "C";
SELECT key_vault.record_usage('user_a', 'exa');
RESET ROLE;
SET key_vault.user_id = 'user_b';
SET ROLE regress_kv_user;
SELECT user_id, requests FROM costs;
SELECT key_vault.record_usage(NULL, 'exa', cost => 1);
SELECT user_id, provider, cost FROM costs ORDER BY provider COLLATE "C";
SELECT key_vault.record_usage('user_a', 'exa', cost => 1);
SELECT * FROM key_vault_data.usage;
INSERT INTO key_vault_data.usage VALUES ('user_b', 'exa', '2000-01-01', 'user', 0, 0, 0);
UPDATE key_vault_data.usage SET cost = 0;
RESET ROLE;
RESET key_vault.user_id;

-- what is refused, and leaves nothing
SET ROLE regress_kv_app;
SELECT key_vault.record_usage(NULL, 'gemini');
SELECT key_vault.record_usage('user_c', 'unknown');
SELECT key_vault.record_usage('', 'gemini');
SELECT key_vault.record_usage('user_c', 'gemini', -1);
SELECT key_vault.record_usage('user_c', 'gemini', 1, -1);
SELECT key_vault.record_usage('user_c', 'gemini', 1, 1, -0.01);
SELECT key_vault.record_usage('user_c', 'gemini', 1, 1, 'NaN');
SELECT key_vault.record_usage('user_c', 'gemini', 1, 1, 'Infinity');
SELECT key_vault.record_usage('user_c', 'gemini', NULL);
SELECT key_vault.record_usage('user_c', 'gemini', cost => NULL);
RESET ROLE;
SELECT count(*) FROM key_vault_data.usage WHERE user_id = 'user_c';

-- a user's worst: no call takes more, no month holds more, and everybody's sums go on
SET key_vault.user_id = 'user_w';
SET ROLE regress_kv_user;
SELECT key_vault.record_usage(NULL, 'exa', cost => ('1' || repeat('0', 131071))::numeric);
SELECT key_vault.record_usage(NULL, 'exa', cost => 1000000000000.01);
SELECT key_vault.record_usage(NULL, 'exa', 9223372036854775807);
SELECT key_vault.record_usage(NULL, 'exa', tokens => 1000000000001);
SELECT key_vault.record_usage(NULL, 'exa', cost => 1e131072);
SELECT key_vault.record_usage(NULL, 'exa', 1000000000000, 1000000000000, 1e12) FROM generate_series(1, 1000) \g /dev/null
SELECT key_vault.record_usage(NULL, 'exa', 0, 0, 0);
SELECT key_vault.record_usage(NULL, 'exa', 1);
SELECT key_vault.record_usage(NULL, 'exa', 0, 1);
\set VERBOSITY default
SELECT key_vault.record_usage(NULL, 'exa', 0, 0, 0.01);
\set VERBOSITY sqlstate
SELECT key_vault.record_usage(NULL, 'serper', 0, 0, 0.01);
-- a thousand decimals, as of a float, are not for the sum
SELECT key_vault.record_usage(NULL, 'tavily', cost => ('0.' || repeat('3', 1000))::numeric);
SELECT key_vault.record_usage(NULL, 'tavily', cost => ('0.' || repeat('6', 16000))::numeric);
SELECT provider, requests, tokens, cost FROM key_vault.monthly_costs ORDER BY provider COLLATE "C";
RESET ROLE;
RESET key_vault.user_id;
SET ROLE regress_kv_app;
SELECT key_vault.record_usage('user_x', 'exa', cost => 0.5);
RESET ROLE;
SET ROLE regress_kv_dba;
SELECT sum(requests) AS requests, sum(tokens) AS tokens, sum(cost)::numeric(30, 2) AS cost,
       sum(requests)::bigint + sum(tokens)::bigint > 0 AS as_bigint, avg(cost) > 0 AS average, sum(cost::float8) > 0 AS as_float
FROM key_vault.monthly_costs;
RESET ROLE;
-- who writes rows without the function does not get there, either
INSERT INTO key_vault_data.usage (user_id, provider, month, paid_by, requests, tokens, cost)
    VALUES ('user_w', 'exa', '2000-01-01', 'user', 0, 0, ('1' || repeat('0', 131071))::numeric);
UPDATE key_vault_data.usage SET cost = 'NaN' WHERE user_id = 'user_w';
UPDATE key_vault_data.usage SET requests = 'Infinity' WHERE user_id = 'user_w';
UPDATE key_vault_data.usage SET tokens = -1 WHERE user_id = 'user_w';
UPDATE key_vault_data.usage SET cost = ('0.' || repeat('3', 1000))::numeric WHERE user_id = 'user_w';
DELETE FROM key_vault_data.usage WHERE user_id IN ('user_w', 'user_x');

-- months part; forget() takes the usage along
INSERT INTO key_vault_data.usage SELECT 'user_a', 'exa', '2000-02-01', 'operator', 1, 1, 7;
SET ROLE regress_kv_dba;
SELECT to_char(month, 'YYYY-MM') = '2000-02' AS february, paid_by, cost FROM key_vault.monthly_costs WHERE user_id = 'user_a' AND provider = 'exa' ORDER BY month;
RESET ROLE;
SET ROLE regress_kv_app;
SELECT key_vault.forget('user_a');
RESET ROLE;
SELECT user_id, count(*) FROM key_vault_data.usage GROUP BY 1;

-- what a team pays names the team, and nothing else does
SELECT key_vault.set('team:acme', 'exa', repeat('t', 20)), key_vault.set('user_b', 'exa', repeat('b', 20), expires_at => clock_timestamp() + interval '10 ms'), pg_sleep(0.02) IS NOT NULL AS waited;
DELETE FROM key_vault_data.usage;
SET ROLE regress_kv_app;
BEGIN;
SET LOCAL key_vault.team_id = 'acme';
SELECT key_vault.record_usage('user_a', 'exa', 2), key_vault.record_usage('user_a', 'exa', 3), key_vault.record_usage('user_a', 'serper', 4), key_vault.record_usage('user_b', 'exa', 5), key_vault.record_usage('team:acme', 'exa', 6);
COMMIT;
SELECT key_vault.record_usage('user_a', 'exa', 7);
RESET ROLE;
SELECT user_id, provider, paid_by, team_id, requests FROM key_vault.monthly_costs ORDER BY 1, 2, 3;
UPDATE key_vault_data.usage SET team_id = '' WHERE paid_by = 'team';
UPDATE key_vault_data.usage SET team_id = 'acme' WHERE paid_by = 'user';
UPDATE key_vault_data.usage SET team_id = repeat('t', 251) WHERE paid_by = 'team';

DROP VIEW costs;
DROP EXTENSION key_vault;
REVOKE SET ON PARAMETER key_vault.user_id, key_vault.team_id FROM regress_kv_app;
DROP ROLE regress_kv_app, regress_kv_user, regress_kv_dba;
