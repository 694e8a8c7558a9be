"""SQLAlchemy on the driver that is named, psycopg2 or psycopg (3), and Alembic."""

import os
import sys

import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import DBAPIError

import client_lines

KEY = "AIza-a-key-of-sqlalchemy-0123456789"
DRIVER = sys.argv[1]


def engine_for(port, **options):
    return sqlalchemy.create_engine(f"postgresql+{DRIVER}://?port={port}", **options)


class Client:
    IDENTITY = "with engine.begin()"

    def __init__(self):
        self.engine = engine_for(os.environ["PGPORT"], hide_parameters=True)

    def connect(self, port):
        return engine_for(port).connect()

    def mark(self, number):
        return f":p{number}"

    def run(self, conn, sql, parameters):
        return conn.execute(sqlalchemy.text(sql), {f"p{n}": p for n, p in enumerate(parameters, 1)}).scalar()

    def value(self, sql, *parameters):
        with self.engine.begin() as conn:
            return self.run(conn, sql, parameters)

    def value_as(self, user_id, sql, *parameters):
        with self.engine.begin() as conn:
            self.run(conn, "SELECT set_config('key_vault.user_id', :p1, true)", [user_id])
            return self.run(conn, sql, parameters)

    def describe(self, error):
        return client_lines.state_of(getattr(error, "orig", None)), client_lines.class_name(error)


def error_text(**options):
    with engine_for(os.environ["PGPORT"], **options).connect() as conn:
        try:
            conn.execute(sqlalchemy.text("SELECT key_vault.set(:u, 'nonesuch', :k)"), {"u": "user_a", "k": KEY})
        except DBAPIError as error:
            return str(error)
    raise AssertionError("the provider is not registered")


def differences(conn, **options):
    context = MigrationContext.configure(conn, opts={"include_schemas": True, **options})
    return [d[1].schema for d in compare_metadata(context, sqlalchemy.MetaData()) if d[0] == "remove_table"]


def alembic_wants_to_drop_our_tables():
    def include_name(name, kind, parents):
        return kind != "schema" or name not in ("key_vault", "key_vault_data")

    with engine_for(os.environ["PGPORT"]).connect() as conn:
        assert "key_vault_data" in differences(conn)
        assert "key_vault_data" not in differences(conn, include_name=include_name)
    print("trap: Alembic: with include_schemas, autogenerate wants to drop our tables")


assert KEY in error_text() and KEY not in error_text(hide_parameters=True)
print("trap: SQLAlchemy: exceptions show parameters, unless the engine has hide_parameters=True")
alembic_wants_to_drop_our_tables()
client_lines.report(Client())
