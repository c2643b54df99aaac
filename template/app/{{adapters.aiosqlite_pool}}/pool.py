"""The pool: open connections that nobody uses. The gate in front of it (app/pool.py) bounds how many are lent.

The driver has none (aiosqlite 0.22), and a connection for each request costs a thread and seven times the time.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import Any

from app.db.connection import Connection, connect, translated_errors
from app.settings import Settings


class ConnectionPool:
    """The pool of one process; lends the connection that was used last, so that the rest stay idle."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool_size = settings.pool_size
        self._recycle_seconds = settings.pool_recycle_seconds  # of idleness
        self._idle: list[tuple[float, Connection]] = []  # each with the time when it came back
        self._unfinished: set[asyncio.Future[Any]] = set()  # what threads do for connections that were given up
        self._open_connections = 0
        self._closed = False

    async def open(self) -> None:
        """Open the connections that stay open; UnavailableError."""
        async with AsyncExitStack() as stack:
            for _ in range(self._pool_size):
                await stack.enter_async_context(self.connection())

    async def close(self) -> None:
        """Close the pool; connections in use are closed as they come back."""
        self._closed = True
        while self._idle:
            self._drop(self._idle.pop()[1])
        while self._unfinished:
            await asyncio.wait(self._unfinished)

    def open_connections(self) -> int:
        """How many connections are open or being opened."""
        return self._open_connections

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection, and take it back whatever happens; sqlite3's errors become the app's."""
        with translated_errors():
            connection = self._reuse() or await self._open()
            try:
                yield connection
            finally:
                if self._closed or connection.stopped is not None or connection.in_transaction:
                    self._drop(connection)
                else:
                    self._idle.append((monotonic(), connection))

    def _drop(self, connection: Connection) -> None:
        self._open_connections -= 1
        self._stop(connection)

    def _stop(self, connection: Connection) -> None:
        stopped = connection.stop()
        self._unfinished.add(stopped)
        stopped.add_done_callback(self._unfinished.discard)

    async def _open(self) -> Connection:
        self._open_connections += 1
        opening = asyncio.ensure_future(connect(self._settings, time_limits=True))
        try:
            return await asyncio.shield(opening)
        except BaseException:
            # Cancelled: the thread opens the file all the same.
            self._open_connections -= 1
            self._unfinished.add(opening)
            opening.add_done_callback(self._stop_opened)
            raise

    def _stop_opened(self, opening: "asyncio.Future[Connection]") -> None:
        self._unfinished.discard(opening)
        if not opening.cancelled() and opening.exception() is None:
            self._stop(opening.result())

    def _reuse(self) -> Connection | None:
        while self._idle:
            idle_since, connection = self._idle.pop()
            if monotonic() - idle_since <= self._recycle_seconds:
                return connection
            self._drop(connection)
        return None
