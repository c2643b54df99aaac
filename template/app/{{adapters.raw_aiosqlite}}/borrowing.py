"""What is borrowed from the pool: a repository for a request, a connection for a look at the schema's version."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.db.error_names import error_for
from app.db.migrate import READ_VERSION
from app.db.pool import ConnectionPool
from app.db.repository import AiosqliteRepository


@asynccontextmanager
async def lend_repository(pool: ConnectionPool) -> AsyncIterator[AiosqliteRepository]:
    """Lend a repository on one connection."""
    async with pool.connection() as connection:
        yield AiosqliteRepository(connection)


async def stored_version(pool: ConnectionPool) -> int | None:
    """Return the version of the schema, None without any; UnavailableError."""
    found: int | None
    async with pool.connection() as connection:
        try:
            [[found]] = await connection.fetch(READ_VERSION)
        except sqlite3.OperationalError as error:
            if error_for(error) is not None:
                raise
            found = None  # no such table
    return found
