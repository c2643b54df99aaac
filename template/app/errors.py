"""The errors that the app answers with; adapters translate their library's errors into these.

AppError
    NotFoundError            404
    ConflictError            409
    UnavailableError         503 with Retry-After: no connection in time, or the server is away
        RefusedError         the same: the server refuses the login, or has no such database
    StatementTimeoutError    504: a statement ran over its time limit
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException


class AppError(Exception):
    """An error with a status and a sentence for the client."""

    status = 500
    headers: ClassVar[Mapping[str, str]] = {}


class NotFoundError(AppError):
    """What the request names does not exist."""

    status = 404


class ConflictError(AppError):
    """What the request asks contradicts what is stored."""

    status = 409


class UnavailableError(AppError):
    """No database connection can be had now; a later try may succeed."""

    status = 503
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}


class RefusedError(UnavailableError):
    """The server lets nobody in with this URL; `missing` is what it may lack: "role" or "database"."""

    def __init__(self, message: str, missing: str) -> None:
        super().__init__(message)
        self.missing = missing


class StatementTimeoutError(AppError):
    """The database stopped a statement that ran over its time limit."""

    status = 504


async def _answer(_: Request, error: AppError) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, error.status, dict(error.headers))


async def _answer_invalid(_: Request, error: RequestValidationError) -> JSONResponse:
    # Without the input: it can be large, secret, or no valid Unicode.
    detail: list[dict[str, Any]] = [{"type": e["type"], "loc": e["loc"], "msg": e["msg"]} for e in error.errors()]
    return JSONResponse({"detail": detail}, 422)


async def _answer_http(request: Request, error: HTTPException) -> Response:
    if error.status_code == 400:  # FastAPI's for a body that is no JSON at all, where it has 422 for the rest
        error = HTTPException(422, error.detail)
    return await http_exception_handler(request, error)


def add_error_handlers(app: FastAPI) -> None:
    """Make the app answer with the statuses above."""
    app.exception_handler(AppError)(_answer)
    app.exception_handler(HTTPException)(_answer_http)
    app.exception_handler(RequestValidationError)(_answer_invalid)
