"""The pool of psycopg's connections."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from time import monotonic
from typing import Any, Self

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from app import plan
from app.db.cancellation import finish
from app.db.connecting import connection_options, refused
from app.db.connection import PooledConnection, translated_errors
from app.errors import UnavailableError
from app.settings import Settings


class ConnectionPool:
    """The pool of one process; make it inside the event loop that uses it."""

    def __init__(self, settings: Settings) -> None:
        self._pool_size = settings.pool_size
        self._limit = settings.pool_limit
        self._failure: psycopg.Error | None = None  # of the last connection that was opened
        self._failed_attempt_began = 0.0
        self._pool = AsyncConnectionPool(
            connection_class=self._noting_failures(),
            kwargs=partial(_connection_options, settings),  # asked for each new connection
            open=False,
            min_size=0,  # open() warms it: the pool would fill a minimum in the background, and with overflow too
            max_size=settings.pool_limit,
            timeout=plan.CONNECT_TIMEOUT_SECONDS,  # the gate lets nobody in who would wait for another's connection
            max_lifetime=settings.pool_recycle_seconds,
            max_idle=settings.pool_recycle_seconds,
            # The next request tries again at once. The pool's own tries come after 1, 2, 4, ... seconds, and until then
            # it lets requests wait though the server may be back (psycopg_pool 3.3).
            reconnect_timeout=0,
            reconnect_failed=self._refuse_waiting,
        )

    async def open(self) -> None:
        """Open the connections that stay open; UnavailableError."""
        await self._pool.open()
        async with AsyncExitStack() as stack:
            for _ in range(self._pool_size):
                await stack.enter_async_context(self.connection())

    async def close(self) -> None:
        """Close the pool."""
        await self._pool.close()

    def open_connections(self) -> int:
        """How many connections are open or being opened."""
        return self._pool.get_stats()["pool_size"]

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[PooledConnection]:
        """Lend a connection that answers, and take it back whatever happens; psycopg's errors become the app's."""
        with translated_errors():
            connection = await self._acquire()
            try:
                yield connection
            finally:
                connection.note_use()
                # Cancelled in here, the pool would lose the connection (psycopg_pool 3.3).
                await finish(self._pool.putconn(connection))

    async def _acquire(self) -> PooledConnection:
        for _ in range(self._limit):
            connection = await self._get()
            try:
                usable = await connection.answers()
            except BaseException:
                await finish(self._pool.putconn(connection))
                raise
            if usable:
                return connection
            await finish(self._replace_all(connection))
        raise UnavailableError("the database does not answer")

    async def _get(self) -> PooledConnection:
        asked = monotonic()
        try:
            return await self._pool.getconn()
        except UnavailableError:
            if self._failed_attempt_began >= asked:
                raise
            # It had begun for another request: meanwhile the server can be back, or the password be a new one.
            return await self._pool.getconn()

    async def _replace_all(self, dead: PooledConnection) -> None:
        await self._pool.putconn(dead)
        await self._pool.drain()  # what cut one connection has cut the others of its age

    def _noting_failures(self) -> type[PooledConnection]:
        pool = self  # psycopg_pool tells its log why a connection could not be opened, and nobody else

        class Connection(PooledConnection):
            @classmethod
            async def connect(cls, conninfo: str = "", **options: Any) -> Self:
                began = monotonic()
                try:
                    opened = await super().connect(conninfo, **options)
                except psycopg.Error as error:
                    pool._failure, pool._failed_attempt_began = error, began
                    raise
                pool._failure = None
                return opened

        return Connection

    async def _refuse_waiting(self, pool: AsyncConnectionPool[Any]) -> None:
        """Runs when a connection could not be opened; the pool would let those who wait for it wait on."""
        failure = self._failure
        while pool._waiting:
            why = refused(failure) if failure else None
            error = why or UnavailableError("the database does not accept connections")
            error.__cause__ = failure
            await pool._waiting.popleft().fail(error)


def _connection_options(settings: Settings) -> dict[str, Any]:
    # autocommit: a single statement is one round trip, without BEGIN and COMMIT around it.
    return {**connection_options(settings, time_limits=True), "autocommit": True, "row_factory": dict_row}
