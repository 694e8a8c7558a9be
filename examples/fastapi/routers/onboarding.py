"""Where users enter, replace and delete their keys.  Keys come in, and never go out again."""

from fastapi import APIRouter, Depends, HTTPException, Response
from pydantic import BaseModel, SecretStr

from auth import COOKIE, get_current_user, session_token
from database import transaction_for

router = APIRouter(prefix="/api")

PROVIDERS = """
    SELECT p.name, p.display_name, p.category, p.required, p.key_prefixes, p.key_url,
           coalesce(o.configured, false) AS configured, o.source, o.hint, o.expires_at, o.missing,
           o.last_used_at, o.last_outcome, o.last_outcome_at
    FROM key_vault.providers p
    LEFT JOIN key_vault.onboarding(NULL) o ON o.provider = p.name
    ORDER BY p.required DESC, p.category, p.display_name
"""


class NewKey(BaseModel):
    # SecretStr: a key that ends up in a message or a log shows as stars
    api_key: SecretStr


@router.get("/onboarding")
def onboarding(current_user: dict = Depends(get_current_user)):
    with transaction_for(current_user["token"]) as connection:
        mode = connection.execute("SELECT mode FROM key_vault.mode()").fetchone()["mode"]
        providers = connection.execute(PROVIDERS).fetchall()
    return {"user_id": current_user["user_id"], "mode": mode, "providers": providers}


# The key is in the body, because addresses are logged.
@router.put("/keys/{provider}")
def save_key(provider: str, new: NewKey, current_user: dict = Depends(get_current_user)):
    key = new.api_key.get_secret_value()
    with transaction_for(current_user["token"]) as connection:
        odd = connection.execute("SELECT key_vault.inspect_key(%s, %s) AS sentence", (provider, key)).fetchall()
        connection.execute("SELECT key_vault.set(NULL, %s, %s)", (provider, key))
    return {"warnings": [row["sentence"] for row in odd]}


@router.delete("/keys/{provider}", status_code=204)
def delete_key(provider: str, current_user: dict = Depends(get_current_user)):
    with transaction_for(current_user["token"]) as connection:
        row = connection.execute("SELECT key_vault.delete(NULL, %s) AS deleted", (provider,)).fetchone()
    if not row["deleted"]:
        raise HTTPException(404, "There is no key to delete.")
    return Response(status_code=204)


# The page trades the token of the sign-in link for a cookie that no script can read.
@router.post("/session", status_code=204)
def start_session(token: str = Depends(session_token), current_user: dict = Depends(get_current_user)):
    response = Response(status_code=204)
    # Behind HTTPS, as in production, add secure=True.
    response.set_cookie(COOKIE, token, httponly=True, samesite="strict", path="/api")
    return response
