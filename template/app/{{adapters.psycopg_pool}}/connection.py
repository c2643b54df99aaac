"""A connection of the pool, its ping, and the translation of psycopg's errors into the app's."""

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import psycopg
from psycopg.rows import DictRow

from app import plan
from app.db.connecting import refused
from app.db.sqlstates import error_for_state
from app.errors import UnavailableError


class PooledConnection(psycopg.AsyncConnection[DictRow]):
    """A connection that knows how long it has been idle."""

    _used_at = math.inf  # a new connection needs no ping

    def note_use(self) -> None:
        """Say that the connection was used now."""
        self._used_at = monotonic()

    async def answers(self) -> bool:
        """Whether the connection can be used: one that was idle is pinged, others are believed."""
        if monotonic() - self._used_at < plan.PRE_PING_IDLE_SECONDS:
            return True
        try:
            async with asyncio.timeout(plan.CONNECT_TIMEOUT_SECONDS):
                await self.execute("")
        except (psycopg.Error, TimeoutError):
            return False
        return True


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn what psycopg and its pool raise into the app's errors."""
    try:
        yield
    except psycopg.Error as error:
        translated = error_for_state(error.sqlstate)
        if translated is None and error.sqlstate is None and isinstance(error, psycopg.OperationalError):
            translated = refused(error) or UnavailableError(f"no connection to the database: {error}")
        if translated is None:
            raise
        raise translated from error
