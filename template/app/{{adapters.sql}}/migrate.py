"""Migrations: the files of migrations/ in the order of their numbers, each recorded in the table schema_versions.

To change the schema, add a file with the next number, such as 0002_add_phone.sql; never edit one that has run
somewhere. A file holds any number of statements, each ended by a semicolon, and is read as the server reads it.
"""

import re
from pathlib import Path

from app.db.migrating import exclusive_connection
from app.errors import UnavailableError
from app.settings import Settings

READ_VERSION = "SELECT max(version) FROM schema_versions"

_FOLDER = Path(__file__).with_name("migrations")
_NAME = re.compile(r"(\d+)_\w.*\.sql")
_CREATE_VERSIONS = """
    CREATE TABLE IF NOT EXISTS schema_versions (
        version integer NOT NULL PRIMARY KEY,
        applied_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP
    )
"""
_RECORD_VERSION = "INSERT INTO schema_versions (version) VALUES ({})"


def _files() -> dict[int, Path]:
    """UnavailableError where a file's name has no number, or one that another has."""
    found: dict[int, Path] = {}
    for path in sorted(_FOLDER.glob("*.sql")):
        name = _NAME.fullmatch(path.name)
        if name is None or int(name[1]) in found:
            fault = "has another file's number" if name else "does not begin with a number"
            example = f"{max(found, default=0) + 1:04}_what_changed.sql"
            raise UnavailableError(f"{path}: its name {fault}; name it as in {example}")
        found[int(name[1])] = path
    return dict(sorted(found.items()))


def newest_version() -> int:
    """The version that a database with the newest schema has."""
    return max(_files())


def require_version(found: int | None, needed: int) -> None:
    """Return when the version that was found (None: no such table) is the needed one or newer; UnavailableError."""
    if found is None or found < needed:
        raise UnavailableError("the schema is not up to date: run python -m app.migrate")


async def migrate(settings: Settings) -> None:
    """Run the files that the database has not had; a second run at the same time waits for the first.

    Raises UnavailableError.
    """
    files = _files()
    async with exclusive_connection(settings) as connection:
        await connection.run(_CREATE_VERSIONS)
        [[done]] = await connection.fetch(READ_VERSION)
        for version, path in files.items():
            if version > (done or 0):
                await connection.run(path.read_text(encoding="utf-8"))
                await connection.run(_RECORD_VERSION.format(version))
