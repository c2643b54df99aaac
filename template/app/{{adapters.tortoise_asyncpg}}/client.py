"""Tortoise's client on asyncpg."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg
from tortoise.backends.asyncpg.client import TransactionWrapper

from app.db.connecting import connect
from app.db.connection import translated_errors
from app.db.lent import LentConnection
from app.settings import Settings


class Client(LentConnection, TransactionWrapper):
    """Runs queries on an asyncpg connection."""

    _connection: "asyncpg.Connection[asyncpg.Record]"

    def open_transaction(self) -> AbstractAsyncContextManager[Any]:
        return self._connection.transaction()


client_class = Client  # the name that Tortoise looks for


@asynccontextmanager
async def open_client(settings: Settings) -> AsyncIterator[Client]:
    """Open a connection outside the pool and without time limits, for migrations; UnavailableError."""
    with translated_errors():
        connection = await connect(settings, time_limits=False)
        try:
            yield Client(connection)
        finally:
            await connection.close()
