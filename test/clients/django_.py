"""Django on the driver that is named: psycopg2, psycopg (3), or psycopg with server_side_binding."""

import os
import sys

if sys.argv[1] == "psycopg2":
    sys.modules["psycopg"] = None  # Django takes psycopg 3 wherever it can be imported

import django
from django.conf import settings
from django.db import connection, transaction

import client_lines

DATABASE = {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"], "USER": os.environ["PGUSER"],
            "PASSWORD": os.environ["PGPASSWORD"], "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"]}
if "server_side_binding" in sys.argv:
    DATABASE["OPTIONS"] = {"server_side_binding": True}
settings.configure(DATABASES={"default": DATABASE, "nowhere": {**DATABASE, "PORT": "1"}})
django.setup()


class Client:
    IDENTITY = "with transaction.atomic()"

    def connect(self, port):
        return django.db.connections["nowhere"].ensure_connection()

    def mark(self, number):
        return "%s"

    def value(self, sql, *parameters):
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters or None)
            return cursor.fetchone()[0]

    def value_as(self, user_id, sql, *parameters):
        with transaction.atomic():
            self.value("SELECT set_config('key_vault.user_id', %s, true)", user_id)
            return self.value(sql, *parameters)

    def describe(self, error):
        return client_lines.state_of(error.__cause__), client_lines.class_name(error)


def its_own_log():
    connection.force_debug_cursor = True
    Client().value("SELECT key_vault.get(%s, 'gemini')", client_lines.MARKER)
    assert client_lines.MARKER in connection.queries[-1]["sql"]
    connection.force_debug_cursor = False
    print("trap: Django: its log of queries (DEBUG) shows parameters")


its_own_log()
client_lines.report(Client())
