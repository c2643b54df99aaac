"""The client of a process and its pool."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pymongo

from app.db import driver
from app.db.connection import app_database, client_options, translated_errors
from app.db.credentials import read_anew
from app.db.leftovers import Leftovers
from app.db.migrate import NEWEST_VERSION, stored_version
from app.errors import UnavailableError
from app.settings import Settings


class PooledClient:
    """The part of an adapter that is the same for every way to use the client."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool_size = settings.pool_size
        self._pool_timeout_seconds = settings.pool_timeout_seconds
        self._time_limit_seconds = settings.statement_timeout_seconds
        self._client = driver.make_client(
            settings.url,
            **client_options(settings, time_limits=True),
            minPoolSize=0,  # open() warms it: the driver's own task logs a traceback where the server refuses the login
            maxPoolSize=settings.pool_limit,
            waitQueueTimeoutMS=round(settings.pool_timeout_seconds * 1000),  # without one it waits for ever
            maxIdleTimeMS=round(settings.pool_recycle_seconds * 1000),
        )
        self._database = app_database(self._client)
        self._leftovers = Leftovers(self._client)

    async def open(self) -> None:
        """Open the connections that stay open; UnavailableError."""
        async with self._connected():
            await asyncio.gather(*(self._database.command("ping") for _ in range(self._pool_size)))

    async def close(self) -> None:
        """Close the client."""
        await self._leftovers.close()
        await driver.close_client(self._client)

    def open_connections(self) -> int:
        """How many connections of the pool are open; the two monitors are not among them."""
        # PyMongo shows no number, and 4.20 loses some of its events of closed connections when requests are cancelled.
        topology = driver.pymongo_client(self._client)._topology
        pools = [server.pool for server in list(topology._servers.values())] if topology else []
        return sum(pool.active_sockets + len(pool.conns) for pool in pools)

    async def check(self) -> None:
        """Return when the database answers and its schema is not behind the app's; UnavailableError."""
        async with self._connected():
            found = await stored_version(self._database)
        # More is a newer release's: in a rollout the migration runs while the old release still serves.
        if found < NEWEST_VERSION:
            raise UnavailableError("the schema is not up to date: run python -m app.migrate")

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[None]:
        """Run the body while a server is known, with its errors translated."""
        with translated_errors():
            read_anew(driver.pymongo_client(self._client), self._settings)
            # Finding a server counts against the time limit of an operation, which is too long to wait while none is
            # known.
            if not driver.pymongo_client(self._client).topology_description.has_writable_server():
                with pymongo.timeout(self._pool_timeout_seconds):
                    await self._database.command("ping")
            yield
