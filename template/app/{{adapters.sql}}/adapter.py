"""The pool, and what a request borrows."""

from contextlib import AbstractAsyncContextManager

from app.db.borrowing import lend_repository, stored_version
from app.db.migrate import newest_version, require_version
from app.db.pool import ConnectionPool
from app.repository import Repository
from app.settings import Settings


class Adapter:
    """The pool of one process; make it inside the event loop that uses it."""

    def __init__(self, settings: Settings) -> None:
        self._pool = ConnectionPool(settings)
        self._newest_version = newest_version()

    async def open(self) -> None:
        """Open the connections that stay open; UnavailableError."""
        await self._pool.open()

    async def close(self) -> None:
        """Close the pool."""
        await self._pool.close()

    def open_connections(self) -> int:
        """How many connections are open, as the pool counts them."""
        return self._pool.open_connections()

    def repository(self) -> AbstractAsyncContextManager[Repository]:
        """Lend a repository on one connection."""
        return lend_repository(self._pool)

    async def check(self) -> None:
        """Return when the database answers and its schema is not behind the app's; UnavailableError."""
        require_version(await stored_version(self._pool), self._newest_version)
