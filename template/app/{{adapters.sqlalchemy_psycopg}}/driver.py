"""SQLAlchemy's engine on psycopg."""

import asyncio
from typing import Any

import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.db.connecting import connection_options, refused
from app.errors import UnavailableError
from app.settings import Settings

# What the driver raises, beside its errors that SQLAlchemy knows, on a connection whose server died.
BROKEN: tuple[type[Exception], ...] = ()


class _Connection(psycopg.AsyncConnection[Any]):
    """Sets how it begins transactions without a pause: nothing is sent to the server for that.

    Psycopg 3.3 sometimes lets other tasks run there, and when the request is cancelled in that moment, SQLAlchemy 2.1.9
    loses the connection.
    """

    async def set_autocommit(self, value: bool) -> None:
        list(self._set_autocommit_gen(value))

    async def set_isolation_level(self, value: psycopg.IsolationLevel | None) -> None:
        list(self._set_isolation_level_gen(value))


def create_engine(settings: Settings, *, time_limits: bool, **pool: Any) -> AsyncEngine:
    """Make the engine; its connections raise UnavailableError when they cannot be opened.

    time_limits: see connection_options.
    """

    async def connect() -> Any:
        options = connection_options(settings, time_limits=time_limits)
        try:
            return await _Connection.connect(**options)
        except asyncio.CancelledError as error:
            # The traceback of psycopg 3.3.9 holds what it was connecting, open at the server, and SQLAlchemy holds the
            # traceback until the garbage is collected.
            raise error.with_traceback(None) from None
        except psycopg.OperationalError as error:
            raise refused(error) or UnavailableError(f"cannot connect to the database: {error}") from error

    return create_async_engine("postgresql+psycopg://", async_creator=connect, **pool)


def autocommit(engine: AsyncEngine) -> AsyncEngine:
    """Return the engine for single statements: the same pool, no BEGIN and COMMIT around them."""
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def answers(connection: Any) -> bool:
    """Whether the server answers on a connection; one round trip."""

    async def ping(driver: psycopg.AsyncConnection[Any]) -> None:
        await driver.set_autocommit(True)
        await driver.execute("SELECT")
        await driver.set_autocommit(False)

    try:
        connection.run_async(ping)
    except psycopg.Error:
        return False
    return True
