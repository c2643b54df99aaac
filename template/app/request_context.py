"""What every request has, whatever answers it: an id in its answer and in its lines of the log, and a bounded body.

Pure ASGI middleware: BaseHTTPMiddleware would cost every request a task of its own.
"""

import re
from contextvars import ContextVar
from secrets import token_hex

from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "X-Request-ID"
TOO_LARGE = "The body is too large."

# Of the request that this task works for. It is never reset: uvicorn logs the request after the middleware is left, in
# the same task, which has no other request.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

_SANE = re.compile(rb"[\w.:/+=@-]{1,128}")  # nothing that could forge a line of the log


class RequestContext:
    """Gives each request its id: the client's own X-Request-ID if it is sane, else a new one.

    max_body_bytes: a longer body is refused with 413, by its Content-Length before it is read, without one as soon as
    that much is read. (FastAPI 0.165's max_body_size answers outside of all middleware: in plain text, without the id.)
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given, length = b"", b""
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                given = value
            elif name == b"content-length":
                length = value
        identifier = given if _SANE.fullmatch(given) else token_hex(16).encode()
        request_id.set(identifier.decode())
        header = (HEADER.lower().encode(), identifier)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        if length.isdigit() and int(length) > self._max_body_bytes:
            await JSONResponse({"detail": TOO_LARGE}, 413)(scope, receive, send_with_id)
            return
        await self._app(scope, receive if length else self._bounded(receive), send_with_id)

    def _bounded(self, receive: Receive) -> Receive:
        read = 0

        async def receive_bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._max_body_bytes:
                raise HTTPException(413, TOO_LARGE)
            return message

        return receive_bounded
