"""Who is asking: a JSON Web Token of your own login, as a bearer token or in the session cookie.

The backend looks at it to know whom it serves.  It hands it on to the database, which
verifies it again and lets the transaction reach that user's keys alone.
"""

from typing import Optional

import jwt
from fastapi import Cookie, Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from settings import settings
from tokens import ALGORITHM

COOKIE = "session"

bearer = HTTPBearer(auto_error=False)


def session_token(
    header: Optional[HTTPAuthorizationCredentials] = Depends(bearer),
    cookie: Optional[str] = Cookie(None, alias=COOKIE),
) -> str:
    token = header.credentials if header else cookie
    if not token:
        raise HTTPException(401, "Sign in first.", {"WWW-Authenticate": "Bearer"})
    return token


def get_current_user(token: str = Depends(session_token)) -> dict:
    """{'user_id': ..., 'token': ...}; 401 for everything but a valid token."""
    try:
        claims = jwt.decode(
            token, settings.jwt_secret, algorithms=[ALGORITHM], issuer=settings.jwt_issuer, audience=settings.jwt_audience,
            options={"require": ["iss", "aud", "sub", "iat", "exp"]},
        )
    except jwt.InvalidTokenError:
        raise HTTPException(401, "Sign in again.", {"WWW-Authenticate": "Bearer"}) from None
    if not isinstance(claims["sub"], str) or not claims["sub"]:
        raise HTTPException(401, "Sign in again.", {"WWW-Authenticate": "Bearer"})
    return {"user_id": claims["sub"], "token": token}
