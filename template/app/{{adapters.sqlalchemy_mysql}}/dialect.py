"""What is MySQL's own: its statements, locks and errors."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.error_numbers import DEADLOCK, error_for_number, number
from app.db.migration_lock import LOCK, require_lock
from app.errors import AppError, UnavailableError
from app.schemas import Item

# One statement however many items: a JSON array. Without its character set a text column of JSON_TABLE has the
# database's, which may be Latin-1.
UPSERT_ITEMS = text("""
    INSERT INTO items (id, name, price_cents, stock, created_at)
    SELECT new.id, new.name, new.price_cents, new.stock, new.created_at
    FROM JSON_TABLE(:rows, '$[*]' COLUMNS (
        id CHAR(32) CHARACTER SET utf8mb4 PATH '$[0]',
        name VARCHAR(200) CHARACTER SET utf8mb4 PATH '$[1]',
        price_cents BIGINT PATH '$[2]',
        stock BIGINT PATH '$[3]',
        created_at DATETIME(6) PATH '$[4]'
    )) AS new
    ON DUPLICATE KEY UPDATE items.price_cents = new.price_cents, items.stock = new.stock
""")

REVENUE = text("""
    SELECT DATE(created_at) AS day, COUNT(*) AS orders, SUM(total_cents) AS revenue_cents
    FROM orders
    WHERE created_at >= :since
    GROUP BY day
    ORDER BY day
""")

# For the tests; so long for each stored item. MySQL ends SELECT SLEEP(...) alone at its time limit without an error.
SLOW_STATEMENT = text("SELECT id FROM items WHERE SLEEP(:seconds)")


def upsert_parameters(rows: Sequence[Item]) -> dict[str, str]:
    """The parameters of UPSERT_ITEMS, as SQLAlchemy stores these types on MySQL."""
    values = [
        [row.id.hex, row.name, row.price_cents, row.stock, row.created_at.strftime("%Y-%m-%d %H:%M:%S.%f")]
        for row in rows
    ]
    return {"rows": json.dumps(values, ensure_ascii=False)}


@asynccontextmanager
async def locked_migrations(connection: AsyncConnection) -> AsyncIterator[None]:
    """Begins when no other migration runs; the lock ends with the connection."""
    # No warnings that MariaDB ignores names of primary keys; on MySQL, which does not warn, it needs a privilege.
    await connection.execute(text("SET sql_notes = 0 /*M! , max_error_count = 0 */"))
    require_lock((await connection.execute(text(LOCK))).all())
    yield


def error_for(error: DBAPIError) -> AppError | None:
    """The app's error for one of SQLAlchemy's, or None where it has none."""
    if error.connection_invalidated:
        return UnavailableError("the connection broke")
    return error_for_number(number(error.orig))


def is_deadlock(error: DBAPIError) -> bool:
    """Whether the database has undone the transaction, and asks to repeat it."""
    return number(error.orig) == DEADLOCK
