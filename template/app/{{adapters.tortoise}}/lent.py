"""A Tortoise client on a connection that is lent to it."""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, Self, cast

from tortoise.backends.base.client import BaseDBAsyncClient, TransactionContext
from tortoise.connection import get_connections
from tortoise.exceptions import OperationalError


def driver_error(error: Exception) -> Exception:
    """The driver's own error where Tortoise has wrapped it, else the error."""
    wrapped = error.args[0] if isinstance(error, OperationalError) and error.args else None
    return wrapped if isinstance(wrapped, Exception) else error


class LentConnection(BaseDBAsyncClient):
    """Mixed into a client of Tortoise's for one connection: neither takes nor gives back any.

    Otherwise Tortoise takes a connection from its pool for each query and transaction, and loses it when it is
    cancelled while the transaction begins or ends (tortoise-orm 1.1.9, a pool of 4 after 600 cancels: 0 to 2 are left;
    SQLite's lock is held for ever). Here the lender takes it back, always.
    """

    def __init__(self, connection: Any = None, connection_name: str = "default") -> None:
        # Past the constructor of the driver's client, as Tortoise's own for one connection do: it prepares a pool.
        BaseDBAsyncClient.__init__(self, connection_name)
        self._connection = connection
        self._lock = asyncio.Lock()  # a connection runs one statement at a time

    @abstractmethod
    def open_transaction(self) -> AbstractAsyncContextManager[Any]:
        """One transaction of the driver's; inside another one, a savepoint."""

    @contextmanager
    def lent(self) -> Iterator[Self]:
        """Until the end, queries of this task that name no connection (`using_db`) run on this one too.

        Tortoise's OperationalError becomes the driver's own error, which its pool translates.
        """
        connections = get_connections()
        before = connections.get(self.connection_name)
        connections.set(self.connection_name, self)
        try:
            yield self
        except OperationalError as error:
            raise driver_error(error) from None
        finally:
            self._connection = None  # who kept the client gets an error, not somebody else's connection
            connections.set(self.connection_name, before)

    async def create_connection(self, with_db: bool) -> None:
        raise RuntimeError("no connection is lent to this query: pass using_db=, or run it inside Adapter.repository()")

    async def close(self) -> None:
        """Does nothing: the lender closes it."""

    async def execute_many(self, query: str, values: list[list[Any]]) -> None:
        async with self.open_transaction():
            await super().execute_many(query, values)

    def _in_transaction(self) -> TransactionContext:
        return cast(TransactionContext, self._within_transaction())

    @asynccontextmanager
    async def _within_transaction(self) -> AsyncIterator[Self]:
        if self._connection is None:
            await self.create_connection(with_db=True)
        async with self.open_transaction():
            yield self
