"""What there is to say of a SQLite file, by the connection that the project opens."""

import importlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

Facts = dict[str, Any]


async def gather(settings: Any, driver: str) -> Facts:
    """The facts of the file of DATABASE_URL, which is not made where it is missing; raises sqlite3.Error."""
    connecting: Any = importlib.import_module("app.db.connecting")
    facts: Facts = {
        "product": "SQLite",
        "version": sqlite3.sqlite_version,
        **_places(connecting.database_path(settings)),
    }
    if facts["file"] and facts["folder"]:
        with closing(connecting.open_connection(settings, time_limits=True)) as connection:
            ((facts["journal_mode"],),) = connection.execute("PRAGMA journal_mode").fetchall()
    return facts


def _places(name: str) -> Facts:
    path = Path(name).absolute()
    folder = path.parent.is_dir() and os.access(path.parent, os.W_OK | os.X_OK)
    return {"file": path.is_file(), "folder": folder, "writable": os.access(path, os.W_OK)}
