"""Connections of the databases library, each on a driver's connection that our pool lends."""

import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, cast

from databases.core import Connection
from databases.interfaces import TransactionBackend
from sqlalchemy.sql import ClauseElement

from app.db import dialect
from app.db.pool import ConnectionPool
from app.db.prepared import PreparedText


@asynccontextmanager
async def lend_connection(pool: ConnectionPool) -> AsyncIterator[Connection]:
    """Lend a connection with the library's interface for as long as the body runs."""
    async with pool.connection() as driver_connection:
        connection = _LentConnection(driver_connection)
        try:
            yield connection
        finally:
            connection.forget()


class _LentConnection(Connection):
    """Neither takes nor gives back a connection.

    Otherwise the library takes one from a pool of its own for each query and transaction, and loses it when it is
    cancelled while the transaction begins or ends (databases 0.9.0, a pool of 4 after 600 cancels: 0 or 1 is left).
    Here the lender takes it back, always.
    """

    def __init__(self, driver_connection: Any) -> None:
        # Without a database, which it would only tell that it is given back; and the backend is never connected: it
        # prepares statements and reads rows.
        super().__init__(cast(Any, None), dialect.BACKEND)
        self._lent = cast(Any, self._connection)  # the library's class for this driver
        self._lent._connection = driver_connection
        self._lent.transaction = lambda: _LentTransaction(self._lent)

    @staticmethod
    def _build_query(query: ClauseElement | str, values: dict[str, Any] | None = None) -> Any:
        if isinstance(query, str):
            return PreparedText(query, values or {})
        return Connection._build_query(query, values)

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def forget(self) -> None:
        """Let who kept this connection get an error, not somebody else's."""
        self._lent._connection = None


class _LentTransaction(TransactionBackend):
    """A transaction of the driver's; inside another one, a savepoint."""

    def __init__(self, lent: Any) -> None:
        self._lent = lent

    async def start(self, is_root: bool, extra_options: dict[Any, Any]) -> None:
        self._entered: AbstractAsyncContextManager[Any] = self._lent.raw_connection.transaction(**extra_options)
        await self._entered.__aenter__()

    async def commit(self) -> None:
        await self._entered.__aexit__(None, None, None)

    async def rollback(self) -> None:
        error = sys.exception() or Exception("rolled back")
        await self._entered.__aexit__(type(error), error, error.__traceback__)
