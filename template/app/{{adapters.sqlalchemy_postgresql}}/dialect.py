"""What is PostgreSQL's own: its statements, locks and errors."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.migration_lock import LOCK, protect
from app.db.sqlstates import DEADLOCK, error_for_state
from app.errors import AppError, UnavailableError
from app.schemas import Item

# One statement however many items: an array for each column.
UPSERT_ITEMS = text("""
    INSERT INTO items (id, name, price_cents, stock, created_at)
    SELECT * FROM unnest(
        CAST(:ids AS uuid[]), CAST(:names AS text[]), CAST(:prices AS bigint[]),
        CAST(:stocks AS bigint[]), CAST(:times AS timestamptz[]))
    ON CONFLICT (name) DO UPDATE SET price_cents = excluded.price_cents, stock = excluded.stock
""")

REVENUE = text("""
    SELECT CAST(created_at AT TIME ZONE 'UTC' AS date) AS day,
           count(*) AS orders,
           sum(total_cents) AS revenue_cents
    FROM orders
    WHERE created_at >= :since
    GROUP BY day
    ORDER BY day
""")

SLOW_STATEMENT = text("SELECT pg_sleep(:seconds)")  # for the tests


def upsert_parameters(rows: Sequence[Item]) -> dict[str, Any]:
    """The parameters of UPSERT_ITEMS."""
    return {
        "ids": [row.id for row in rows],
        "names": [row.name for row in rows],
        "prices": [row.price_cents for row in rows],
        "stocks": [row.stock for row in rows],
        "times": [row.created_at for row in rows],
    }


@asynccontextmanager
async def locked_migrations(connection: AsyncConnection) -> AsyncIterator[None]:
    """Begins when no other migration runs; the lock ends with the transaction."""
    for statement in LOCK:
        await connection.execute(text(statement))
    yield
    await connection.execute(text(protect("alembic_version")))


def error_for(error: DBAPIError) -> AppError | None:
    """The app's error for one of SQLAlchemy's, or None where it has none."""
    if error.connection_invalidated:
        return UnavailableError("the connection broke")
    return error_for_state(getattr(error.orig, "sqlstate", None))


def is_deadlock(error: DBAPIError) -> bool:
    """Whether the database has undone the transaction, and asks to repeat it."""
    return getattr(error.orig, "sqlstate", None) == DEADLOCK
