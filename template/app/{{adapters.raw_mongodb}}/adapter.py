"""What a request borrows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.db.client import PooledClient
from app.db.repository import MongoRepository


class Adapter(PooledClient):
    """The client of one process; make it inside the event loop that uses it."""

    @asynccontextmanager
    async def repository(self) -> AsyncIterator[MongoRepository]:
        """Lend a repository; each of its operations takes a connection of the pool and gives it back."""
        async with self._connected():
            yield MongoRepository(self._client, self._leftovers, self._database, self._time_limit_seconds)
