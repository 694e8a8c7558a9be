"""The connection pool, and transactions that act for one user."""

from contextlib import contextmanager
from typing import Iterator, Optional

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from settings import settings

connection_options: dict = {"row_factory": dict_row}
if settings.transaction_pooler:
    # The next transaction may be in another of the server's sessions, without what this one prepared
    connection_options["prepare_threshold"] = None

pool = ConnectionPool(
    settings.database_url,
    min_size=1,
    max_size=settings.pool_size,
    timeout=5,
    kwargs=connection_options,
    open=False,
)


@contextmanager
def transaction_for(user_id: Optional[str]) -> Iterator[psycopg.Connection]:
    """A transaction that PostgreSQL lets reach this user's keys, and no others.

    The identity ends with the transaction (that is what `true` says), so whoever
    gets the connection next does not inherit it.  Without a user there is no
    identity: key_vault then takes keys from the .env file in development, and
    answers with an error in production.
    """
    with pool.connection() as connection:
        if user_id is not None:
            connection.execute("SELECT set_config('key_vault.user_id', %s::text, true)", (user_id,))
        yield connection
