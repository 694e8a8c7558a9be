"""What each Python client's program prints: one line a fact, `name: value`.  test.sh compares them with docs/drivers.md.

A client has: IDENTITY (how a transaction with an identity is written), mark(n) (the placeholder of the nth parameter),
value(sql, *parameters) and value_as(user_id, sql, *parameters) (the first value of the first row, in a transaction of
its own), connect(port) and describe(error) (SQLSTATE or None, and the exception's class).
"""

import uuid

USER = 42
UUID_USER = uuid.UUID("00000000-0000-4000-8000-000000000042")
MARKER = "stands-in-the-text"


def error_of(client, call):
    try:
        call()
    except Exception as error:  # whatever the client raises is what is asked for
        state, name = client.describe(error)
        return f"{state or '-'} {name}"
    return "no error"


def how_to_pass(client, user_id):
    """What an id that is no text needs."""
    ways = {
        "as it is": (client.mark(1), user_id),
        "with ::text": (f"CAST({client.mark(1)} AS text)", user_id),
        "as a string": (client.mark(1), str(user_id)),
    }
    for name, (placeholder, passed) in ways.items():
        try:
            if client.value(f"SELECT key_vault.get({placeholder}, 'gemini')", passed) == f"key-of-{user_id}":
                return name
        except Exception:  # the next way, then
            continue
    return "not at all"


def state_of(error):
    """psycopg 3's SQLSTATE, or psycopg2's, for what is built on either."""
    return getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)


def class_name(error):
    return type(error).__qualname__


def report(client):
    one = client.mark(1)
    in_text = MARKER in client.value(f"SELECT current_query() FROM (SELECT CAST({one} AS text)) AS q", MARKER)
    print("parameters:", "text" if in_text else "bound")
    print("identity:", client.IDENTITY)
    assert client.value_as(str(USER), f"SELECT key_vault.get(NULL, {one})", "gemini") == f"key-of-{USER}"
    assert not client.value("SELECT current_setting('key_vault.user_id', true)"), "the identity outlives its transaction"
    print("integer:", how_to_pass(client, USER))
    print("uuid:", how_to_pass(client, UUID_USER))
    keys = client.value_as(str(USER), "SELECT key_vault.get_all(NULL)")
    print("jsonb:", type(keys).__name__)
    print("get:", client.value_as("nobody", f"SELECT key_vault.get(NULL, {one})", "gemini"))
    print("require:", error_of(client, lambda: client.value_as("nobody", f"SELECT key_vault.require(NULL, {one})", "gemini")))
    print("refused:", error_of(client, lambda: client.value_as("nobody", f"SELECT key_vault.get({one}, 'gemini')", str(USER))))
    print("stopped:", error_of(client, lambda: client.value("SELECT pg_terminate_backend(pg_backend_pid())")))
    print("unreachable:", error_of(client, lambda: client.connect(1)))
