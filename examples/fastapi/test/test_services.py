"""What services write: `with user_api_keys(token) as keys: keys.get('gemini')`."""

import os

import psycopg
from tap import ok, same

from keys import new_key


def run(world):
    os.environ.update(DATABASE_URL=world.cluster.url("app"), JWT_SECRET=world.secret, GEMINI_URL=world.provider.url)
    world.production()

    import database
    from tokens import sign
    from services.user_api_key_context import (
        NoApiKey, current_user_api_keys, get_api_key, get_exa_key, get_gemini_key, required_api_key, user_api_keys,
    )

    database.pool.open(wait=True)
    user_s, user_t = sign("user_s", 60), sign("user_t", 60)
    mine = {"gemini": new_key("gemini"), "exa": new_key("exa")}
    theirs = new_key("gemini")
    with database.transaction_for(user_s) as connection:
        for name, key in mine.items():
            connection.execute("SELECT key_vault.set(NULL, %s, %s)", (name, key))
    with database.transaction_for(user_t) as connection:
        connection.execute("SELECT key_vault.set(NULL, 'gemini', %s)", (theirs,))

    with user_api_keys(user_s) as keys:
        same(keys.get("gemini"), mine["gemini"], "with user_api_keys(token) as keys: keys.get('gemini')")
        same(keys.get("google"), mine["gemini"], "... by another name of the provider")
        same(keys.get("openai"), None, "... and None for a key that is not there")
        same(keys.get_all(), mine, "... and all of them in one round trip")
        with user_api_keys(user_t) as others:
            same((keys.get("gemini"), others.get("gemini")), (mine["gemini"], theirs), "two users at once in one thread")
    same(keys.get("exa"), mine["exa"], "handed out of its block, it still works")
    ok(mine["gemini"] not in repr(vars(keys)) + repr(keys), "it keeps no key")
    same((get_gemini_key(user_s), get_exa_key(user_s), get_api_key(user_t, "exa")), (*mine.values(), None), "helpers for single providers")
    same(current_user_api_keys({"user_id": "user_s", "token": user_s}).get("exa"), mine["exa"], "a FastAPI dependency")
    same(required_api_key("exa")(current_user_api_keys({"user_id": "user_s", "token": user_s})), mine["exa"], "... and one for a key")
    ok(not [name for name in os.environ if name.endswith("_API_KEY")], "no key is in the process's environment")

    def error_of(call):
        try:
            return f"no error: {call()!r}"
        except Exception as error:
            return error

    missing = error_of(lambda: user_api_keys(user_t).__enter__().require("exa"))
    ok(isinstance(missing, NoApiKey) and str(missing).startswith("no API key found") and "onboarding" in missing.hint,
       "require() says what is missing and what to do", missing)
    ok(isinstance(error_of(lambda: get_gemini_key(None)), psycopg.errors.NullValueNotAllowed), "no user is an error in production")
    ok(isinstance(error_of(lambda: get_api_key(user_s, "gemeni")), psycopg.errors.UndefinedObject), "so is a provider that nobody knows")

    left = """SELECT current_setting('key_vault.user_id') AS id, current_setting('stash.loot', true) AS setting,
                     (SELECT count(*) FROM pg_prepared_statements) AS prepared, key_vault.current_user_id() AS acts_for"""
    for _ in range(2 * world.pool_size):
        with database.transaction_for(user_s) as connection:
            connection.execute("SET stash.loot = 'x'; PREPARE mine AS SELECT 1")
        with database.pool.connection() as connection:
            row = connection.execute(left).fetchone()
        same((row["id"], row["setting"] or "", row["prepared"], row["acts_for"]), ("", "", 0, None), "a connection goes back to the pool with nothing of the user's")

    # A table that cannot be read, a server that is gone: errors, never "no key"
    world.cluster.sql("REVOKE SELECT ON key_vault_data.secrets FROM app")
    denied = error_of(lambda: get_gemini_key(user_s))
    world.cluster.sql("SELECT key_vault.grant_access('app', 'user')")
    ok(isinstance(denied, psycopg.errors.InsufficientPrivilege), "a missing privilege is an error", denied)
    database.pool.timeout = 1
    world.cluster.stop("immediate")
    outage = error_of(lambda: get_gemini_key(user_s))
    ok(isinstance(outage, psycopg.OperationalError), "a database that is gone is an error, not \"no key\"", repr(outage))
    same(world.user("user_s").generate(), 503, "... and 503 to a client, not \"no key\"")
    world.cluster.start()
    for _ in range(20):
        if world.user("user_s").generate() == world.fingerprint(mine["gemini"]):
            break
    same(world.user("user_s").generate(), world.fingerprint(mine["gemini"]), "... which works again when the database is back")
    database.pool.close()
