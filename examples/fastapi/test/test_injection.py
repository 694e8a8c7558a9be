"""SQL that is injected into one user's request reaches no other user's keys."""

import json
from urllib.parse import quote

from tap import note, ok, same

from backend import Client
from keys import fingerprint, new_key

KEEP = "set_config('stash.loot', concat(current_setting('stash.loot', true), key_vault.get(NULL, 'gemini')), false)"
LOOT = "' UNION ALL SELECT current_setting('stash.loot', true) --"

# Whom it would get: user_b's key, or its hint.  What comes is a status: 200 also for an attack that finds nothing.
AT_ONCE = (
    ("' UNION ALL SELECT key_vault.get('user_b', 'gemini') --", True),
    ("' UNION ALL SELECT key_vault.get_all('user_b')::text --", True),
    ("' UNION ALL SELECT key_vault.get(user_id, 'gemini') FROM posts --", True),
    ("' UNION ALL SELECT set_config('key_vault.user_id', 'user_b', true) UNION ALL SELECT key_vault.get(NULL, 'gemini') --", True),
    ("'; SET LOCAL key_vault.user_id = 'user_b'; SELECT key_vault.get(NULL, 'gemini') --", True),
    ("'; RESET ALL; SELECT key_vault.get('user_b', 'gemini') --", True),
    ("'; COMMIT; SELECT key_vault.get('user_b', 'gemini') --", True),
    ("'; ROLLBACK; BEGIN; SELECT key_vault.get('user_b', 'gemini') --", True),
    ("' UNION ALL SELECT hint FROM key_vault.secrets WHERE user_id = 'user_b' --", False),
    ("' UNION ALL SELECT s::text FROM key_vault_data.secrets s --", False),
    ("'; SET SESSION AUTHORIZATION postgres; SELECT key_vault.get('user_b', 'gemini') --", False),
    ("'; SET ROLE migrator; SELECT key_vault.grant_access('app', 'service') --", False),
)
# What is left in the session for user_b's request
FOR_LATER = (
    f"'; CREATE TEMP VIEW posts AS SELECT {KEEP} AS title, 'x' AS user_id --",
    f"'; PREPARE _pg3_0 AS SELECT {KEEP} --",
    "'; DECLARE c CURSOR WITH HOLD FOR SELECT key_vault.get(NULL, 'gemini') --",
    "'; SET search_path = pg_temp, key_vault, public --",
    "'; LISTEN loot --",
)


class Search:
    """A user's searches, and all that came back to it."""

    def __init__(self, backend, user):
        self.backend, self.user = backend, user
        self.heard = ""

    def search(self, text):
        status, answer = Client(self.backend, self.user).ask("GET", f"/api/search?title={quote(text)}")
        self.heard += json.dumps(answer)
        # these answers hold the searcher's own key: they are looked at here
        Client.answers.pop()
        return status


def steal(backend, attack, keys):
    """user_a attacks, user_b works, user_a comes back: (the attack's status, whether it has user_b's key, user_b's status)."""
    thief, victim = Search(backend, "user_a"), Search(backend, "user_b")
    status = thief.search(attack)
    served = victim.search("two")
    generated = Client(backend, "user_b").generate()
    thief.search(LOOT)
    ok(generated == fingerprint(keys["user_b"]), "... user_b's request uses user_b's key", generated)
    return status, keys["user_b"] in thief.heard or keys["user_b"][-4:] in thief.heard, served


def run(world):
    world.production()
    keys = {user: new_key("gemini") for user in ("user_a", "user_b")}
    for user, key in keys.items():
        same(world.user(user).onboard(gemini=key), [200], f"{user} onboards")
    world.cluster.sql("""CREATE TABLE posts (user_id text, title text); INSERT INTO posts VALUES ('user_a', 'one'), ('user_b', 'two');
        GRANT SELECT ON posts TO PUBLIC; CREATE ROLE app_service LOGIN; SELECT key_vault.grant_access('app_service', 'service')""")
    log = world.folder / "injectable.log"
    try:
        with_token(world, keys, log)
        at_level_service(world, keys, log)
        without_reset(world, keys, log)
    finally:
        world.cluster.sql("DROP TABLE posts; REVOKE TEMPORARY ON DATABASE blog FROM PUBLIC")


def with_token(world, keys, log):
    backend = world.backend_of("injectable:app", log, POOL_SIZE="1")
    try:
        same(Search(backend, "user_a").search("one"), 200, "a search")
        for attack in [attack for attack, _ in AT_ONCE] + list(FOR_LATER):
            status, stolen, served = steal(backend, attack, keys)
            note(f"{status}  {attack}")
            same((stolen, served), (False, 200), f"with user_a's token, injected: {attack[:70]}")
    finally:
        backend.stop()


def at_level_service(world, keys, log):
    backend = world.backend_of("injectable:app", log, role="app_service", LEVEL="service", POOL_SIZE="1")
    taken = 0
    try:
        for attack, reads in AT_ONCE:
            thief = Search(backend, "user_a")
            thief.search(attack)
            stolen = keys["user_b"] in thief.heard
            taken += stolen
            if "set_config" in attack or "SET LOCAL" in attack or "ROLLBACK" in attack or "COMMIT" in attack or "RESET ALL" in attack:
                ok(stolen, f"the control, at level service the same takes user_b's key: {attack[:70]}")
    finally:
        backend.stop()
    note(f"at level service {taken} of {len(AT_ONCE)} attacks took user_b's key")


def without_reset(world, keys, log):
    world.cluster.sql("GRANT TEMPORARY ON DATABASE blog TO PUBLIC")
    for reset in ("on", "off"):
        backend = world.backend_of("injectable:app", log, RESET=reset, POOL_SIZE="1")
        try:
            _, stolen, _ = steal(backend, FOR_LATER[0], keys)
        finally:
            backend.stop()
        same(stolen, reset == "off", f"a temporary view that stands before a table, with the pool's reset {reset}: user_b's key is {'stolen' if reset == 'off' else 'safe'}")
