"""The rendered project's app; a request with a header `cancel-after` is cancelled after so many seconds.

As by a time limit around the app, or by a server that ends. `uvicorn cancelling:app`, in the project's environment.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]

CANCELLED = 499
gc.disable()  # what only the garbage collector would close, an idle service keeps open at the server
inner = import_module("app.main").app


async def app(scope: Message, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
    seconds = dict(scope.get("headers", [])).get(b"cancel-after")
    if seconds is None:
        await inner(scope, receive, send)
        return
    sent: list[Message] = []

    async def keep(message: Message) -> None:
        sent.append(message)

    request = asyncio.ensure_future(inner(scope, receive, keep))
    await asyncio.wait([request], timeout=float(seconds))
    request.cancel()
    await asyncio.wait([request])
    if request.cancelled():
        sent = [{"type": "http.response.start", "status": CANCELLED}, {"type": "http.response.body"}]
    else:
        request.result()
    for message in sent:
        await send(message)
