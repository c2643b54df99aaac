"""The connection that migrations run on."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection

from app.db.connecting import connection_options
from app.db.connection import translated_errors
from app.db.migration_lock import LOCK, protect
from app.settings import Settings


class MigrationConnection:
    """A connection in one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def fetch(self, statement: str) -> Sequence[Sequence[Any]]:
        """Run a statement and return its rows."""
        return await (await self._connection.execute(statement)).fetchall()

    async def run(self, script: str) -> None:
        """Run any number of statements; the server takes them apart."""
        await self._connection.execute(script.encode())  # psycopg types a str as one that is written in the program


@asynccontextmanager
async def exclusive_connection(settings: Settings) -> AsyncIterator[MigrationConnection]:
    """Lend a connection in one transaction, while no other migration runs."""
    with translated_errors():
        options = connection_options(settings, time_limits=False)
        async with await AsyncConnection.connect(**options) as connection:
            for statement in LOCK:
                await connection.execute(statement)
            yield MigrationConnection(connection)
            await connection.execute(protect("schema_versions").encode())
