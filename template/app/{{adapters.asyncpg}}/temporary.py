"""A database of their own for the tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg

UNREACHABLE_URL = "postgresql://127.0.0.1:1/none"


@asynccontextmanager
async def temporary_database(url: str) -> AsyncIterator[str]:
    """Make an empty database beside the one of `url`, give its URL, and drop it at the end."""
    name = f"test_{uuid4().hex}"
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
        try:
            yield urlsplit(url)._replace(path=f"/{name}").geturl()
        finally:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()
