-- Issuers: who may say which are trusted, what is refused at once, what admins see, and that
-- a row that others wrote makes nobody an issuer.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE EXTENSION key_vault;
SELECT length(key_vault.create_root_key());
CREATE ROLE regress_kv_user;
CREATE ROLE regress_kv_dba;
CREATE ROLE regress_kv_writer IN ROLE pg_write_all_data, pg_read_all_data;
SELECT key_vault.grant_access('regress_kv_user', 'user');
SELECT key_vault.grant_access('regress_kv_dba', 'admin');
-- what an issuer looks like: RFC 7517's key, a secret of 32 bytes
\set ec '{"keys": [{"kty": "EC", "crv": "P-256", "kid": "one", "use": "sig", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}'
\set hs '{"keys": [{"kty": "oct", "alg": "HS256", "kid": "two", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U"}]}'
SELECT key_vault.trust_issuer('https://a.example', '{one,two}', :'ec', user_prefix => 'a:');
SELECT key_vault.trust_issuer('https://b.example', '{one}', :'hs', user_claim => 'uid', user_prefix => 'b:', team_claim => 'org', team_admin_claim => 'admin', audience_claim => 'azp', max_age => '1 hour', clock_skew => '0');
SELECT issuer, audience, keys, user_claim, user_prefix, team_claim, team_admin_claim, audience_claim, max_age, clock_skew FROM key_vault.issuers;
SELECT issuer, root_key_id = (SELECT id FROM key_vault.root_keys) AS sealed_with_it FROM key_vault.issuers;
-- replaced
SELECT key_vault.trust_issuer('https://b.example', '{three}', :'hs', user_prefix => 'b:');
SELECT issuer, audience, team_claim, max_age FROM key_vault.issuers WHERE issuer = 'https://b.example';
SELECT key_vault.distrust_issuer('https://b.example');
SELECT key_vault.distrust_issuer('https://b.example');
SELECT issuer FROM key_vault.issuers;

-- users of two issuers are told apart
SELECT key_vault.trust_issuer('https://c.example', '{one}', :'ec');
SELECT key_vault.trust_issuer('https://c.example', '{one}', :'ec', user_prefix => 'a:');
SELECT key_vault.trust_issuer('https://c.example', '{one}', :'ec', user_prefix => 'a:c:');
SELECT key_vault.trust_issuer('https://c.example', '{one}', :'ec', user_prefix => 'a');
SELECT key_vault.trust_issuer('https://c.example', '{one}', :'ec', user_prefix => 'c:');
SELECT key_vault.distrust_issuer('https://c.example');

-- arguments
SELECT key_vault.trust_issuer(NULL, '{one}', :'ec');
SELECT key_vault.trust_issuer('', '{one}', :'ec');
SELECT key_vault.trust_issuer(repeat('i', 256), '{one}', :'ec');
SELECT key_vault.trust_issuer('https://a.example', NULL, :'ec');
SELECT key_vault.trust_issuer('https://a.example', '{}', :'ec');
SELECT key_vault.trust_issuer('https://a.example', '{one,NULL}', :'ec');
SELECT key_vault.trust_issuer('https://a.example', '{""}', :'ec');
SELECT key_vault.trust_issuer('https://a.example', array_fill('x'::text, '{65}'), :'ec');
SELECT key_vault.trust_issuer('https://a.example', '{one}', NULL);
SELECT key_vault.trust_issuer('https://a.example', '{one}', :'ec', user_claim => NULL);
SELECT key_vault.trust_issuer('https://a.example', '{one}', :'ec', user_claim => '');
SELECT key_vault.trust_issuer('https://a.example', '{one}', :'ec', user_prefix => NULL);
SELECT key_vault.trust_issuer('https://a.example', '{one}', :'ec', user_prefix => 'team:');
SELECT key_vault.trust_issuer('https://a.example', '{one}', :'ec', user_prefix => 'team:acme');
SELECT key_vault.trust_issuer('https://a.example', '{one}', :'ec', user_prefix => 'tea');
SELECT key_vault.trust_issuer('https://a.example', '{one}', :'ec', team_admin_claim => 'admin');
SELECT key_vault.trust_issuer('https://a.example', '{one}', :'ec', audience_claim => NULL);
SELECT key_vault.trust_issuer('https://a.example', '{one}', :'ec', max_age => NULL);
SELECT key_vault.trust_issuer('https://a.example', '{one}', :'ec', max_age => '0');
SELECT key_vault.trust_issuer('https://a.example', '{one}', :'ec', max_age => '-1 hour');
SELECT key_vault.trust_issuer('https://a.example', '{one}', :'ec', max_age => '2 years');
SELECT key_vault.trust_issuer('https://a.example', '{one}', :'ec', max_age => '170000000 years');
SELECT key_vault.trust_issuer('https://a.example', '{one}', :'ec', clock_skew => '-1 second');
SELECT key_vault.trust_issuer('https://a.example', '{one}', :'ec', clock_skew => '1 hour');
SELECT key_vault.distrust_issuer(NULL);

-- keys that are none, or weak; no message shows one
\set VERBOSITY terse
SELECT key_vault.trust_issuer('https://a.example', '{one}', '[]');
SELECT key_vault.trust_issuer('https://a.example', '{one}', '["keys", "kid", "x"]');
SELECT key_vault.trust_issuer('https://a.example', '{one}', '{"keys": {"kid": "x"}}');
SELECT key_vault.trust_issuer('https://a.example', '{one}', '{"keys": [["kid", "kty", "x"]]}');
SELECT key_vault.trust_issuer('https://a.example', '{one}', '{"keys": []}');
SELECT key_vault.trust_issuer('https://a.example', '{one}', '{"keys": [{"kty": "oct", "alg": "HS256", "k": "c2VjcmV0"}]}');
SELECT key_vault.trust_issuer('https://a.example', '{one}', jsonb_build_object('keys', jsonb_build_array(jsonb_build_object('kty', 'RSA', 'e', 'AQAB', 'n', rpad('v', 171, 'x')))));
SELECT key_vault.trust_issuer('https://a.example', '{one}', jsonb_set(:'ec', '{keys,0,d}', '"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"'));
SELECT key_vault.trust_issuer('https://a.example', '{one}', jsonb_set(:'ec', '{keys,0,x}', '"AKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"'));
SELECT key_vault.trust_issuer('https://a.example', '{one}', jsonb_set(:'ec', '{keys,1}', :'hs'::jsonb -> 'keys' -> 0));
\set VERBOSITY default
SELECT key_vault.trust_issuer('https://a.example', '{one}', '{"keys": [{"kty": "oct", "alg": "HS256", "kid": "short", "k": "c2VjcmV0"}]}');
\set VERBOSITY sqlstate

-- who may
GRANT EXECUTE ON FUNCTION key_vault.trust_issuer, key_vault.distrust_issuer TO regress_kv_dba;
SET ROLE regress_kv_dba;
SELECT issuer FROM key_vault.issuers;
SELECT key_vault.trust_issuer('https://evil.example', '{one}', :'ec', user_prefix => 'e:');
SELECT key_vault.distrust_issuer('https://a.example');
SET ROLE regress_kv_user;
SELECT issuer FROM key_vault.issuers;
SELECT key_vault.trust_issuer('https://evil.example', '{one}', :'ec', user_prefix => 'e:');
SELECT key_vault.trusted_issuers();
SELECT * FROM key_vault_data.sealed_records;
SELECT * FROM key_vault_data.revocations;
RESET ROLE;

-- who writes to tables makes no issuer: neither by another name, nor of what is sealed elsewhere
SELECT kind, name FROM key_vault_data.sealed_records ORDER BY 1, 2;
SET ROLE regress_kv_writer;
INSERT INTO key_vault_data.sealed_records SELECT kind, 'https://evil.example', root_key_id, sealed FROM key_vault_data.sealed_records WHERE kind = 'issuer';
RESET ROLE;
SELECT issuer, audience, keys FROM key_vault.issuers;
SELECT reason FROM key_vault.verify_secrets();
SELECT state, detail FROM key_vault.status() WHERE item = 'issuers';
SELECT key_vault.trust_issuer('https://d.example', '{one}', :'ec', user_prefix => 'd:');
DELETE FROM key_vault_data.sealed_records WHERE name = 'https://evil.example';
SELECT key_vault.set('user_a', 'exa', 'exa-key-of-user_a-1234');
INSERT INTO key_vault_data.sealed_records SELECT 'issuer', 'https://evil.example', root_key_id, sealed FROM key_vault_data.secrets;
SELECT reason FROM key_vault.verify_secrets();
DELETE FROM key_vault_data.sealed_records WHERE name = 'https://evil.example';
UPDATE key_vault_data.sealed_records SET kind = 'hash key' WHERE kind = 'issuer';
SELECT reason FROM key_vault.verify_secrets();
UPDATE key_vault_data.sealed_records SET kind = 'issuer' WHERE name = 'https://a.example';
SELECT reason FROM key_vault.verify_secrets();
SELECT state, detail FROM key_vault.status() WHERE item = 'issuers';

-- status: an audience that two have, and what roles may leave behind in a pool
SELECT key_vault.trust_issuer('https://b.example', '{two}', :'hs', user_prefix => 'b:');
SELECT state, detail FROM key_vault.status() WHERE item = 'issuers';
SELECT state FROM key_vault.status() WHERE item = 'token_roles';
ALTER ROLE regress_kv_user LOGIN;
SELECT state, detail, replace(remedy, current_database(), 'this') AS remedy FROM key_vault.status() WHERE item = 'token_roles';
REVOKE TEMPORARY ON DATABASE :"DBNAME" FROM PUBLIC;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
SELECT state, detail FROM key_vault.status() WHERE item = 'token_roles';
CREATE SCHEMA owned AUTHORIZATION regress_kv_user;
SELECT state, detail FROM key_vault.status() WHERE item = 'token_roles';
DROP SCHEMA owned;
GRANT TEMPORARY ON DATABASE :"DBNAME" TO PUBLIC;

-- the root key goes on: issuers are re-sealed, count, and go with a root key that is lost
SELECT id AS old FROM key_vault.root_keys \gset
SELECT secrets FROM key_vault.root_keys;
SELECT key_vault.create_root_key() AS new \gset
SELECT key_vault.activate_root_key(:'new');
SELECT key_vault.delete('user_a', 'exa');
SELECT key_vault.retire_root_key(:'old');
CALL key_vault.rotate_root_key();
SELECT issuer, root_key_id = :'new' AS re_sealed FROM key_vault.issuers;
SELECT count(*) FILTER (WHERE root_key_id <> :'new') AS left FROM key_vault_data.sealed_records;
SELECT key_vault.retire_root_key(:'old');
SELECT reason FROM key_vault.verify_secrets();
DROP EXTENSION key_vault;
DROP ROLE regress_kv_user, regress_kv_dba, regress_kv_writer;
