"""Migrations by Tortoise, all of one run on one connection and under one lock."""

from pathlib import Path

from tortoise import BaseDBAsyncClient
from tortoise.exceptions import OperationalError
from tortoise.migrations.executor import MigrationExecutor

from app.db import dialect
from app.db.client import open_client
from app.db.registry import CONFIG, register_models
from app.settings import Settings

_NEWEST = max(path.stem for path in Path(__file__).with_name("migrations").glob("[0-9]*.py"))


async def is_up_to_date(client: BaseDBAsyncClient) -> bool:
    """Whether the database has this release's schema; it may have a newer one's, as in a rollout."""
    try:
        applied = await client.execute_query_dict("SELECT name FROM tortoise_migrations WHERE app = 'app'")
    except OperationalError:
        return False  # no such table
    return _NEWEST in [row["name"] for row in applied]


async def migrate(settings: Settings) -> None:
    """Run the migrations that the database has not had; a second run at the same time waits for the first.

    Raises UnavailableError.
    """
    await register_models()
    async with open_client(settings) as client:
        with client.lent():
            async with dialect.locked_migrations(client):
                executor = MigrationExecutor(client, CONFIG["apps"])
                # Before Tortoise reads it: reading a table that does not exist would spoil the transaction.
                await executor.recorder.ensure_schema(executor._schema_editor(atomic=False))
                await executor.migrate()
