"""A database of their own for the tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit
from uuid import uuid4

from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier

UNREACHABLE_URL = "postgresql://127.0.0.1:1/none"


@asynccontextmanager
async def temporary_database(url: str) -> AsyncIterator[str]:
    """Make an empty database beside the one of `url`, give its URL, and drop it at the end."""
    name = f"test_{uuid4().hex}"
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        try:
            yield urlsplit(url)._replace(path=f"/{name}").geturl()
        finally:
            await connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
