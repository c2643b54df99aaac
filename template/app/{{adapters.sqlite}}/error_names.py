"""What SQLite's errors mean to the app."""

import sqlite3

from app.errors import AppError, StatementTimeoutError, UnavailableError


def error_for(error: BaseException | None) -> AppError | None:
    """The app's error for one of sqlite3's, or None where it has none."""
    name: str = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_INTERRUPT":
        return StatementTimeoutError("a statement took longer than its time limit")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_READONLY")):
        return UnavailableError("the database is not available now")
    if isinstance(error, sqlite3.ProgrammingError):
        return UnavailableError("the connection was closed")
    return None
