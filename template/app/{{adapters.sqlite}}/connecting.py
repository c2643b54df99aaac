"""How the file is opened: what SQLite leaves to each connection, a fair wait for its lock, and a time limit."""

import math
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from random import uniform
from time import monotonic, sleep
from typing import Any, Self

from app.errors import UnavailableError
from app.settings import Settings

_INSTRUCTIONS_BETWEEN_CHECKS = 10_000
_SECONDS_BETWEEN_TRIES = (0.0005, 0.005)
_LOCKED = ("SQLITE_BUSY", "SQLITE_BUSY_RECOVERY")  # not SQLITE_BUSY_SNAPSHOT, which no wait helps
_SET_UP = (
    "PRAGMA journal_mode = WAL",  # readers do not wait for the writer
    "PRAGMA synchronous = NORMAL",  # safe with WAL
    "PRAGMA foreign_keys = ON",  # off by default
)


class _Cursor(sqlite3.Cursor):
    connection: "FileConnection"

    def execute(self, *arguments: Any) -> Self:
        began_at = monotonic()
        while True:
            self.connection.start_time_limit()
            try:
                return super().execute(*arguments)
            except sqlite3.OperationalError as error:
                if not self.connection.may_wait(error, monotonic() - began_at):
                    raise
            sleep(uniform(*_SECONDS_BETWEEN_TRIES))  # noqa: S311

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Self:
        if self.connection.in_transaction:
            return super().executemany(sql, parameters)
        self.execute("BEGIN IMMEDIATE")
        try:
            super().executemany(sql, parameters)
            self.connection.commit()
        except BaseException:
            self.connection.rollback()
            raise
        return self


class FileConnection(sqlite3.Connection):
    """A connection that waits for its turn to write, and stops statements which take too long.

    It waits by itself because SQLite makes longer pauses the longer somebody has waited, so that who comes last is
    served first: of 240 orders in 4 processes on SQLAlchemy the slowest took 0.4 to 1.6 s, so 0.2 to 0.6 s.

    Statements are stopped from inside SQLite: it has no server that would, and a cancelled wait leaves them running.
    """

    lock_timeout_seconds = 0.0
    statement_timeout_seconds = math.inf
    given_up = False  # set from any thread: stop what runs or waits
    _ends_at = math.inf

    def cursor(self, factory: Any = _Cursor) -> Any:
        return super().cursor(factory)

    def execute(self, *arguments: Any) -> Any:
        return self.cursor().execute(*arguments)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Any:
        return self.cursor().executemany(sql, parameters)

    def start_time_limit(self) -> None:
        """Say that a statement begins."""
        self._ends_at = monotonic() + self.statement_timeout_seconds

    def is_over_time(self) -> bool:
        """Whether the running statement has to end; SQLite asks now and then."""
        return self.given_up or monotonic() > self._ends_at

    def may_wait(self, error: sqlite3.OperationalError, seconds: float) -> bool:
        """Whether to try again after so many seconds: the file was locked, and nothing was done yet."""
        return error.sqlite_errorname in _LOCKED and seconds < self.lock_timeout_seconds and not self.given_up

    def close(self) -> None:
        """Roll back, then close: with a statement that was not read to its end SQLite keeps the lock after a close.

        (Until that statement is garbage: 600 cancelled orders took 18 to 123 s.)
        """
        with suppress(sqlite3.Error):
            self.rollback()
        super().close()


def database_path(settings: Settings) -> str:
    """The file of DATABASE_URL, which is sqlite:///relative.db or sqlite:////absolute.db; UnavailableError."""
    return settings.database.database


def open_connection(settings: Settings, *, time_limits: bool) -> FileConnection:
    """Open the file of DATABASE_URL; sqlite3.Error, UnavailableError.

    Transactions begin where somebody says BEGIN. time_limits: whether statements are stopped after the statement
    timeout.
    """
    url = settings.database
    mode = url.parameters["mode"]
    file = Path(url.database).absolute()
    if not file.parent.is_dir():
        raise UnavailableError(f"the folder of the database's file is missing: make {file.parent}")
    if mode != "rwc" and not file.exists():
        raise UnavailableError(f"the database's file is missing, and is not made with mode={mode}: {file}")
    connection = sqlite3.connect(
        f"{file.as_uri()}?mode={mode}",
        uri=True,
        timeout=0,  # see FileConnection
        isolation_level=None,
        factory=FileConnection,
    )
    connection.lock_timeout_seconds = settings.statement_timeout_seconds
    try:
        for statement in _SET_UP if mode != "ro" else _SET_UP[1:]:
            connection.execute(statement)
        if time_limits:
            connection.statement_timeout_seconds = settings.statement_timeout_seconds
        connection.set_progress_handler(connection.is_over_time, _INSTRUCTIONS_BETWEEN_CHECKS)
    except BaseException:
        connection.close()
        raise
    return connection
