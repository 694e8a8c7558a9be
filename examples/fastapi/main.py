"""The backend: `uvicorn main:app`, from this folder.  README.md says how to start it."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

import errors
from database import pool
from headers import SecurityHeaders
from routers import generate, onboarding

STATIC = Path(__file__).parent / "static"

app = FastAPI(docs_url=None, redoc_url=None)
app.add_middleware(SecurityHeaders)
app.include_router(onboarding.router)
app.include_router(generate.router)
app.mount("/static", StaticFiles(directory=STATIC), name="static")
errors.install(app)


@app.on_event("startup")
def open_pool() -> None:
    pool.open(wait=True, timeout=10)


@app.on_event("shutdown")
def close_pool() -> None:
    pool.close()


@app.get("/onboarding", include_in_schema=False)
def page() -> FileResponse:
    return FileResponse(STATIC / "onboarding.html")


@app.get("/", include_in_schema=False)
def root() -> RedirectResponse:
    return RedirectResponse("/onboarding")
