"""psycopg 3."""

import os

import psycopg

import client_lines


class Client:
    IDENTITY = "with conn.transaction()"

    def __init__(self):
        self.conn = self.connect(os.environ["PGPORT"])

    def connect(self, port):
        return psycopg.connect(f"port={port}", autocommit=True)

    def mark(self, number):
        return "%s"

    def value(self, sql, *parameters):
        return self.conn.execute(sql, parameters or None).fetchone()[0]

    def value_as(self, user_id, sql, *parameters):
        with self.conn.transaction():
            self.conn.execute("SELECT set_config('key_vault.user_id', %s::text, true)", (user_id,))
            return self.value(sql, *parameters)

    def describe(self, error):
        return error.sqlstate, client_lines.class_name(error)


def a_transaction_that_was_open():
    """Without autocommit, a statement opens a transaction; what comes then is a savepoint in it."""
    with psycopg.connect() as conn:
        conn.execute("SELECT 1")
        with conn.transaction():
            conn.execute("SELECT set_config('key_vault.user_id', '42', true)")
        assert conn.execute("SELECT current_setting('key_vault.user_id')").fetchone()[0] == "42"
    print("trap: psycopg: conn.transaction() in a transaction is a savepoint, and the identity stays behind")


def a_client_cursor():
    with psycopg.connect(cursor_factory=psycopg.ClientCursor) as conn:
        assert client_lines.MARKER in conn.execute("SELECT current_query(), %s", (client_lines.MARKER,)).fetchone()[0]
    print("trap: psycopg: ClientCursor puts literals into the text")


a_transaction_that_was_open()
a_client_cursor()
client_lines.report(Client())
