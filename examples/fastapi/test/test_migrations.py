"""The migrations: what the DBA runs once, what each deployment runs, and moving keys in."""

from tap import ok, same

from keys import new_key


def run(world):
    def migrate(user, name):
        return world.cluster.psql(user, "-f", world.example / "migrations" / name)

    migrate("postgres", "1_by_the_dba.sql")
    migrate("migrator", "2_by_the_migrator.sql")
    catalog = """SELECT (SELECT string_agg(role || level || complete, ',' ORDER BY role) FROM key_vault.access),
                        (SELECT string_agg(id || state, ',') FROM key_vault.root_keys), (SELECT count(*) FROM key_vault.providers),
                        (SELECT string_agg(issuer || audience::text, ',') FROM key_vault.issuers)"""
    first = world.cluster.sql(catalog)
    ok(first.startswith("appusertrue,migratoradmintrue|"), "the DBA's part grants and makes the root key", first)
    migrate("postgres", "1_by_the_dba.sql")
    migrate("migrator", "2_by_the_migrator.sql")
    same(world.cluster.sql(catalog), first, "both can run again, and change nothing")
    ok(first.endswith("|app-login{app}"), "the login's tokens are trusted", first)
    rights = "SELECT has_database_privilege('app', current_database(), 'TEMP'), has_parameter_privilege('app', 'key_vault.user_id', 'SET')"
    same(world.cluster.sql(rights), "f|f", "the backend's role creates no temporary objects, and does not say whom it acts for")

    migrate("postgres", "3_move_keys_in.sql")
    old, new = new_key("gemini"), new_key("gemini")
    world.cluster.sql(f"""
        CREATE TABLE onboarding_sessions (id serial, user_id text);
        CREATE TABLE api_keys (id serial, session_id int, provider text, key text, updated_at timestamp);
        INSERT INTO onboarding_sessions (user_id) VALUES ('old_user'), ('old_user');
        INSERT INTO api_keys (session_id, provider, key, updated_at) VALUES (1, 'gemini', '{old}', '2025-01-01'), (2, 'gemini', '{new}', '2025-02-01')""")
    said = migrate("postgres", "3_move_keys_in.sql")
    ok("1|1|0" in said and "still where they came from" in said, "keys move in from the old tables", said)
    ok("0|2|0" in migrate("postgres", "3_move_keys_in.sql"), "... once")
    world.dotenv.write_text("DEPLOY_ENV=render\n")
    same(world.cluster.psql("postgres", "-c", "SELECT key_vault.get('old_user', 'gemini')"), new, "... and the newest counts")
    world.cluster.sql("DROP TABLE api_keys, onboarding_sessions")
