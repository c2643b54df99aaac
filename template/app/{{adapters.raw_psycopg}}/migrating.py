"""The connection that migrations run on."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection

from app.db.connecting import connection_options
from app.db.connection import translated_errors
from app.db.migration_lock import LOCK
from app.settings import Settings


@asynccontextmanager
async def exclusive_connection(
    settings: Settings,
) -> AsyncIterator[Callable[[str], Awaitable[Sequence[Sequence[Any]]]]]:
    """Lend a function that runs a statement and returns its rows, in one transaction, while no other migration runs."""

    async def run(statement: str) -> Sequence[Sequence[Any]]:
        cursor = await connection.execute(statement)
        return await cursor.fetchall() if cursor.description else []

    with translated_errors():
        options = connection_options(settings, time_limits=False)
        async with await AsyncConnection.connect(**options) as connection:
            for statement in LOCK:
                await connection.execute(statement)
            yield run
