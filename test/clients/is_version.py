"""is_version.py MODULE FROM [BELOW]: whether a module is there in such a version; says why it is not."""

import importlib
import re
import sys


def numbers(version):
    return [int(number) for number in re.findall(r"\d+", version)]


module, least, *below = sys.argv[1:]
version = numbers(importlib.import_module(module).__version__)
if version < numbers(least):
    sys.exit(f"{module} is older than {least}")
if below and version >= numbers(below[0]):
    sys.exit(f"{module} is not older than {below[0]}")
