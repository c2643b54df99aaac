"""The connection that migrations run on."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from app.db.connecting import connect
from app.db.connection import translated_errors
from app.db.migration_lock import LOCK
from app.settings import Settings


@asynccontextmanager
async def exclusive_connection(
    settings: Settings,
) -> AsyncIterator[Callable[[str], Awaitable[Sequence[Sequence[Any]]]]]:
    """Lend a function that runs a statement and returns its rows, in one transaction, while no other migration runs."""
    with translated_errors():
        connection = await connect(settings, time_limits=False)
        try:
            async with connection.transaction():
                for statement in LOCK:
                    await connection.execute(statement)
                yield connection.fetch
        finally:
            await connection.close()
