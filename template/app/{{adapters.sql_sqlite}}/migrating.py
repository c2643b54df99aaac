"""The connection that migrations run on."""

import re
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from app.db.connection import Connection, connect, translated_errors
from app.settings import Settings


class MigrationConnection:
    """A connection in one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def fetch(self, statement: str) -> Sequence[Sequence[Any]]:
        """Run a statement and return its rows."""
        return await self._connection.fetch(statement)

    async def run(self, script: str) -> None:
        """Run any number of statements, one after the other: executescript() would commit before the first."""
        for statement in split(script):
            await self._connection.fetch(statement)


@asynccontextmanager
async def exclusive_connection(settings: Settings) -> AsyncIterator[MigrationConnection]:
    """Lend a connection in one transaction, while no other migration runs."""
    with translated_errors():
        connection = await connect(settings, time_limits=False)
        try:
            async with connection.transaction():  # with BEGIN IMMEDIATE, which is the lock
                yield MigrationConnection(connection)
        finally:
            await connection.close()


def split(script: str) -> Iterator[str]:
    """The statements of a script, where SQLite itself says that one is complete: it knows triggers, texts, comments."""
    statement = ""
    for piece in re.split("(?<=;)", script):
        statement += piece
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement
