"""The errors that the app answers with; adapters translate their library's errors into these.

AppError
    NotFoundError            404
    ConflictError            409
    UnavailableError         503 with Retry-After: no connection in time, or the server is away
        RefusedError         the same: the server refuses the login or the statement, or has no such database
    StatementTimeoutError    504: a statement ran over its time limit

What went wrong inside (503, 504, 500) is told to the log only, once and with the request's id: what a driver says names
hosts, roles and databases.
"""

import logging
from collections.abc import Mapping
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Match

from app.request_context import HEADER, request_id

logger = logging.getLogger(__name__)

_UNREADABLE = "There was an error parsing the body"  # FastAPI's, with 400, where it has 422 for the rest


class AppError(Exception):
    """An error with a status; `answer` is what the client reads, and None is the error's own sentence."""

    status = 500
    answer: ClassVar[str | None] = None
    headers: ClassVar[Mapping[str, str]] = {}


class NotFoundError(AppError):
    """What the request names does not exist."""

    status = 404


class ConflictError(AppError):
    """What the request asks contradicts what is stored."""

    status = 409


class UnavailableError(AppError):
    """No database connection can be had now; a later try may succeed. The message is for the log."""

    status = 503
    answer: ClassVar[str | None] = "The database is busy or away: try again later."
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}


class RefusedError(UnavailableError):
    """The server refuses what this URL asks for; `missing` may be why: "role", "database" or "privilege"."""

    def __init__(self, message: str, missing: str) -> None:
        super().__init__(message)
        self.missing = missing


class StatementTimeoutError(AppError):
    """The database stopped a statement that ran over its time limit. The message is for the log."""

    status = 504
    answer: ClassVar[str | None] = "The database took too long."


class Invalid(BaseModel):
    """A part of a request that is not as it has to be, and where it stands."""

    type: str
    loc: list[str | int]
    msg: str


class Problem(BaseModel):
    """The body of every error: a sentence, or with 422 what is invalid."""

    detail: str | list[Invalid]


_MEANINGS = {
    404: "It does not exist",
    409: "It contradicts what is stored",
    413: "The body is too large",
    422: "The request is invalid",
    503: "The database is busy or away",
    504: "The database took too long",
}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of these errors: the `responses` of a route."""
    return {status: {"model": Problem, "description": _MEANINGS[status]} for status in statuses}


async def _answer(request: Request, error: AppError) -> JSONResponse:
    if error.answer is not None:
        logger.warning("%s %s: %d: %s", request.method, request.url.path, error.status, with_cause(error))
    return JSONResponse({"detail": error.answer or str(error)}, error.status, dict(error.headers))


def with_cause(error: BaseException) -> str:
    """The error's message and that of the error behind it, which is the driver's, in one line."""
    parts = [str(error)]
    if error.__cause__ is not None and str(error.__cause__) not in parts[0]:
        parts.append(f"{type(error.__cause__).__name__}: {error.__cause__}")
    return " ".join(": ".join(parts).split())


async def _answer_invalid(_: Request, error: RequestValidationError) -> JSONResponse:
    # Without the input: it can be large, secret, or no valid Unicode.
    detail: list[dict[str, Any]] = [{"type": e["type"], "loc": e["loc"], "msg": e["msg"]} for e in error.errors()]
    return JSONResponse({"detail": detail}, 422)


async def _answer_http(request: Request, error: HTTPException) -> Response:
    if error.status_code == 400 and error.detail == _UNREADABLE:
        return await _answer_invalid(
            request, RequestValidationError([{"type": "json_invalid", "loc": ("body",), "msg": "JSON decode error"}])
        )
    if error.status_code == 405:  # Starlette names the methods of the first route with this path only
        routes = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
        methods = {method for route in routes for method in getattr(route, "methods", None) or ()}
        error = HTTPException(405, error.detail, {"Allow": ", ".join(sorted(methods))})
    return await http_exception_handler(request, error)


async def _answer_unexpected(_: Request, __: Exception) -> JSONResponse:
    # The server logs the traceback. This answer passes no middleware, so it gets its header here.
    return JSONResponse({"detail": "Internal error."}, 500, {HEADER: request_id.get() or ""})


def add_error_handlers(app: FastAPI) -> None:
    """Make the app answer with the statuses above."""
    app.exception_handler(AppError)(_answer)
    app.exception_handler(HTTPException)(_answer_http)
    app.exception_handler(RequestValidationError)(_answer_invalid)
    app.exception_handler(Exception)(_answer_unexpected)
