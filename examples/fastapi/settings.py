"""What the backend is told by its environment.  Users' API keys are never among it."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    database_url: str
    jwt_secret: str
    jwt_issuer: str
    jwt_audience: str
    pool_size: int
    gemini_url: str


def _require(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise SystemExit(f"{name} is not set; README.md lists the settings")
    return value


def _jwt_secret() -> str:
    secret = _require("JWT_SECRET")
    if len(secret.encode()) < 32:
        raise SystemExit("JWT_SECRET has fewer than 32 bytes; make one with: openssl rand -hex 32")
    return secret


settings = Settings(
    database_url=_require("DATABASE_URL"),
    jwt_secret=_jwt_secret(),
    jwt_issuer=os.environ.get("JWT_ISSUER", "app-login"),
    jwt_audience=os.environ.get("JWT_AUDIENCE", "app"),
    pool_size=int(os.environ.get("POOL_SIZE", "10")),
    gemini_url=os.environ.get("GEMINI_URL", "https://generativelanguage.googleapis.com"),
)
