"""Keys of the right form, new ones each time, and their fingerprints."""

import hashlib
import random
import string

LETTERS = string.ascii_letters + string.digits

# Every key that a test made, to be looked for where none may be.
made = []


def _random(length):
    return "".join(random.choices(LETTERS, k=length))


def new_key(provider):
    prefix = {"gemini": "AIza", "copilotkit": "ck_", "openai": "sk-proj-"}.get(provider, "")
    made.append(prefix + _random(35))
    return made[-1]


def fingerprint(key):
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def found_in(text):
    """Which of the keys a text holds, or parts of them long enough to matter."""
    if isinstance(text, str):
        text = text.encode()
    return [key[:8] + "..." for key in made if key.encode() in text or key[8:24].encode() in text]
