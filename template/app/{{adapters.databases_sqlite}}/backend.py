"""The library's SQLite backend with one visit to the connection's thread for each statement, not three."""

from collections.abc import Sequence
from typing import Any

from databases.backends.common.records import Record, Row, create_column_maps
from databases.backends.sqlite import SQLiteBackend, SQLiteConnection
from sqlalchemy.engine.cursor import CursorResultMetaData
from sqlalchemy.sql import ClauseElement

Visited = tuple[list[tuple[Any, ...]], Any, Any]  # rows, their description, and what `execute` returns


class OneVisitBackend(SQLiteBackend):
    """Makes the connections below."""

    def connection(self) -> SQLiteConnection:
        return _OneVisitConnection(self._pool, self._dialect)


class _OneVisitConnection(SQLiteConnection):
    async def fetch_all(self, query: ClauseElement) -> list[Any]:
        compiled: tuple[Any, ...] = self._compile(query)
        statement, values, columns, context = compiled
        rows, description, _ = await self._visit(statement, values)
        metadata: Any = CursorResultMetaData(context, description)
        column_maps = create_column_maps(columns)
        return [
            Record(Row(metadata, metadata._processors, metadata._keymap, row), columns, self._dialect, column_maps)
            for row in rows
        ]

    async def fetch_one(self, query: ClauseElement) -> Any:
        rows = await self.fetch_all(query)
        return rows[0] if rows else None

    async def execute(self, query: ClauseElement) -> Any:
        statement, values, *_ = self._compile(query)
        _, _, result = await self._visit(statement, values)
        return result

    async def _visit(self, statement: str, values: Sequence[Any]) -> Visited:
        connection: Any = self.raw_connection

        def run() -> Visited:
            cursor = connection._conn.execute(statement, values)
            return cursor.fetchall(), cursor.description, cursor.lastrowid or cursor.rowcount

        visited: Visited = await connection._execute(run)
        return visited
