-- add_provider and remove_provider: what a database adds, replaces and hides, and what is refused.
\set VERBOSITY sqlstate
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION key_vault CASCADE;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
CREATE ROLE regress_kv_app;
CREATE ROLE regress_kv_dba;
SELECT key_vault.grant_access('regress_kv_app', 'service');
SELECT key_vault.grant_access('regress_kv_dba', 'admin');
CREATE FUNCTION provider(wanted text) RETURNS TABLE (provider json) LANGUAGE sql AS $$
    SELECT row_to_json(p) FROM key_vault.providers p WHERE p.name = wanted $$;
GRANT EXECUTE ON FUNCTION provider TO PUBLIC;

-- forms of keys are data: a key of another form is stored, with a WARNING
SELECT key_vault.set('user_p', 'gemini', 'AIza' || repeat('1', 20)), key_vault.set('user_p', 'gemini', 'AQ.' || repeat('1', 20)),
       key_vault.set('user_p', 'openai', 'sk-' || repeat('1', 20)), key_vault.set('user_p', 'openai', 'sk-proj-' || repeat('1', 20)),
       key_vault.set('user_p', 'anthropic', 'sk-ant-' || repeat('1', 20));
\set VERBOSITY default
SELECT key_vault.set('user_p', 'gemini', 'sk-' || repeat('2', 20));
SELECT key_vault.set('user_p', 'anthropic', 'sk-' || repeat('2', 20));
\set VERBOSITY sqlstate
SELECT key_vault.get('user_p', 'gemini') = 'sk-' || repeat('2', 20) AS stored;
SELECT key_vault.forget('user_p') > 0 AS forgotten;

-- an admin adds one; what is not said has a default
SET ROLE regress_kv_dba;
SELECT key_vault.add_provider('acme');
SELECT * FROM provider('acme');
SELECT key_vault.add_provider('  Dot.and-Dash ');
SELECT * FROM provider('dot.and-dash');
SELECT key_vault.add_provider('weather', env_var => 'WEATHER_TOKEN', display_name => 'The Weather',
    aliases => '{Meteo, sky-1}', key_prefixes => '{wx_, wx2_}', required => true, category => 'research', key_url => 'https://weather.example/keys');
SELECT * FROM provider('weather');
RESET ROLE;

-- at once usable by its name and aliases; a key that looks wrong gets its WARNING
SET ROLE regress_kv_app;
SELECT key_vault.set('user_a', 'METEO', 'wx_' || repeat('1', 20));
SELECT key_vault.set('user_a', 'sky-1', 'other_' || repeat('1', 20));
SELECT provider, version FROM key_vault.list('user_a');
SELECT provider FROM key_vault.onboarding('user_a') WHERE required ORDER BY provider COLLATE "C";
RESET ROLE;

-- adding again replaces the whole of it, and what is stored stays
SELECT key_vault.add_provider('weather');
SELECT * FROM provider('weather');
SELECT key_vault.get('user_a', 'weather') = 'other_' || repeat('1', 20) AS same;
SELECT key_vault.get('user_a', 'meteo');

-- ours can be replaced: then its prefixes and variable are the database's
SELECT key_vault.add_provider('Google', key_prefixes => '{gw-}', required => false);
SELECT key_vault.add_provider('gemini', env_var => 'GATEWAY_KEY', key_prefixes => '{gw-}', aliases => '{google}');
SELECT * FROM provider('gemini');
SELECT key_vault.set('user_a', 'google', 'gw-' || repeat('1', 20));
SELECT key_vault.set('user_a', 'google', 'AIza' || repeat('1', 20));

-- names, aliases and variables that mean something already
\set VERBOSITY terse
SELECT key_vault.add_provider('other', aliases => '{openai}');
SELECT key_vault.add_provider('hf');
SELECT key_vault.add_provider('other', aliases => '{google}');
SELECT key_vault.add_provider('other', env_var => 'OPENAI_API_KEY');
\set VERBOSITY sqlstate
SELECT key_vault.add_provider('other', aliases => '{ok, openai}');
SELECT key_vault.get('user_a', 'ok');

-- variables: named for what they hold, so that none can be aimed at PATH or DEBUG
\set VERBOSITY terse
SELECT key_vault.add_provider('other', env_var => 'PATH');
SELECT key_vault.add_provider('other', env_var => 'DEBUG');
SELECT key_vault.add_provider('other', env_var => 'LD_PRELOAD');
SELECT key_vault.add_provider('other', env_var => 'key');
SELECT key_vault.add_provider('other', env_var => '1_KEY');
SELECT key_vault.add_provider('other', env_var => E'A=b\nDISABLE_AUTH_KEY');
SELECT key_vault.add_provider('other', env_var => 'A KEY');
SELECT key_vault.add_provider('other', env_var => '');
SELECT key_vault.add_provider('other', env_var => repeat('A', 60) || '_KEY');
SELECT key_vault.add_provider('7up');
SELECT key_vault.add_provider('7up', env_var => 'SEVEN_UP_API_KEY');
SELECT key_vault.add_provider('ends-in-secret', env_var => 'CLIENT_SECRET');

-- names
SELECT key_vault.add_provider('');
SELECT key_vault.add_provider(NULL);
SELECT key_vault.add_provider('two words');
SELECT key_vault.add_provider('-dash');
SELECT key_vault.add_provider(E'a\nb');
SELECT key_vault.add_provider('Ünicode');
SELECT key_vault.add_provider(repeat('a', 64));
SELECT key_vault.add_provider('other', aliases => '{""}');
SELECT key_vault.add_provider('other', aliases => '{a b}');
SELECT key_vault.add_provider('other', aliases => '{NULL}');

-- prefixes: what a key may begin with, and no more than that; no message quotes one, which may be a key
SELECT key_vault.add_provider('other', key_prefixes => '{sk}');
SELECT key_vault.add_provider('other', key_prefixes => '{""}');
SELECT key_vault.add_provider('other', key_prefixes => ARRAY[repeat('x', 33)]);
SELECT key_vault.add_provider('other', key_prefixes => '{ok-, "two words"}');
SELECT key_vault.add_provider('other', key_prefixes => ARRAY[E'line\n']);
SELECT key_vault.add_provider('other', key_prefixes => ARRAY['zero' || chr(8203)]);
SELECT key_vault.add_provider('other', key_prefixes => '{sk-proj-9f2c4e61a7b3d80512}');
SELECT key_vault.add_provider('other', key_prefixes => '{NULL}');
SELECT key_vault.add_provider('other', key_prefixes => array_agg('p-' || n)) FROM generate_series(1, 17) n;
\set VERBOSITY sqlstate
SELECT key_vault.add_provider('other', key_prefixes => '{sk}');
SELECT key_vault.add_provider('other', key_prefixes => '{sk-proj-9f2c4e61a7b3d80512}');
SELECT key_vault.add_provider('other', key_prefixes => '{NULL}');
SELECT count(*) FROM key_vault.providers WHERE name = 'other';
-- they are text and nothing else: what means something in a pattern does not
SELECT key_vault.add_provider('literal', key_prefixes => ARRAY['a.*', '(((', '%s%n', '^sk-', repeat('y', 32)]);
SELECT * FROM provider('literal');
SELECT key_vault.set('user_p', 'literal', 'a.*' || repeat('1', 20)), key_vault.set('user_p', 'literal', '%s%n' || repeat('1', 20)), key_vault.set('user_p', 'literal', repeat('y', 40));
\set VERBOSITY terse
SELECT key_vault.set('user_p', 'literal', 'abc' || repeat('1', 20));
SELECT key_vault.set('user_p', 'literal', 'sk-' || repeat('1', 20));
\set VERBOSITY sqlstate
SELECT key_vault.forget('user_p') > 0 AS forgotten;
SELECT key_vault.remove_provider('literal');
-- NULL is none
SELECT key_vault.add_provider('other', key_prefixes => NULL);
SELECT * FROM provider('other');
SELECT key_vault.remove_provider('other');

-- only admins may
SET ROLE regress_kv_app;
SELECT key_vault.add_provider('mine');
SELECT key_vault.remove_provider('acme');
RESET ROLE;

-- removing: not while there are keys, of any user; ours come back
\set VERBOSITY default
SELECT key_vault.remove_provider('weather');
\set VERBOSITY sqlstate
SELECT key_vault.delete('user_a', 'weather'), key_vault.delete('user_a', 'gemini');
SET ROLE regress_kv_dba;
SELECT key_vault.remove_provider('weather');
SELECT key_vault.remove_provider('gemini');
RESET ROLE;
SELECT key_vault.get('user_a', 'weather');
SELECT name, env_var FROM key_vault.providers WHERE name = 'gemini';
SELECT key_vault.remove_provider('weather');

-- ours are hidden, by an alias too, and shown again by adding them
SELECT key_vault.remove_provider('google');
SELECT count(*) FROM key_vault.providers WHERE name = 'gemini';
SELECT key_vault.get('user_a', 'gemini');
SELECT key_vault.get('user_a', 'google');
SELECT provider FROM key_vault.onboarding('user_a') WHERE required ORDER BY provider COLLATE "C";
SELECT key_vault.add_provider('gemini', required => true);
SELECT provider FROM key_vault.onboarding('user_a') WHERE required ORDER BY provider COLLATE "C";

-- a rolled-back change is none, for the caller too
BEGIN;
SELECT key_vault.add_provider('brief');
SELECT key_vault.get('user_a', 'brief') IS NULL AS known;
ROLLBACK;
SELECT key_vault.get('user_a', 'brief');

DROP FUNCTION provider;
DROP EXTENSION key_vault;
REVOKE SET ON PARAMETER key_vault.user_id, key_vault.team_id FROM regress_kv_app;
DROP ROLE regress_kv_app, regress_kv_dba;
