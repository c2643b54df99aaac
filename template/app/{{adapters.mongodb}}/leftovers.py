"""What transactions leave in the server when the way there breaks: it is ended as soon as the server can be reached."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from pymongo.errors import ConnectionFailure, PyMongoError, ServerSelectionTimeoutError

from app.db import driver

_PAUSE_SECONDS = 0.5


class Unfinished:
    """A transaction, over all its tries."""

    session_id: Mapping[str, Any] | None = None
    is_broken = False  # whether an operation was sent whose answer was lost

    @contextmanager
    def noting_breaks(self) -> Iterator[None]:
        """Run a part of it."""
        try:
            yield
        except ServerSelectionTimeoutError:  # nothing was sent, and the driver may use the session again
            raise
        except ConnectionFailure:
            self.is_broken = True
            raise


class Leftovers:
    """Sessions whose transaction nobody will commit or abort: make one for each client.

    The driver's own abort is lost where the way breaks, and no connection that is closed tells the server. It would go
    on with the transaction, and with what it locks, until transactionLifetimeLimitSeconds.
    """

    def __init__(self, client: driver.Client) -> None:
        self._client = client
        self._sessions: list[Mapping[str, Any]] = []
        self._ending: asyncio.Task[None] | None = None

    @contextmanager
    def of_a_failure(self) -> Iterator[Unfinished]:
        """Run a transaction; if it fails after a break, have the server end it, later and beside the caller."""
        unfinished = Unfinished()
        try:
            with unfinished.noting_breaks():
                yield unfinished
        except BaseException:
            if unfinished.is_broken and unfinished.session_id is not None:
                self._sessions.append(unfinished.session_id)
                if self._ending is None or self._ending.done():
                    self._ending = asyncio.create_task(self._end())
            raise

    async def close(self) -> None:
        """Leave to the server what it could not be told yet."""
        if self._ending is not None:
            self._ending.cancel()
            with suppress(asyncio.CancelledError):
                await self._ending

    async def _end(self) -> None:
        while self._sessions:
            told = self._sessions[:]
            try:
                await self._client.admin.command("killSessions", told)
            except ConnectionFailure:
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            except PyMongoError:
                pass  # a server that does not let its users do this ends them by itself
            del self._sessions[: len(told)]
