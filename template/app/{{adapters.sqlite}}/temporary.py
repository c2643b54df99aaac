"""A database of their own for the tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from app import plan

UNREACHABLE_URL = f"{plan.URL_SCHEME}:////no-such-directory/none.db"


@asynccontextmanager
async def temporary_database(url: str) -> AsyncIterator[str]:
    """Make an empty directory for a database file, give the file's URL, and remove it at the end."""
    with TemporaryDirectory() as directory:
        yield f"{plan.URL_SCHEME}:///{Path(directory, 'test.db')}"
