"""What is borrowed from the pool: a repository for a request, a connection for a look at the schema's version."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.db import dialect
from app.db.lent import lend_connection
from app.db.migrate import READ_VERSION
from app.db.pool import ConnectionPool
from app.db.repository import DatabasesRepository


@asynccontextmanager
async def lend_repository(pool: ConnectionPool) -> AsyncIterator[DatabasesRepository]:
    """Lend a repository on one connection."""
    async with lend_connection(pool) as connection:
        yield DatabasesRepository(connection)


async def stored_version(pool: ConnectionPool) -> int | None:
    """Return the version of the schema, None without any; UnavailableError."""
    found: int | None
    async with lend_connection(pool) as connection:
        try:
            found = await connection.fetch_val(READ_VERSION)
        except Exception as error:
            if not dialect.is_missing_table(error):
                raise
            found = None
    return found
