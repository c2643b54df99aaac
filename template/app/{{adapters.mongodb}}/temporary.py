"""A database of their own for the tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit
from uuid import uuid4

from app.db.connection import short_lived_client

UNREACHABLE_URL = "mongodb://127.0.0.1:1/none"


@asynccontextmanager
async def temporary_database(url: str) -> AsyncIterator[str]:
    """Name a database beside the one of `url` (MongoDB makes it at the first write), and drop it at the end."""
    name = f"test_{uuid4().hex}"
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        async with short_lived_client(url) as client:
            await client.drop_database(name)
