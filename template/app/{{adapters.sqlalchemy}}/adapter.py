"""The engine, its pool, and what a request borrows."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import Any, cast

from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker
from sqlalchemy.pool import QueuePool

from app import plan
from app.db import dialect, driver
from app.db.errors import translated_errors
from app.db.migrate import outdated_revisions
from app.db.repository import SqlAlchemyRepository
from app.errors import UnavailableError
from app.settings import Settings


class Adapter:
    """The pool of one process; make it inside the event loop that uses it."""

    def __init__(self, settings: Settings) -> None:
        self._engine = driver.create_engine(
            settings,
            time_limits=True,
            # SQLAlchemy closes what overflows as soon as it comes back, and opens it again for the next request: more
            # than planned, beside what the server has not closed yet. Here it stays, once it was needed.
            pool_size=settings.pool_limit,
            max_overflow=0,
            pool_timeout=settings.pool_timeout_seconds,
            pool_recycle=settings.pool_recycle_seconds,
            pool_use_lifo=True,  # the rest stay idle, and are recycled, instead of all being half used
        )
        _ping_after_idleness(self._engine)
        # Single statements without BEGIN and COMMIT: one round trip instead of three.
        self._autocommit_sessions = async_sessionmaker(driver.autocommit(self._engine))
        self._transaction_sessions = async_sessionmaker(self._engine)
        self._pool_size = settings.pool_size
        self._outdated = outdated_revisions()

    async def open(self) -> None:
        """Open the connections that stay open; UnavailableError."""
        with translated_errors():
            async with AsyncExitStack() as stack:
                for _ in range(self._pool_size):
                    await stack.enter_async_context(self._engine.connect())

    async def close(self) -> None:
        """Close the pool."""
        await self._engine.dispose()

    def open_connections(self) -> int:
        """How many connections are open."""
        pool = cast(QueuePool, self._engine.pool)
        return pool.size() + pool.overflow()

    @asynccontextmanager
    async def repository(self) -> AsyncIterator[SqlAlchemyRepository]:
        """Lend a repository; its connection is taken at the first statement and goes back at the end."""
        with translated_errors():
            async with SqlAlchemyRepository(self._autocommit_sessions, self._transaction_sessions) as repository:
                yield repository

    async def check(self) -> None:
        """Return when the database answers and its schema is not behind the app's; UnavailableError."""
        with translated_errors():
            async with self._autocommit_sessions() as session:
                try:
                    found = await session.scalar(text("SELECT version_num FROM alembic_version"))
                except DBAPIError as error:
                    if dialect.error_for(error) is not None:
                        raise
                    found = None  # no such table
        if found in self._outdated:
            raise UnavailableError("the schema is not up to date: run python -m app.migrate")


def _ping_after_idleness(engine: AsyncEngine) -> None:
    """Ping a connection that was idle, not every connection at every checkout as pool_pre_ping does.

    A dead one invalidates all of its age: the server has restarted.
    """

    @event.listens_for(engine.sync_engine, "checkin")
    def note_time(connection: Any, record: Any) -> None:
        record.info["idle_since"] = monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def ping(connection: Any, record: Any, proxy: Any) -> None:
        idle_since = record.info.get("idle_since", monotonic())
        if monotonic() - idle_since < plan.PRE_PING_IDLE_SECONDS:
            return
        if not driver.answers(connection):
            raise InvalidatePoolError()
