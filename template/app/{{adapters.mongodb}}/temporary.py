"""A database of their own for the tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote
from uuid import uuid4

from app.database_url import with_database
from app.db.connection import client_options, short_lived_client
from app.db.url import read_url
from app.settings import read_settings

UNREACHABLE_URL = "mongodb://127.0.0.1:1/none"


@asynccontextmanager
async def temporary_database(url: str) -> AsyncIterator[str]:
    """Name a database beside the one of `url` (MongoDB makes it at the first write), and drop it at the end."""
    name = f"test_{uuid4().hex}"
    try:
        yield with_database(_with_authentication_source(url), name)
    finally:
        options = client_options(read_settings(database_url=url), time_limits=False)
        async with short_lived_client(url, **options) as client:
            await client.drop_database(name)


def _with_authentication_source(url: str) -> str:
    """The same URL, which says where its user is kept: without a word that is in the database of the URL."""
    read = read_url(url)
    if not read.user or "authsource" in url.lower() or url.startswith("mongodb+srv"):  # that has it in the DNS
        return url
    source = f"authSource={quote(read.database or 'admin', safe='')}"
    place, mark, query = url.partition("?")
    place = place if place.count("/") > 2 else f"{place}/"
    return f"{place}?{query}&{source}" if mark else f"{place}?{source}"
