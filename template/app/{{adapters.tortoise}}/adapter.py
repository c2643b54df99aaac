"""The pool, and what a request borrows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.db.client import Client
from app.db.migrate import is_up_to_date
from app.db.pool import ConnectionPool
from app.db.registry import register_models
from app.db.repository import TortoiseRepository
from app.errors import UnavailableError
from app.settings import Settings


class Adapter:
    """The driver's pool, of one process; make it inside the event loop that uses it."""

    def __init__(self, settings: Settings) -> None:
        self._pool = ConnectionPool(settings)

    async def open(self) -> None:
        """Open the connections that stay open; UnavailableError."""
        await register_models()
        await self._pool.open()

    async def close(self) -> None:
        """Close the pool."""
        await self._pool.close()

    def open_connections(self) -> int:
        """How many connections are open."""
        return self._pool.open_connections()

    @asynccontextmanager
    async def repository(self) -> AsyncIterator[TortoiseRepository]:
        """Lend a repository on one connection."""
        async with self._pool.connection() as connection:
            with Client(connection).lent() as client:
                yield TortoiseRepository(client)

    async def check(self) -> None:
        """Return when the database answers and its schema is not behind the app's; UnavailableError."""
        async with self._pool.connection() as connection:
            if not await is_up_to_date(Client(connection)):
                raise UnavailableError("the schema is not up to date: run python -m app.migrate")
