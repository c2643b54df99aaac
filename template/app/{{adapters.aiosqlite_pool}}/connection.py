"""A connection of aiosqlite's, its transactions, and the translation of its errors into the app's."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, cast

import aiosqlite

from app.db.connecting import FileConnection, open_connection
from app.db.error_names import error_for
from app.errors import UnavailableError
from app.settings import Settings

Row = Sequence[Any]


class Connection(aiosqlite.Connection):
    """A thread in which SQLite runs one statement after the other.

    A statement whose caller is cancelled goes on in the thread, so the connection is given up then: the statement is
    stopped, everything rolled back and the file closed, and nobody has to wait for that.
    """

    depth = 0  # how many transactions are open, one inside the other
    stopped: "asyncio.Future[Any] | None" = None  # done when the thread has ended
    _connection: FileConnection | None

    def __init__(self, settings: Settings, *, time_limits: bool) -> None:
        super().__init__(partial(open_connection, settings, time_limits=time_limits), iter_chunk_size=64)
        self._thread.daemon = True  # a process that fails ends without closing its pool

    async def fetch(self, statement: str, parameters: Sequence[object] | dict[str, object] = ()) -> list[Row]:
        """Run a statement and return its rows, in one visit to the thread."""
        rows: Any = await self._execute(self._execute_fetchall, statement, parameters)
        return list(rows)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """One transaction; inside another one, a savepoint: an inner rollback keeps the outer work.

        IMMEDIATE: a transaction that reads and then writes waits for its turn at the start. With a plain BEGIN it fails
        where it first writes ("database is locked"), and no timeout helps.
        """
        savepoint = f"SAVEPOINT level_{self.depth}"
        begin, commit, roll_back = "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"
        if self.depth:
            begin, commit, roll_back = savepoint, f"RELEASE {savepoint}", f"ROLLBACK TO {savepoint}"
        await self.fetch(begin)
        self.depth += 1
        try:
            yield
            await self.fetch(commit)
        except Exception:
            await self._roll_back(roll_back)
            raise
        except BaseException:
            self.stop()
            raise
        finally:
            self.depth -= 1

    async def _roll_back(self, statement: str) -> None:
        try:
            await self.fetch(statement)
        except Exception:
            self.stop()

    async def _execute(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        if self.stopped is not None:
            if getattr(fn, "__name__", None) == "close":
                return None  # a cursor's, at the end of a cancelled block: an error would take the cancellation's place
            raise UnavailableError("the connection was closed")
        try:
            return await super()._execute(fn, *args, **kwargs)  # type: ignore[no-untyped-call]
        except sqlite3.Error:
            if self.depth and not self.in_transaction:
                # SQLite has undone the whole transaction: nothing that follows may run outside of one.
                self.stop()
            raise
        except asyncio.CancelledError:
            self.stop()
            raise

    def stop(self) -> "asyncio.Future[Any]":
        """Stop what runs, roll back, close the file and end the thread; returns at once what tells the end of that."""
        if self.stopped is None:
            if self._connection is not None:
                self._connection.given_up = True
            self.stopped = cast("asyncio.Future[Any]", super().stop())
        return self.stopped


async def connect(settings: Settings, *, time_limits: bool) -> Connection:
    """Open a connection; sqlite3.Error, UnavailableError.

    time_limits: whether statements are stopped after the statement timeout.
    """
    connection = Connection(settings, time_limits=time_limits)
    try:
        await connection
    except (sqlite3.Error, UnavailableError):
        if connection.stopped is not None:
            await connection.stopped
        raise
    return connection


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn what sqlite3 raises into the app's errors."""
    try:
        yield
    except sqlite3.Error as error:
        translated = error_for(error)
        if translated is None:
            raise
        raise translated from error
