"""The connection pool, and transactions that a user's token lets act for that user.

The role holds level `user`: it cannot say whom it acts for, only a token can.  So
SQL that is injected into a request reaches what that request's token reaches.
"""

from contextlib import contextmanager
from typing import Iterator, Optional

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from settings import settings


def forget_session(connection: psycopg.Connection) -> None:
    """Before another user's request gets the connection.

    What injected SQL left in the session would run in that request, and take that user's
    key: a prepared statement, a temporary view that stands before a table.
    """
    connection.autocommit = True
    connection.execute("DISCARD ALL")
    connection.autocommit = False


pool = ConnectionPool(
    settings.database_url,
    min_size=1,
    max_size=settings.pool_size,
    timeout=5,
    reset=forget_session,
    # Statements that are prepared by name do not outlive forget_session(), nor a pooler in transaction mode
    kwargs={"row_factory": dict_row, "prepare_threshold": None},
    open=False,
)


@contextmanager
def transaction_for(token: Optional[str]) -> Iterator[psycopg.Connection]:
    """A transaction that reaches the keys of the token's user, and no others.

    The identity ends with the transaction.  Without a token there is none: key_vault
    then takes keys from the .env file in development, and answers with an error in
    production.
    """
    with pool.connection() as connection:
        if token is not None:
            connection.execute("SELECT key_vault.authenticate(%s)", (token,))
        yield connection
