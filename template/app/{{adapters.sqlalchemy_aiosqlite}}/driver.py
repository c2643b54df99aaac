"""SQLAlchemy's engine on aiosqlite. Each connection is a thread of the driver's, off the event loop."""

import asyncio
import sqlite3
from functools import partial
from typing import Any

import aiosqlite
from sqlalchemy import URL, Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.db.cancellation import finish
from app.db.connecting import database_path, open_connection
from app.errors import UnavailableError
from app.settings import Settings

_SINGLE_STATEMENTS = "single_statements"

# What the driver raises, beside its errors that SQLAlchemy knows, on a connection whose server died.
BROKEN: tuple[type[Exception], ...] = ()


def create_engine(settings: Settings, *, time_limits: bool, **pool: Any) -> AsyncEngine:
    """Make the engine; see open_connection for what its connections are.

    time_limits: whether statements are stopped after the statement timeout.
    """
    connector = partial(open_connection, settings, time_limits=time_limits)

    async def connect() -> aiosqlite.Connection:
        connection = aiosqlite.Connection(connector, iter_chunk_size=64)
        connection._thread.daemon = True  # a process that fails ends without closing its pool
        try:
            await finish(_opened(connection))
        except (sqlite3.Error, UnavailableError):
            connection._thread.join()  # it ends now, and aiosqlite 0.22 fails where the event loop ends before it
            raise
        except asyncio.CancelledError:
            await finish(connection.close())  # aiosqlite 0.22 forgets a file whose opening is cancelled
            raise
        return connection

    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=database_path(settings)), async_creator=connect, **pool
    )
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


async def _opened(connection: aiosqlite.Connection) -> None:
    await connection


def autocommit(engine: AsyncEngine) -> AsyncEngine:
    """Return the engine for single statements: the same pool, no BEGIN."""
    return engine.execution_options(**{_SINGLE_STATEMENTS: True})


def answers(connection: Any) -> bool:
    """A file has no server that could have restarted."""
    return True


def _begin(connection: Connection) -> None:
    # IMMEDIATE: a transaction that reads and then writes waits for its turn at the start. With a plain BEGIN it fails
    # where it first writes ("database is locked"), and no timeout helps.
    if not connection.get_execution_options().get(_SINGLE_STATEMENTS):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
