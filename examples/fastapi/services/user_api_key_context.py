"""A user's API keys, each looked up when it is asked for and kept nowhere.

    with user_api_keys(token) as keys:
        gemini_key = keys.get('gemini')

The token says whose keys they are, and the database verifies it.  The same code runs
on a laptop, where key_vault takes keys from the .env file, and in production, where it
takes them from this user's rows.  A key that is not there
is None, or NoApiKey from require().  That the database cannot be reached is a
psycopg.OperationalError, never None.
"""

from contextlib import contextmanager
from functools import partial
from typing import Callable, Dict, Iterator, Optional, Tuple

import psycopg
from fastapi import Depends

from auth import get_current_user
from database import transaction_for


class NoApiKey(LookupError):
    """There is no key.  hint says what to do about it."""

    def __init__(self, error: psycopg.Error):
        super().__init__(error.diag.message_primary)
        self.hint = error.diag.message_hint


class UserApiKeys:
    """Looks keys up.  No connection is held between calls, however long a provider takes to answer."""

    def __init__(self, token: Optional[str]):
        self._token = token

    def get(self, provider: str) -> Optional[str]:
        return self._ask("SELECT key_vault.get(NULL, %s) AS answer", (provider,))

    def require(self, provider: str) -> str:
        try:
            return self._ask("SELECT key_vault.require(NULL, %s) AS answer", (provider,))
        except psycopg.errors.NoDataFound as error:
            raise NoApiKey(error) from None

    def require_version(self, provider: str) -> Tuple[str, Optional[int]]:
        """The key, and which version of it that is: None for one of the .env file."""
        with transaction_for(self._token) as connection:
            row = connection.execute("SELECT api_key, version FROM key_vault.lookup(NULL, %s)", (provider,)).fetchone()
        return (row["api_key"], row["version"]) if row else (self.require(provider), None)

    def record_outcome(self, provider: str, outcome: str, version: Optional[int]) -> None:
        """What the provider said of the key, unless the user has set another one meanwhile."""
        self._ask("SELECT key_vault.record_outcome(NULL, %s, %s, version => %s) AS answer", (provider, outcome, version))

    def get_all(self) -> Dict[str, str]:
        return self._ask("SELECT key_vault.get_all(NULL) AS answer", ())

    def _ask(self, query: str, parameters: tuple):
        with transaction_for(self._token) as connection:
            return connection.execute(query, parameters).fetchone()["answer"]


@contextmanager
def user_api_keys(token: Optional[str]) -> Iterator[UserApiKeys]:
    yield UserApiKeys(token)


# Single providers

def get_api_key(token: Optional[str], provider: str) -> Optional[str]:
    return UserApiKeys(token).get(provider)


get_gemini_key = partial(get_api_key, provider="gemini")
get_exa_key = partial(get_api_key, provider="exa")
get_openai_key = partial(get_api_key, provider="openai")


# FastAPI dependencies

def current_user_api_keys(current_user: dict = Depends(get_current_user)) -> UserApiKeys:
    return UserApiKeys(current_user["token"])


def required_api_key(provider: str) -> Callable[..., str]:
    """`key: str = Depends(required_api_key('exa'))`: the request fails when the user has no such key."""

    def dependency(keys: UserApiKeys = Depends(current_user_api_keys)) -> str:
        return keys.require(provider)

    return dependency
