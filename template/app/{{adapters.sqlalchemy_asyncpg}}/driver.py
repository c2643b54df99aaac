"""SQLAlchemy's engine on asyncpg."""

from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app import plan
from app.db import connecting
from app.db.sqlstates import error_for_state
from app.errors import UnavailableError
from app.settings import Settings

# What reaches us as the driver raises it: on a connection whose server died in the middle of an answer (asyncpg 0.32),
# and on a new one that breaks before the dialect has told it how to read JSON (SQLAlchemy 2.1.9).
BROKEN: tuple[type[Exception], ...] = (
    asyncpg.InternalClientError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
)

# The dialect prepares and keeps statements of its own beside the driver's (SQLAlchemy 2.1). An unnamed one is sent
# together with its use, so that both meet the same connection of the server's.
_UNPREPARED = {"prepared_statement_cache_size": 0, "prepared_statement_name_func": str}


def create_engine(settings: Settings, *, time_limits: bool, **pool: Any) -> AsyncEngine:
    """Make the engine; its connections raise UnavailableError when they cannot be opened.

    time_limits: see connection_options.
    """

    async def connect(**_: Any) -> Any:
        try:
            return await connecting.connect(settings, time_limits=time_limits)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            refused = error_for_state(getattr(error, "sqlstate", None))
            raise refused or UnavailableError(f"cannot connect to the database: {error}") from error

    return create_async_engine(
        "postgresql+asyncpg://",
        connect_args={"async_creator_fn": connect, **(_UNPREPARED if connecting.is_pooled(settings.database) else {})},
        **pool,
    )


def autocommit(engine: AsyncEngine) -> AsyncEngine:
    """Return the engine for single statements: the same pool, no BEGIN and COMMIT around them."""
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def answers(connection: Any) -> bool:
    """Whether the server answers on a connection; one round trip, where the dialect's own ping takes four."""
    try:
        connection.run_async(lambda driver: driver.execute("SELECT", timeout=plan.CONNECT_TIMEOUT_SECONDS))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    return True
