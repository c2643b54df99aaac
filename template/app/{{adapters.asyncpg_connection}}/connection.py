"""A connection of the pool, its ping, and the translation of asyncpg's errors into the app's."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from time import monotonic
from typing import Any, cast

import asyncpg

from app import plan
from app.db.connecting import connect
from app.db.sqlstates import error_for_state
from app.errors import UnavailableError
from app.settings import Settings

Connection = asyncpg.pool.PoolConnectionProxy  # what the pool lends


class PooledConnection(asyncpg.Connection):
    """A connection that knows how long it has been idle."""

    _used_at = math.inf  # a new connection needs no ping

    def note_use(self) -> None:
        """Say that the connection was used now."""
        self._used_at = monotonic()

    def idle_seconds(self) -> float:
        """How long ago that was."""
        return monotonic() - self._used_at


def pool_options(settings: Settings) -> dict[str, Any]:
    """What asyncpg.create_pool is called with."""
    return {
        "connect": partial(_connect, settings),
        "min_size": 0,  # open() warms it: with a minimum, a server that is away would keep the app from starting
        "max_size": settings.pool_limit,
        "max_inactive_connection_lifetime": settings.pool_recycle_seconds,
        "connection_class": PooledConnection,
        "reset": _note_use,
    }


async def _connect(settings: Settings, url: None, *, loop: object, **classes: Any) -> Any:
    """How the pool opens a connection; it was made without a URL."""
    return await connect(settings, time_limits=True, **classes)


async def answers(connection: Connection) -> bool:
    """Whether a connection from the pool can be used; one that cannot is closed.

    asyncpg drops connections that the server closed. One that was cut silently (a firewall, a failed-over host) shows
    only when used: so what was idle is pinged.
    """
    idle_seconds = cast(PooledConnection, connection).idle_seconds()  # the pool's proxy hands it on
    if idle_seconds < plan.PRE_PING_IDLE_SECONDS:
        return True
    try:
        await connection.execute("SELECT", timeout=plan.CONNECT_TIMEOUT_SECONDS)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()
        return False
    except BaseException:
        connection.terminate()  # cancelled: nobody else would give it back
        raise
    return True


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn what asyncpg and the network raise into the app's errors."""
    try:
        yield
    except asyncpg.PostgresError as error:
        translated = error_for_state(error.sqlstate)
        if translated is None:
            raise
        raise translated from error
    except asyncpg.InternalClientError as error:  # see Loan.__aexit__
        raise UnavailableError("the connection broke") from error
    except TimeoutError:
        raise  # the deadline of the request, which is an OSError too
    except (OSError, asyncpg.InterfaceError) as error:
        raise UnavailableError(f"no connection to the database: {error}") from error


async def _note_use(connection: Any) -> None:
    """Runs when a connection comes back, in place of asyncpg's reset, which costs a round trip.

    Left out are RESET ALL, UNLISTEN and pg_advisory_unlock_all: nothing here uses SET, LISTEN or session locks. An open
    transaction is still rolled back.
    """
    connection.note_use()
