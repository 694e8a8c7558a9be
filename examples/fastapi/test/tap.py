"""Test Anything Protocol, in a page."""

import sys

_count = 0
_failed = 0


def ok(passed, name, *details):
    global _count, _failed
    _count += 1
    if not passed:
        _failed += 1
    print(f"{'ok' if passed else 'not ok'} {_count} - {name}", flush=True)
    if not passed:
        for detail in details:
            note(detail)
    return bool(passed)


def same(got, want, name):
    return ok(got == want, name, f"got:  {got!r}", f"want: {want!r}")


def skip(name, why):
    global _count
    _count += 1
    print(f"ok {_count} - {name} # SKIP {why}", flush=True)


def note(text):
    for line in str(text).splitlines() or [""]:
        print(f"# {line}", flush=True)


def finish():
    print(f"1..{_count}")
    sys.exit(1 if _failed else 0)
