"""The pool of asyncpg's connections."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Generic, TypeVar

import asyncpg

from app.db.connection import Connection, answers, pool_options, translated_errors
from app.errors import UnavailableError
from app.settings import Settings

T = TypeVar("T")


class ConnectionPool:
    """The pool of one process; make it inside the event loop that uses it."""

    def __init__(self, settings: Settings) -> None:
        self._pool_size = settings.pool_size
        self._limit = settings.pool_limit
        self._pool: asyncpg.Pool[asyncpg.Record] = asyncpg.create_pool(**pool_options(settings))

    async def open(self) -> None:
        """Open the connections that stay open; UnavailableError."""
        with translated_errors():
            await self._pool
            async with AsyncExitStack() as stack:
                for _ in range(self._pool_size):
                    await stack.enter_async_context(self._pool.acquire())

    async def close(self) -> None:
        """Close the pool."""
        await self._pool.close()

    def open_connections(self) -> int:
        """How many connections are open."""
        return self._pool.get_size()

    def connection(self) -> "Loan[Connection]":
        """Lend a connection that answers, and take it back whatever happens; asyncpg's errors become the app's."""
        return self.lend(lambda connection: connection)

    def lend(self, make: Callable[[Connection], T]) -> "Loan[T]":
        """Lend a connection in the same way, as what `make` makes of it."""
        return Loan(self, make)

    async def acquire(self) -> Connection:
        """Take a connection that answers; UnavailableError."""
        for _ in range(self._limit):
            try:
                connection = await self._pool.acquire()
            except TimeoutError as error:
                raise UnavailableError("the database does not accept connections") from error
            if await answers(connection):
                return connection
            await self._pool.release(connection)
        raise UnavailableError("the database does not answer")

    async def release(self, connection: Connection) -> None:
        """Give a connection back."""
        await self._pool.release(connection)


class Loan(Generic[T]):
    """What `async with pool.lend(make)` enters; a class, since a generator makes a read by key 5 % slower."""

    _connection: Connection

    def __init__(self, pool: ConnectionPool, make: Callable[[Connection], T]) -> None:
        self._pool = pool
        self._make = make

    async def __aenter__(self) -> T:
        with translated_errors():
            self._connection = await self._pool.acquire()
        return self._make(self._connection)

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        with translated_errors():
            if isinstance(error, asyncpg.InternalClientError):
                # What asyncpg 0.32 raises on a connection whose server died in the middle of an answer.
                self._connection.terminate()
            await self._pool.release(self._connection)
            if error is not None:
                raise error
