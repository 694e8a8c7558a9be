"""The backend, under the eyes of somebody who logs each change of the process's environment."""

import sys


def watch(event, arguments):
    if event in ("os.putenv", "os.unsetenv"):
        name = arguments[0]
        print(f"{event} {name.decode() if isinstance(name, bytes) else name}", file=sys.stderr, flush=True)


sys.addaudithook(watch)

from main import app  # noqa: E402
