"""psycopg2."""

import os

import psycopg2

import client_lines


class Client:
    IDENTITY = "with conn"

    def __init__(self):
        self.conn = self.connect(os.environ["PGPORT"])

    def connect(self, port):
        return psycopg2.connect(f"port={port}")

    def mark(self, number):
        return "%s"

    def run(self, sql, parameters):
        with self.conn.cursor() as cursor:
            cursor.execute(sql, parameters or None)
            return cursor.fetchone()[0]

    def value(self, sql, *parameters):
        with self.conn:
            return self.run(sql, parameters)

    def value_as(self, user_id, sql, *parameters):
        with self.conn:
            self.run("SELECT set_config('key_vault.user_id', %s, true)", (user_id,))
            return self.run(sql, parameters)

    def describe(self, error):
        return getattr(error, "pgcode", None), client_lines.class_name(error)


def the_first_warning():
    """Where the library is not preloaded, the first WARNING of a session says what mends that."""
    conn = psycopg2.connect("dbname=bare")
    with conn, conn.cursor() as cursor:
        cursor.execute("SELECT key_vault.set(%s, %s, %s)", ("user_a", "gemini", "AIza-a-key-of-psycopg2-0123456789"))
    warnings = [notice for notice in conn.notices if notice.startswith("WARNING")]
    assert len(warnings) == 1, conn.notices
    assert "shared_preload_libraries" in warnings[0] and "session_preload_libraries" in warnings[0], warnings[0]
    assert "AIza-a-key" not in "".join(conn.notices), "the key is in a message"
    print("trap: psycopg2: every key stands in a statement's text")


the_first_warning()
client_lines.report(Client())
