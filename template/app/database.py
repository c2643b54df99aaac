"""The app's database: the adapter of `app/db/` behind the gate and one deadline."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self
from uuid import UUID

from app import plan
from app.db import Adapter
from app.errors import StatementTimeoutError, UnavailableError
from app.metrics import PoolMetrics
from app.pool import PoolGate
from app.readiness import Readiness
from app.repository import Repository
from app.schemas import Item
from app.settings import Settings

logger = logging.getLogger(__name__)

_COUNT_SECONDS = 0.5  # how late the metric of open connections may be: counting takes 5 us or more


class Database:
    """Lends repositories to requests; make one in each process and for each server, inside its event loop.

    server: "primary" or "replica", as the metrics name it.
    """

    def __init__(self, settings: Settings, server: str = "primary") -> None:
        self._settings = settings
        self._adapter = Adapter(settings)
        self._deadline_seconds = settings.command_timeout_seconds
        self._next_count: asyncio.TimerHandle | None = None
        self._metrics = PoolMetrics(server)
        self._gate = PoolGate(
            settings.pool_limit, settings.pool_timeout_seconds, settings.pool_max_waiting, self._metrics
        )
        self._readiness = Readiness(self._gate, self._adapter.check)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Open the pool and warm it; a server that is away is no reason not to start."""
        try:
            if self._settings.database.is_tls_assumed:
                logger.warning(
                    "whoever answers is taken for the database server: DATABASE_CA_FILE names the authority that signed"
                    " its certificate, DATABASE_TLS=verify takes those of the system"
                )
            async with asyncio.timeout(plan.CONNECT_TIMEOUT_SECONDS):
                await self._adapter.open()
            await self.check()
        except UnavailableError as error:
            logger.warning("the database is not ready yet: %s", self._settings.explain(error))
        except TimeoutError:
            logger.warning("the database is not ready yet: it does not answer")
        self.count_connections()

    def count_connections(self) -> None:
        """Bring the metric of open connections up to date."""
        self._metrics.open.set(self._adapter.open_connections())

    async def close(self) -> None:
        """Close the pool; connections in use are closed as they come back."""
        if self._next_count is not None:
            self._next_count.cancel()
        await self._readiness.close()
        await self._adapter.close()

    @asynccontextmanager
    async def repository(self) -> AsyncIterator[Repository]:
        """Lend a repository on one connection, within the pool timeout and until the deadline.

        Raises UnavailableError when no connection can be had, StatementTimeoutError when the body takes longer than
        the command timeout. Whatever happens, the connection goes back to the pool, whole or replaced.
        """
        async with self._gate:
            try:
                async with (
                    asyncio.timeout(self._deadline_seconds),
                    self._adapter.repository() as repository,
                ):
                    yield repository
                self._readiness.note_answer()
            except TimeoutError:
                raise StatementTimeoutError(
                    f"the database did not answer within {self._deadline_seconds:g} s"
                ) from None
            finally:
                self._count_later()

    async def get_item(self, item_id: UUID) -> Item:
        """Return an item; NotFoundError."""
        async with self.repository() as repository:
            return await repository.get_item(item_id)

    async def check(self) -> None:
        """Return when the database answers and its schema is up to date, be the pool full or not; UnavailableError."""
        await self._readiness.require()

    def _count_later(self) -> None:
        def count() -> None:
            self._next_count = None
            self.count_connections()

        if self._next_count is None:
            self._next_count = asyncio.get_running_loop().call_later(_COUNT_SECONDS, count)
