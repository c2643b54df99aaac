"""A database of their own for the tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from app.database_url import with_database
from app.db.connecting import connect
from app.settings import read_settings

UNREACHABLE_URL = "postgresql://127.0.0.1:1/none"


@asynccontextmanager
async def temporary_database(url: str) -> AsyncIterator[str]:
    """Make an empty database beside the one of `url`, give its URL, and drop it at the end."""
    name = f"test_{uuid4().hex}"
    connection = await connect(read_settings(database_url=url), time_limits=False)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
        try:
            yield with_database(url, name)
        finally:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()
