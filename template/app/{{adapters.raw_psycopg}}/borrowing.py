"""What is borrowed from the pool: a repository for a request, a connection for a look at the schema's version."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg.errors import UndefinedTable

from app.db.migrate import READ_VERSION
from app.db.pool import ConnectionPool
from app.db.repository import PsycopgRepository


@asynccontextmanager
async def lend_repository(pool: ConnectionPool) -> AsyncIterator[PsycopgRepository]:
    """Lend a repository on one connection."""
    async with pool.connection() as connection:
        yield PsycopgRepository(connection)


async def stored_version(pool: ConnectionPool) -> int | None:
    """Return the version of the schema, None without any; UnavailableError."""
    async with pool.connection() as connection:
        try:
            rows = await (await connection.execute(READ_VERSION)).fetchall()
        except UndefinedTable:
            rows = [{"max": None}]
    found: int | None = rows[0]["max"]
    return found
