"""SQLAlchemy's engine on MySQL's drivers."""

import asyncio
from typing import Any

from sqlalchemy import Connection, ExceptionContext, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app import plan
from app.db import connecting
from app.db.error_numbers import DEADLOCK, number
from app.db.options import connection_options
from app.db.time_limit import TimeLimit
from app.settings import Settings

_SINGLE_STATEMENTS = "single_statements"

# What the driver raises, beside its errors that SQLAlchemy knows, on a connection whose server died.
BROKEN: tuple[type[Exception], ...] = ()


def create_engine(settings: Settings, *, time_limits: bool, **pool: Any) -> AsyncEngine:
    """Make the engine; its connections raise UnavailableError when they cannot be opened.

    time_limits: see connection_options.
    """

    async def connect() -> connecting.Connection:
        return await connecting.connect(connection_options(settings, time_limits=time_limits))

    creator = TimeLimit(settings.statement_timeout_seconds, connect).connect if time_limits else connect
    engine = create_async_engine(f"mysql+{connecting.NAME}://", async_creator=creator, **pool)
    event.listen(engine.sync_engine, "begin", _begin)
    event.listen(engine.sync_engine, "handle_error", _invalidate)
    return engine


def autocommit(engine: AsyncEngine) -> AsyncEngine:
    """Return the engine for single statements: the same pool, no BEGIN and COMMIT around them.

    Not SQLAlchemy's AUTOCOMMIT, which sets the session's mode and sets it back: a round trip or two for each request.
    """
    return engine.execution_options(**{_SINGLE_STATEMENTS: True})


def answers(connection: Any) -> bool:
    """Whether the server answers on a connection; one round trip."""

    async def ping(driver: connecting.Connection) -> None:
        async with asyncio.timeout(plan.CONNECT_TIMEOUT_SECONDS):
            await driver.ping(reconnect=False)

    try:
        connection.run_async(ping)
    except (OSError, connecting.Error):
        return False
    return True


def _begin(connection: Connection) -> None:
    # The connections commit each statement by themselves until they are told otherwise.
    if not connection.get_execution_options().get(_SINGLE_STATEMENTS):
        connection.exec_driver_sql("BEGIN")


def _invalidate(context: ExceptionContext) -> None:
    """Give up a connection that may be out of step with the server, or whose transaction the server has undone.

    After a deadlock what follows would run outside of a transaction.
    """
    if context.connection is None or not isinstance(context.original_exception, connecting.Error):
        return
    found = number(context.original_exception)
    single = context.connection.get_execution_options().get(_SINGLE_STATEMENTS)
    if not isinstance(found, int) or (found == DEADLOCK and not single):
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = False
