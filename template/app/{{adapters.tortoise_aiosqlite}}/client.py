"""Tortoise's client on aiosqlite."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from tortoise.backends.sqlite.client import SqliteTransactionWrapper

from app.db.connection import Connection, connect, translated_errors
from app.db.lent import LentConnection
from app.settings import Settings


class Client(LentConnection, SqliteTransactionWrapper):
    """Runs queries on a connection of aiosqlite's."""

    __module__ = f"{__name__}.sqlite"  # Tortoise 1.1.9 finds what writes its migrations' SQL by this word
    _connection: Connection

    def __init__(self, connection: Connection | None = None, connection_name: str = "default") -> None:
        super().__init__(connection, connection_name)
        if connection is not None:
            connection.row_factory = sqlite3.Row

    def open_transaction(self) -> AbstractAsyncContextManager[None]:
        return self._connection.transaction()

    async def execute_script(self, query: str) -> None:
        """Run statements one by one: sqlite3's own way to run a script commits the open transaction."""
        for statement in query.split(";"):
            if statement.strip():
                await self.execute_query(statement)


client_class = Client  # the name that Tortoise looks for


@asynccontextmanager
async def open_client(settings: Settings) -> AsyncIterator[Client]:
    """Open a connection outside the pool and without time limits, for migrations; UnavailableError."""
    with translated_errors():
        connection = await connect(settings, time_limits=False)
        try:
            yield Client(connection)
        finally:
            await connection.close()
