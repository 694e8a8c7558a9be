"""What an error means to the one who asked.  No answer holds a key, or what was sent."""

import logging

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from services.gemini import ProviderError
from services.user_api_key_context import NoApiKey

log = logging.getLogger(__name__)


def _answer(status: int, detail: str, hint: str = None) -> JSONResponse:
    return JSONResponse({"detail": detail, "hint": hint}, status_code=status)


def _no_api_key(request: Request, error: NoApiKey):
    return _answer(409, str(error), error.hint)


def _unknown_provider(request: Request, error: psycopg.Error):
    return _answer(404, error.diag.message_primary, error.diag.message_hint)


def _bad_argument(request: Request, error: psycopg.Error):
    return _answer(422, error.diag.message_primary, error.diag.message_hint)


def _bad_request(request: Request, error: RequestValidationError):
    where = [".".join(str(part) for part in problem["loc"]) for problem in error.errors()]
    return _answer(422, "The request is not valid: " + ", ".join(where))


def _provider(request: Request, error: ProviderError):
    return _answer(502, str(error))


def _refused_token(request: Request, error: psycopg.Error):
    # Valid for the backend, but not for the database: revoked, for instance
    return JSONResponse({"detail": "Sign in again.", "hint": None}, 401, {"WWW-Authenticate": "Bearer"})


def _outage(request: Request, error: psycopg.OperationalError):
    log.error("database: %s", error)
    return _answer(503, "Keys cannot be reached at the moment. Try again later.")


def install(app: FastAPI) -> None:
    app.add_exception_handler(NoApiKey, _no_api_key)
    app.add_exception_handler(psycopg.errors.UndefinedObject, _unknown_provider)
    app.add_exception_handler(psycopg.errors.InvalidParameterValue, _bad_argument)
    app.add_exception_handler(psycopg.errors.NullValueNotAllowed, _bad_argument)
    app.add_exception_handler(RequestValidationError, _bad_request)
    app.add_exception_handler(ProviderError, _provider)
    # a kind of OperationalError, of which it is the more special one
    app.add_exception_handler(psycopg.errors.InvalidAuthorizationSpecification, _refused_token)
    app.add_exception_handler(psycopg.OperationalError, _outage)
