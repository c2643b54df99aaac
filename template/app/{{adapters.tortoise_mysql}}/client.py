"""Tortoise's client on MySQL's drivers."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from tortoise.backends.mysql.client import TransactionWrapper
from tortoise.exceptions import IntegrityError, OperationalError

from app.db import connecting
from app.db.connecting import Connection, connect
from app.db.connection import translated_errors
from app.db.error_numbers import DEADLOCK, number
from app.db.lent import LentConnection
from app.db.options import connection_options
from app.settings import Settings


class Client(LentConnection, TransactionWrapper):
    """Runs queries on a connection of the driver's that the project has.

    Tortoise 1.1.9 knows only asyncmy's errors wherever that is installed, so this translates them.
    """

    __module__ = f"{__name__}.mysql"  # Tortoise 1.1.9 finds what writes its migrations' SQL by this word
    charset = "utf8mb4"  # of new tables
    _connection: Connection

    def open_transaction(self) -> AbstractAsyncContextManager[None]:
        return self._connection.transaction()

    async def execute_insert(self, query: str, values: list[Any]) -> int:
        async with self._cursor() as cursor:
            await cursor.execute(query, values)
            inserted: int = cursor.lastrowid
        return inserted

    async def execute_many(self, query: str, values: list[list[Any]]) -> None:
        async with self.open_transaction(), self._cursor() as cursor:
            await cursor.executemany(query, values)

    async def execute_query(self, query: str, values: list[Any] | None = None) -> tuple[int, list[dict[str, Any]]]:
        async with self._cursor() as cursor:
            await cursor.execute(query, values)
            names = [column[0] for column in cursor.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]
        return cursor.rowcount, rows

    async def execute_script(self, query: str) -> None:
        async with self._cursor() as cursor:
            await cursor.execute(query)
            while await cursor.nextset():
                pass

    @asynccontextmanager
    async def _cursor(self) -> AsyncIterator[Any]:
        async with self.acquire_connection() as connection, connection.cursor() as cursor:
            try:
                yield cursor
            except connecting.IntegrityError as error:
                raise IntegrityError(error) from error
            except connecting.Error as error:
                # Of a deadlock the whole transaction is undone: nothing may run outside of one now. What the driver
                # raises by itself has no number: it may be out of step with the server.
                if not isinstance(number(error), int) or (number(error) == DEADLOCK and self._connection.depth):
                    self._connection.close()
                raise OperationalError(error) from error


client_class = Client  # the name that Tortoise looks for


@asynccontextmanager
async def open_client(settings: Settings) -> AsyncIterator[Client]:
    """Open a connection outside the pool and without time limits, for migrations; UnavailableError."""
    with translated_errors():
        connection = await connect(connection_options(settings, time_limits=False))
        try:
            yield Client(connection)
        finally:
            await connection.ensure_closed()
