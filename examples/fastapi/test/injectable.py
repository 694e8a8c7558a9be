"""The backend with an endpoint that nobody should write: its text goes into SQL as it comes.

RESET=off takes the pool's reset away, LEVEL=service the token, to show what each is for.
"""

import os

from fastapi import Depends

import database
from auth import get_current_user
from main import app

if os.environ.get("RESET") == "off":
    database.pool._reset = None


@app.get("/api/search")
def search(title: str, current_user: dict = Depends(get_current_user)):
    service = os.environ.get("LEVEL") == "service"
    with database.transaction_for(None if service else current_user["token"]) as connection:
        if service:
            connection.execute("SELECT set_config('key_vault.user_id', %s, true)", (current_user["user_id"],))
        cursor = connection.execute(f"SELECT title FROM posts WHERE title = '{title}'")
        found = []
        while True:
            if cursor.description:
                found += [list(row.values()) for row in cursor.fetchall()]
            if not cursor.nextset():
                return found
