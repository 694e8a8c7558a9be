"""Writes blog posts, each with the key of the user who asked for it."""

from typing import Optional

from database import transaction_for
from services import gemini
from services.user_api_key_context import user_api_keys


def generate_blog(user_id: Optional[str], topic: str) -> str:
    with user_api_keys(user_id) as keys:
        gemini_key = keys.require("gemini")
        text, tokens = gemini.generate_content(gemini_key, f"Write a blog about {topic}")
    if user_id is not None:
        _record_usage(user_id, tokens)
    return text


def _record_usage(user_id: str, tokens: int) -> None:
    """Who pays is key_vault's to know: the user, or with a key of the .env file the operator."""
    with transaction_for(user_id) as connection:
        connection.execute("SELECT key_vault.record_usage(NULL, 'gemini', tokens => %s)", (tokens,))
