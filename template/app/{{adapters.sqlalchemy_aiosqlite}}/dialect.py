"""What is SQLite's own: its statements, lock and errors."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy import Date, bindparam, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db import error_names, statements
from app.db.models import UtcDateTime
from app.errors import AppError, UnavailableError
from app.schemas import Item

UPSERT_ITEMS = text(statements.UPSERT_ITEMS)

REVENUE = text(statements.REVENUE).bindparams(bindparam("since", type_=UtcDateTime)).columns(day=Date)

SLOW_STATEMENT = text(statements.SLOW_STATEMENT)


def upsert_parameters(rows: Sequence[Item]) -> dict[str, str]:
    """The parameters of UPSERT_ITEMS, as SQLAlchemy stores these types on SQLite."""
    values = [
        [
            row.id.hex,
            row.name,
            row.price_cents,
            row.stock,
            row.created_at.strftime("%Y-%m-%d %H:%M:%S.%f"),
        ]
        for row in rows
    ]
    return {"rows": json.dumps(values)}


@asynccontextmanager
async def locked_migrations(connection: AsyncConnection) -> AsyncIterator[None]:
    """The transaction has begun with BEGIN IMMEDIATE, which is the lock."""
    yield


def error_for(error: DBAPIError) -> AppError | None:
    """The app's error for one of SQLAlchemy's, or None where it has none."""
    if error.connection_invalidated:
        return UnavailableError("the connection was closed")
    return error_names.error_for(error.orig)


def is_deadlock(error: DBAPIError) -> bool:
    """Never: writers wait for their turn at the start of their transactions."""
    return False
