"""Tortoise's client on psycopg."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from psycopg import AsyncConnection, AsyncRawCursor
from pypika_tortoise.dialects.postgresql import PostgreSQLQuery
from pypika_tortoise.terms import Parameter
from tortoise.backends.psycopg.client import TransactionWrapper
from tortoise.backends.psycopg.executor import PsycopgExecutor

from app.db.connecting import connection_options
from app.db.connection import translated_errors
from app.db.lent import LentConnection
from app.settings import Settings


class _Executor(PsycopgExecutor):
    def parameter(self, pos: int) -> Parameter:
        return Parameter(idx=pos + 1)


class Client(LentConnection, TransactionWrapper):
    """Runs queries on a psycopg connection; placeholders are PostgreSQL's own, $1 and $2, not psycopg's %s.

    So the SQL of dialect.py serves both drivers, and Tortoise's migrations run: it records them with $1 (1.1.9).
    """

    query_class = PostgreSQLQuery  # type: ignore[assignment]
    executor_class = _Executor

    def __init__(self, connection: Any = None, connection_name: str = "default") -> None:
        super().__init__(connection, connection_name)
        if connection is not None:
            connection.cursor_factory = AsyncRawCursor

    def open_transaction(self) -> AbstractAsyncContextManager[Any]:
        return self._connection.transaction()


client_class = Client  # the name that Tortoise looks for


@asynccontextmanager
async def open_client(settings: Settings) -> AsyncIterator[Client]:
    """Open a connection outside the pool and without time limits, for migrations; UnavailableError."""
    options = connection_options(settings, time_limits=False)
    with translated_errors():
        async with await AsyncConnection.connect(**options, autocommit=True) as connection:
            yield Client(connection)
