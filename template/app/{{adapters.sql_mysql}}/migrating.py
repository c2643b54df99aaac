"""The connection that migrations run on."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from app.db.connecting import connect
from app.db.connection import translated_errors
from app.db.migration_lock import LOCK, require_lock
from app.db.options import connection_options
from app.settings import Settings


@asynccontextmanager
async def exclusive_connection(
    settings: Settings,
) -> AsyncIterator[Callable[[str], Awaitable[Sequence[Sequence[Any]]]]]:
    """Lend a function that runs a statement and returns its rows, while no other migration runs.

    MySQL commits each change of the schema by itself. So that a file which failed midway can run again, let its
    statements do nothing where their work is done.
    """

    async def run(statement: str) -> Sequence[Sequence[Any]]:
        async with connection.cursor() as cursor:
            await cursor.execute(statement)
            rows: Sequence[Sequence[Any]] = await cursor.fetchall()
        return rows

    with translated_errors():
        connection = await connect(connection_options(settings, time_limits=False))
        try:
            await run("SET sql_notes = 0")  # the drivers would warn of a table that exists
            require_lock(await run(LOCK))
            yield run
        finally:
            await connection.ensure_closed()
