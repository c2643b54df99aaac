"""Migrations: the files of migrations/ in the order of their numbers, each recorded in the table schema_versions.

To change the schema, add a file with the next number; never edit one that has run somewhere. In a file, an empty line
ends a statement.
"""

from pathlib import Path

from app.db.migrating import exclusive_connection
from app.errors import UnavailableError
from app.settings import Settings

READ_VERSION = "SELECT max(version) FROM schema_versions"

_FOLDER = Path(__file__).with_name("migrations")
_CREATE_VERSIONS = """
    CREATE TABLE IF NOT EXISTS schema_versions (
        version integer NOT NULL PRIMARY KEY,
        applied_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP
    )
"""
_RECORD_VERSION = "INSERT INTO schema_versions (version) VALUES ({})"


def _files() -> dict[int, Path]:
    return {int(path.name.split("_")[0]): path for path in sorted(_FOLDER.glob("*.sql"))}


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
    async with exclusive_connection(settings) as run:
        await run(_CREATE_VERSIONS)
        [[done]] = await run(READ_VERSION)
        for version, path in _files().items():
            if version > (done or 0):
                for statement in path.read_text(encoding="utf-8").split("\n\n"):
                    await run(statement)
                await run(_RECORD_VERSION.format(version))
