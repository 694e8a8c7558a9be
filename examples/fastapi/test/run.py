"""Runs the tests of the example, one after the other, in a world of their own."""

import re
import shutil
import sys
import tempfile
import traceback
from pathlib import Path

TESTS = Path(__file__).resolve().parent
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

import tap
import keys
from backend import SECRET, Backend, Client
from cluster import Cluster
from provider import Provider

POOL_SIZE = 4


class World:
    """A database, a provider, and later the backend, in a temporary folder."""

    tests = TESTS
    example = TESTS.parent
    secret = SECRET
    pool_size = POOL_SIZE
    fingerprint = staticmethod(keys.fingerprint)

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="kv-"))
        (self.folder / "backend").mkdir()
        self.dotenv = self.folder / "backend" / ".env"
        self.dotenv.touch(0o600)
        self.provider = Provider()
        self.cluster = Cluster(self.folder, self.dotenv, SECRET)
        self.access_log = self.folder / "access.log"
        self.backend = None

    def start_backend(self):
        self.backend = self.backend_of("watched:app", self.access_log)

    def backend_of(self, app, log, role="app", **environment):
        return Backend(app, self.example, log, **{
            "PYTHONPATH": f"{self.example}:{self.tests}", "DATABASE_URL": self.cluster.url(role), "POOL_SIZE": str(POOL_SIZE),
            "GEMINI_URL": self.provider.url, **environment})

    def production(self, text="DEBUG=true\n"):
        """Only these two lines of .env change between a laptop and a deployment."""
        self.dotenv.write_text(text.replace("DEBUG=true\n", "DEBUG=false\nDEPLOY_ENV=render\n"))

    def user(self, name):
        return Client(self.backend, name)

    def end(self):
        if self.backend:
            self.backend.stop()
        if (self.cluster.data / "postmaster.pid").exists():
            self.cluster.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)


def check_traces(world):
    """No key in what the backend answered and what anybody logged."""
    tap.same(keys.found_in("\n".join(Client.answers)), [], f"no key in {len(Client.answers)} answers of the backends")
    access = world.access_log.read_bytes()
    tap.ok(b"PUT /api/keys/gemini" in access, "the access log has the requests")
    tap.same(keys.found_in(access), [], "... and no key")
    tap.same(re.findall(rb"eyJ[\w-]{20}", world.cluster.log.read_bytes()), [], "no token in the database's log")
    tap.same(re.findall(rb"^os\.(?:putenv|unsetenv) .*", access, re.MULTILINE), [], "no request changed the process's environment")
    # The statements that made the old tables are the test's own
    tap.same(keys.found_in(world.cluster.log.read_bytes()), [], "no key in the database's log")


def main():
    import test_migrations, test_services, test_api, test_modes, test_isolation, test_injection, test_browser

    world = World()
    try:
        test_migrations.run(world)
        world.start_backend()
        for test in (test_modes, test_api, test_services, test_isolation, test_injection, test_browser):
            tap.note(test.__doc__)
            test.run(world)
        check_traces(world)
    except Exception:
        tap.ok(False, "the tests run to their end", traceback.format_exc())
        for log in (world.access_log, world.cluster.log):
            if log.exists():
                tap.note(f"{log.name}:\n" + "\n".join(log.read_text().splitlines()[-30:]))
    finally:
        world.end()
    tap.finish()


main()
