"""1,000 interleaved requests of two users through one connection pool; beside it the old way."""

from concurrent.futures import ThreadPoolExecutor

from tap import note, ok, same

from backend import Backend, Client
from keys import fingerprint, new_key

REQUESTS = 1000
AT_ONCE = 16


def interleave(requests, ask):
    """What ask(user) answered for each of the requests, many at once."""
    users = ["user_a" if number % 2 else "user_b" for number in range(requests)]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(zip(users, threads.map(ask, users)))


def run(world):
    world.production()
    keys = {user: new_key("gemini") for user in ("user_a", "user_b")}
    prints = {user: fingerprint(key) for user, key in keys.items()}
    for user, key in keys.items():
        same(world.user(user).onboard(gemini=key), [200], f"{user} onboards")

    answers = interleave(REQUESTS, lambda user: Client(world.backend, user).generate())
    crossed = sum(answer != prints[user] for user, answer in answers)
    same(crossed, 0, f"{REQUESTS} interleaved requests through one pool of {world.pool_size} connections: none crossed")
    costs = world.cluster.sql("SELECT user_id, paid_by, requests FROM key_vault.monthly_costs WHERE user_id IN ('user_a', 'user_b') ORDER BY 1")
    same(costs, f"user_a|user|{REQUESTS // 2}\nuser_b|user|{REQUESTS // 2}", "... and each paid for its own")

    # C has no key and rides along: never gets anybody's
    def ask_or_ride(user):
        return Client(world.backend, user).generate(), Client(world.backend, "user_c").generate()

    riders = {rider for _, (_, rider) in interleave(100, ask_or_ride)}
    same(riders, {409}, "a third user without a key gets none of theirs")

    old = Backend("old_way:app", world.tests, world.folder / "old_way.log", PYTHONPATH=f"{world.example}:{world.tests}",
                  GEMINI_URL=world.provider.url, DATABASE_URL="none", KEY_OF_A=keys["user_a"], KEY_OF_B=keys["user_b"])
    try:
        def ask_old(user):
            client = Client(old)
            return client.ask("POST", "/api/generate", **{"x-user": user})[1]["text"]

        answers = interleave(REQUESTS, ask_old)
    finally:
        old.stop()
    other = {"user_a": prints["user_b"], "user_b": prints["user_a"]}
    crossed = sum(answer == other[user] for user, answer in answers)
    none = sum(answer == fingerprint("") for user, answer in answers)
    note(f"the old way: of {REQUESTS} requests {crossed} ran with the other user's key, {none} with none")
    ok(crossed > 0, "the control: with os.environ in a middleware, keys cross")
