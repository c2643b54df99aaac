"""Migrations: the steps of `migrations.py` in order, the last one done recorded in the collection schema."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from pymongo import ReadPreference
from pymongo.errors import DuplicateKeyError

from app.db.connection import app_database, client_options, short_lived_client, translated_errors
from app.db.driver import MongoDatabase
from app.db.migrations import STEPS
from app.settings import Settings

NEWEST_VERSION = len(STEPS)
_LOCK_SECONDS = 600  # after that the run that took the lock counts as dead
_WAIT_SECONDS = 0.2


async def stored_version(database: MongoDatabase) -> int:
    """The number of the last step that was done; 0 before the first."""
    version = await database["schema"].find_one({"_id": "version"})
    return 0 if version is None else int(version["number"])


async def migrate(settings: Settings) -> None:
    """Do the steps that the database has not had; a second run at the same time waits for the first.

    Raises UnavailableError.
    """
    async with short_lived_client(settings.url, **client_options(settings, time_limits=False)) as client:
        # Whatever the URL says of reads: another server may not have the last run's version yet.
        database = app_database(client).with_options(read_preference=ReadPreference.PRIMARY)
        with translated_errors():
            async with _lock(database):
                done = await stored_version(database)
                for number, step in enumerate(STEPS, start=1):
                    if number > done:
                        await step(database)
                        await database["schema"].update_one(
                            {"_id": "version"}, {"$set": {"number": number}}, upsert=True
                        )


@asynccontextmanager
async def _lock(database: MongoDatabase) -> AsyncIterator[None]:
    owner = uuid4()
    while True:
        now = datetime.now(UTC)
        try:
            await database["schema"].update_one(
                {"_id": "lock", "until": {"$lt": now}},
                {"$set": {"owner": owner, "until": now + timedelta(seconds=_LOCK_SECONDS)}},
                upsert=True,
            )
            break
        except DuplicateKeyError:  # somebody has it
            await asyncio.sleep(_WAIT_SECONDS)
    try:
        yield
    finally:
        await database["schema"].delete_one({"_id": "lock", "owner": owner})
