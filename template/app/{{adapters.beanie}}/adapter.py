"""What a request borrows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.db.client import PooledClient
from app.db.documents import Documents
from app.db.repository import BeanieRepository


class Adapter(PooledClient):
    """The client of one process; make it inside the event loop that uses it."""

    _documents: Documents | None = None

    async def open(self) -> None:
        """Open the connections that stay open and bind the documents; UnavailableError."""
        await super().open()
        async with self._connected():
            await self._bound_documents()

    @asynccontextmanager
    async def repository(self) -> AsyncIterator[BeanieRepository]:
        """Lend a repository; each of its operations takes a connection of the pool and gives it back."""
        async with self._connected():
            documents = await self._bound_documents()
            yield BeanieRepository(self._client, self._leftovers, documents, self._time_limit_seconds)

    async def _bound_documents(self) -> Documents:
        # Once in each process; by the first requests where the server was away at the start.
        if self._documents is None:
            documents = Documents()
            await documents.bind(self._database)
            self._documents = documents
        return self._documents
