"""Signs tokens, as the issuer that the database trusts: migrations/1_by_the_dba.sql names it.

A login of your own signs its users' tokens so.  With Auth0, Clerk and the like they sign
them, and this serves background jobs alone: docs/identity.md says how.
"""

import time

import jwt

from settings import settings

ALGORITHM = "HS256"


def sign(user_id: str, seconds: int) -> str:
    now = int(time.time())
    claims = {"iss": settings.jwt_issuer, "aud": settings.jwt_audience, "sub": user_id, "iat": now, "exp": now + seconds}
    return jwt.encode(claims, settings.jwt_secret, algorithm=ALGORITHM)
