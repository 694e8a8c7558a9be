"""The endpoints: who may ask, what they answer, and that no answer holds a key."""

import time
from concurrent.futures import ThreadPoolExecutor

from tap import ok, same

from backend import Client, token_for
from keys import new_key


def save_at_once(world):
    """A new user's first saves, all in parallel."""
    sent = [new_key("gemini") for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda key: world.user("user_hasty").onboard(gemini=key)[0], sent))
    same(answers, [200] * 8, "first saves in parallel all succeed")
    count = """SELECT (SELECT count(*) FROM key_vault.onboarding_sessions WHERE user_id = 'user_hasty'),
                      (SELECT count(*) FROM key_vault.api_keys WHERE session_id = 'user_hasty')"""
    same(world.cluster.sql(count), "1|1", "... into one session with one key")
    ok(world.user("user_hasty").generate() in [world.fingerprint(key) for key in sent], "... which is one of them")


def what_the_provider_said(world, user, key):
    said = lambda: user.providers()["gemini"]["last_outcome"]
    same(said(), "accepted", "what the provider said of it is shown")
    ok(user.providers()["gemini"]["last_used_at"], "... and when it was used")
    for status, outcome in (401, "rejected"), (429, "quota"), (403, "rejected"):
        world.provider.refused[key] = status
        same((user.generate(), said()), (502, outcome), f"... also when it answers {status}")
    world.provider.refused[key] = 500
    same((user.generate(), said()), (502, "rejected"), "... but not when it says nothing of the key")
    del world.provider.refused[key]
    same((user.onboard(gemini=key), said()), ([200], None), "... and no more when the key is saved anew")


def run(world):
    world.production()
    stranger = Client(world.backend)
    for method, path in ("GET", "/api/onboarding"), ("PUT", "/api/keys/gemini"), ("DELETE", "/api/keys/gemini"), ("POST", "/api/generate"), ("POST", "/api/jobs"), ("GET", "/api/jobs/1"), ("POST", "/api/session"):
        same(stranger.ask(method, path, {"api_key": "x", "topic": "x"})[0], 401, f"{method} {path} without a token")
    for name, token in {
        "an expired token": token_for("user_a", seconds=-10),
        "a token of another secret": token_for("user_a", secret="x" * 32),
        "a token without a signature": token_for("user_a", secret="", algorithm="none"),
        "a token for no user": token_for(""),
        "a token for another audience": token_for("user_a", aud="shop"),
        "a token of another issuer": token_for("user_a", iss="other-login"),
        "a token without a time of issue": token_for("user_a", iat=None),
        "no token at all": "garbage",
    }.items():
        same(Client(world.backend, token=token).ask("GET", "/api/onboarding")[0], 401, name)

    # What the backend lets pass, and the database does not
    world.cluster.sql("SELECT key_vault.revoke_tokens('user_gone', now() + interval '1 second')")
    status, answer = Client(world.backend, "user_gone").ask("GET", "/api/onboarding")
    same((status, answer["detail"]), (401, "Sign in again."), "a token that is revoked")

    user, other = world.user("user_api"), world.user("user_other")
    key = new_key("gemini")
    status, answer = user.ask("PUT", "/api/keys/gemini", {"api_key": key})
    same((status, answer), (200, {"warnings": []}), "a key is saved")
    status, answer = user.ask("PUT", "/api/keys/openai", {"api_key": new_key("exa")})
    ok(status == 200 and "does not look like" in answer["warnings"][0], "one of another form is saved with a warning", answer)
    status, answer = user.ask("PUT", "/api/keys/gemini", {"api_key": "****" + key[-4:]})
    same((status, answer["detail"]), (422, "API key is masked"), "what a page shows of a key does not replace it")
    row = user.providers()["gemini"]
    same((row["configured"], row["source"], row["hint"]), (True, "user", key[-4:]), "the user sees its hint")
    ok(not other.providers()["gemini"]["configured"], "nobody else does")
    same(other.generate(), 409, "a user without a key is told so")
    ok(other.ask("POST", "/api/generate", {"topic": "x"})[1]["detail"].startswith("no API key found"), "... in words that users know")
    same(user.generate(), world.fingerprint(key), "the provider is called with the user's key")
    what_the_provider_said(world, user, key)

    same(user.ask("PUT", "/api/keys/nonsense", {"api_key": "x"})[0], 404, "an unknown provider")
    same(user.ask("PUT", "/api/keys/exa", {"api_key": ""})[0], 422, "an empty key")
    same(user.ask("PUT", "/api/keys/exa", {"api_key": new_key("exa") * 2000})[0], 422, "a key of 70 kB")
    secret = new_key("exa")
    for body in ({"api_key": [secret]}, {"key": secret}, f'{{"api_key": "{secret}'):
        status, answer = user.ask("PUT", "/api/keys/exa", body)
        ok(status == 422 and secret not in str(answer), "a bad request is not repeated in the answer", answer)
    same(user.ask("DELETE", "/api/keys/exa")[0], 404, "deleting what is not there")

    # A job looks its key up when it runs, after the request has ended
    world.provider.calls.clear()
    status, answer = user.ask("POST", "/api/jobs", {"topic": "keys"})
    ended = time.monotonic()
    for _ in range(100):
        job = user.ask("GET", f"/api/jobs/{answer['job_id']}")[1]
        if job["state"] != "waiting":
            break
        time.sleep(0.02)
    same((status, job), (202, {"state": "done", "text": world.fingerprint(key)}), "a background job uses the user's key")
    ok(world.provider.calls[0] > ended, "... after the request has ended")
    same(other.ask("GET", f"/api/jobs/{answer['job_id']}")[0], 404, "... and is nobody else's")
    answer = other.ask("POST", "/api/jobs", {"topic": "keys"})[1]
    time.sleep(0.1)
    same(other.ask("GET", f"/api/jobs/{answer['job_id']}")[1]["state"], "failed", "a job of a user without a key fails")

    # A row that was changed by hand: the user can do without the operator
    again = new_key("exa")
    user.onboard(exa=new_key("exa"))
    world.cluster.sql("UPDATE key_vault_data.secrets SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) WHERE user_id = 'user_api' AND provider = 'exa'")
    rows = user.providers()
    same((rows["exa"]["configured"], rows["gemini"]["configured"]), (False, True), "a key that nobody can read is not configured, others are")
    ok("has to be entered again" in rows["exa"]["missing"], "... and the user is told what to do", rows["exa"])
    same((user.onboard(exa=again), user.providers()["exa"]["hint"]), ([200], again[-4:]), "... which helps")

    long = new_key("gemini") * 200
    same((user.onboard(gemini=long), user.generate()), ([200], world.fingerprint(long)), "a key of 7,800 bytes is not cut")
    save_at_once(world)

    same(user.ask("DELETE", "/api/keys/gemini")[0], 204, "a key is deleted")
    same(user.generate(), 409, "... and not used any more")
