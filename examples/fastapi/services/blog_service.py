"""Writes blog posts, each with the key of the user who asked for it."""

from typing import Optional

from database import transaction_for
from services import gemini
from services.user_api_key_context import user_api_keys


def generate_blog(token: Optional[str], topic: str) -> str:
    with user_api_keys(token) as keys:
        gemini_key, version = keys.require_version("gemini")
        try:
            text, tokens = gemini.generate_content(gemini_key, f"Write a blog about {topic}")
        except gemini.ProviderError as error:
            if error.outcome is not None:
                keys.record_outcome("gemini", error.outcome, version)
            raise
        keys.record_outcome("gemini", "accepted", version)
    if token is not None:
        _record_usage(token, tokens)
    return text


def _record_usage(token: str, tokens: int) -> None:
    """Who pays is key_vault's to know: the user, or with a key of the .env file the operator."""
    with transaction_for(token) as connection:
        connection.execute("SELECT key_vault.record_usage(NULL, 'gemini', tokens => %s)", (tokens,))
