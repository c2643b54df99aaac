"""What is borrowed from the pool: a repository for a request, a connection for a look at the schema's version."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.db.connecting import Error
from app.db.error_numbers import NO_SUCH_TABLE, number
from app.db.migrate import READ_VERSION
from app.db.pool import ConnectionPool
from app.db.repository import MySqlRepository


@asynccontextmanager
async def lend_repository(pool: ConnectionPool) -> AsyncIterator[MySqlRepository]:
    """Lend a repository on one connection."""
    async with pool.connection() as connection:
        yield MySqlRepository(connection)


async def stored_version(pool: ConnectionPool) -> int | None:
    """Return the version of the schema, None without any; UnavailableError."""
    found: int | None
    async with pool.connection() as connection, connection.cursor() as cursor:
        try:
            await cursor.execute(READ_VERSION)
            (found,) = await cursor.fetchone()
        except Error as error:
            if number(error) != NO_SUCH_TABLE:
                raise
            found = None
    return found
