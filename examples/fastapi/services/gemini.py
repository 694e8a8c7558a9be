"""Calls the Gemini API with the key that it is given.

Nothing here is shared between calls.  The google-generativeai package's
genai.configure(api_key=...) sets one key for the whole process: with it, one user's
request can run with another user's key.  Make a client a call instead.
"""

import json
import urllib.error
import urllib.request
from typing import Optional, Tuple

from settings import settings


class ProviderError(Exception):
    """The provider did not do it; the message is for the user.

    outcome is what that says of the key, as key_vault.record_outcome() takes it, or None.
    """

    def __init__(self, message: str, outcome: Optional[str] = None):
        super().__init__(message)
        self.outcome = outcome


OUTCOMES = {401: "rejected", 403: "rejected", 429: "quota"}


def generate_content(api_key: str, prompt: str) -> Tuple[str, int]:
    """The text, and how many tokens it took."""
    request = urllib.request.Request(
        f"{settings.gemini_url}/v1beta/models/gemini-2.5-flash:generateContent",
        data=json.dumps({"contents": [{"parts": [{"text": prompt}]}]}).encode(),
        headers={"Content-Type": "application/json", "x-goog-api-key": api_key},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        text = answer["candidates"][0]["content"]["parts"][0]["text"]
    except urllib.error.HTTPError as error:
        raise ProviderError(f"Gemini refused the request ({error.code}).", OUTCOMES.get(error.code)) from None
    except (OSError, LookupError, ValueError):
        raise ProviderError("Gemini gave no usable answer.") from None
    return text, answer.get("usageMetadata", {}).get("totalTokenCount", 0)
