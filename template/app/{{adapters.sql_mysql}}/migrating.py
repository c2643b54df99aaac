"""The connection that migrations run on."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from app.db.connecting import Connection, connect
from app.db.connection import translated_errors
from app.db.migration_lock import LOCK, require_lock
from app.db.options import connection_options
from app.settings import Settings


class MigrationConnection:
    """A connection that takes scripts."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def fetch(self, statement: str) -> Sequence[Sequence[Any]]:
        """Run a statement and return its rows."""
        async with self._connection.cursor() as cursor:
            await cursor.execute(statement)
            rows: Sequence[Sequence[Any]] = await cursor.fetchall()
        return rows

    async def run(self, script: str) -> None:
        """Run any number of statements; the server takes them apart, without the word DELIMITER."""
        async with self._connection.cursor() as cursor:
            await cursor.execute(script)
            while await cursor.nextset():
                pass


@asynccontextmanager
async def exclusive_connection(settings: Settings) -> AsyncIterator[MigrationConnection]:
    """Lend a connection, while no other migration runs.

    MySQL commits each change of the schema by itself. So that a file which failed midway can run again, let its
    statements do nothing where their work is done.
    """
    with translated_errors():
        connection = await connect(connection_options(settings, time_limits=False))
        lent = MigrationConnection(connection)
        try:
            await lent.run("SET sql_notes = 0")  # the drivers would warn of a table that exists
            require_lock(await lent.fetch(LOCK))
            yield lent
        finally:
            await connection.ensure_closed()
