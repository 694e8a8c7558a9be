"""The way that key_vault replaces: a middleware puts the user's key into the process's environment."""

import asyncio
import os
import random

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool

from services import gemini

KEYS = {"user_a": os.environ.pop("KEY_OF_A"), "user_b": os.environ.pop("KEY_OF_B")}

app = FastAPI()


@app.middleware("http")
async def inject_keys(request: Request, call_next):
    os.environ["GEMINI_API_KEY"] = KEYS[request.headers["x-user"]]
    try:
        return await call_next(request)
    finally:
        os.environ.pop("GEMINI_API_KEY", None)


@app.post("/api/generate")
async def generate():
    await asyncio.sleep(random.uniform(0, 0.005))  # something else first, such as a query
    text, _ = await run_in_threadpool(gemini.generate_content, os.getenv("GEMINI_API_KEY", ""), "keys")
    return {"text": text}
