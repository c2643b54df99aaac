"""What is borrowed from the pool: a repository for a request, a connection for a look at the schema's version."""

from contextlib import AbstractAsyncContextManager

import asyncpg

from app.db.migrate import READ_VERSION
from app.db.pool import ConnectionPool
from app.db.repository import AsyncpgRepository


def lend_repository(pool: ConnectionPool) -> AbstractAsyncContextManager[AsyncpgRepository]:
    """Lend a repository on one connection."""
    return pool.lend(AsyncpgRepository)


async def stored_version(pool: ConnectionPool) -> int | None:
    """Return the version of the schema, None without any; UnavailableError."""
    async with pool.connection() as connection:
        try:
            found: int | None = await connection.fetchval(READ_VERSION)
        except asyncpg.UndefinedTableError:
            found = None
    return found
