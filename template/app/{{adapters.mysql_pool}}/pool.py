"""The pool: open connections that nobody uses. The gate in front of it (app/pool.py) bounds how many are lent.

The drivers have pools (aiomysql 0.3.2, asyncmy 0.2.18), but there everybody waits while one connects, for as long as
that takes, and a connection that was cut silently is lent as if it were whole.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from time import monotonic

from app import plan
from app.db.connecting import Connection, Error, connect
from app.db.connection import translated_errors
from app.db.error_numbers import number
from app.db.options import connection_options
from app.db.time_limit import TimeLimit
from app.settings import Settings


class ConnectionPool:
    """The pool of one process; lends the connection that was used last, so that the rest stay idle."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._time_limit = TimeLimit(settings.statement_timeout_seconds, self._connect)
        self._pool_size = settings.pool_size
        self._recycle_seconds = settings.pool_recycle_seconds  # of idleness
        self._idle: list[tuple[float, Connection]] = []  # each with the time when it came back
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
            _, connection = self._idle.pop()
            try:
                with suppress(Error, OSError):  # it ends without a goodbye then
                    await connection.ensure_closed()
            finally:
                self._drop(connection)

    def open_connections(self) -> int:
        """How many connections are open or being opened."""
        return self._open_connections

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection that answers, and take it back whatever happens; the driver's errors become the app's."""
        with translated_errors():
            connection = await self._reuse() or await self._open()
            try:
                yield connection
            except Error as error:
                if not isinstance(number(error), int):
                    connection.close()  # the driver's own error: it may be out of step with the server
                raise
            finally:
                if self._closed or connection.is_broken() or connection.get_transaction_status():
                    self._drop(connection)
                else:
                    self._idle.append((monotonic(), connection))

    def _drop(self, connection: Connection) -> None:
        connection.close()
        self._open_connections -= 1

    async def _connect(self) -> Connection:
        return await connect(connection_options(self._settings, time_limits=True))

    async def _open(self) -> Connection:
        self._open_connections += 1
        try:
            return await self._time_limit.connect()
        except BaseException:
            self._open_connections -= 1
            raise

    async def _reuse(self) -> Connection | None:
        while self._idle:
            idle_since, connection = self._idle.pop()
            idle_seconds = monotonic() - idle_since
            if connection.is_broken() or idle_seconds > self._recycle_seconds:
                self._drop(connection)
            elif idle_seconds < plan.PRE_PING_IDLE_SECONDS or await self._answers(connection):
                return connection
        return None

    async def _answers(self, connection: Connection) -> bool:
        try:
            async with asyncio.timeout(plan.CONNECT_TIMEOUT_SECONDS):
                await connection.ping(reconnect=False)
        except (Error, OSError):
            # The rest were idle for longer, and were cut off with it.
            while self._idle:
                self._drop(self._idle.pop()[1])
            self._drop(connection)
            return False
        except BaseException:
            self._drop(connection)
            raise
        return True
