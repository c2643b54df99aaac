"""Migrations by Alembic, all of one run in one transaction where the database has that for changes of the schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.pool import NullPool

from app.db import dialect, driver
from app.db.errors import translated_errors
from app.settings import Settings

_INI = Path(__file__).with_name("alembic.ini")


def outdated_revisions() -> set[str | None]:
    """The revisions of a database that this release has to migrate first; None is that of an empty one.

    One that is not known is a newer release's: in a rollout the migration runs while the old release still serves.
    """
    script = ScriptDirectory.from_config(Config(_INI))
    return {None, *(revision.revision for revision in script.walk_revisions())} - {script.get_current_head()}


async def migrate(settings: Settings) -> None:
    """Bring the database up to the head revision; a second run at the same time waits for the first.

    Raises UnavailableError.
    """
    engine = driver.create_engine(settings, time_limits=False, poolclass=NullPool)
    try:
        with translated_errors():
            async with engine.begin() as connection, dialect.locked_migrations(connection):
                await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    config = Config(_INI, attributes={"connection": connection})
    command.upgrade(config, "head")
