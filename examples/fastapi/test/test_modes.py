"""The checklist of a deployment: the same code, with only DEBUG and DEPLOY_ENV changed."""

from tap import ok, same

from keys import fingerprint, new_key

ONBOARDING = ("gemini", "exa", "copilotkit")


def onboard(user):
    keys = {name: new_key(name) for name in ONBOARDING}
    same(user.onboard(**keys), [200, 200, 200], "... onboards with keys for all three")
    rows = user.providers()
    ok(all(rows[name]["configured"] for name in ONBOARDING), "... and has none missing")
    return keys


def rows_of(world, user):
    return world.cluster.sql(f"SELECT count(*) FROM key_vault.inventory WHERE is_current AND user_id = '{user}'")


def run(world):
    # A laptop: set DEBUG, onboard, check .env, generate
    world.dotenv.write_text("# backend/.env\nDEBUG=true\n")
    developer = world.user("developer")
    same(developer.ask("GET", "/api/onboarding")[1]["mode"], "development", "DEBUG=true: development")
    missing = developer.providers()["gemini"]["missing"]
    ok("GEMINI_API_KEY" in missing and str(world.dotenv) in missing, "... where onboarding names variable and file", missing)
    keys = onboard(developer)
    text = world.dotenv.read_text()
    same([f"{name.upper()}_API_KEY={keys[name]}" in text.replace('"', "").replace("'", "").splitlines() for name in ONBOARDING], [True] * 3,
         "... the keys are in .env")
    ok(text.startswith("# backend/.env\nDEBUG=true\n"), "... below what was there")
    same(rows_of(world, "developer"), "3", "... and in the developer's rows")
    same(developer.generate(), fingerprint(keys["gemini"]), "... generating uses the key of .env")
    same(world.user("anybody").generate(), fingerprint(keys["gemini"]), "... whoever the user is")
    same(developer.providers()["gemini"]["source"], "dotenv", "... and onboarding says where it is from")

    # Deployed: the file is there still, with the developer's keys in it
    world.production(text)
    before = world.dotenv.read_bytes()
    same(world.user("tester_a").ask("GET", "/api/onboarding")[1]["mode"], "production", "DEBUG=false, DEPLOY_ENV=render: production")
    same(world.user("tester_a").generate(), 409, "... where nobody uses the developer's key")
    testers = {}
    for name in ("tester_a", "tester_b"):
        testers[name] = onboard(world.user(name))
    for name, own in testers.items():
        same(world.user(name).generate(), fingerprint(own["gemini"]), f"... {name}'s request uses {name}'s key")
        same(rows_of(world, name), "3", f"... from {name}'s rows")
    same(world.dotenv.read_bytes(), before, "... and .env is byte-identical")
    same(world.user("tester_a").ask("DELETE", "/api/keys/exa")[0], 204, "... also after a delete")
    same(world.dotenv.read_bytes(), before, "... of a key that it has a variable for")
