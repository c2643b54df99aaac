"""What is PostgreSQL's own: its statements and its lock."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from app.db.lent import LentConnection
from app.db.migration_lock import LOCK, protect
from app.db.sqlstates import DEADLOCK
from app.schemas import Item

# A NULL leaves the column as it is: one prepared statement for every set of changes.
_UPDATE_ITEM = """
    UPDATE items
    SET name = coalesce($2, name),
        price_cents = coalesce($3, price_cents),
        stock = coalesce($4, stock)
    WHERE id = $1
    RETURNING id, name, price_cents, stock, created_at
"""

# One statement however many items: an array for each column.
_UPSERT_ITEMS = """
    INSERT INTO items (id, name, price_cents, stock, created_at)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::timestamptz[])
    ON CONFLICT (name) DO UPDATE SET price_cents = excluded.price_cents, stock = excluded.stock
"""

_TAKE_FROM_STOCK = "UPDATE items SET stock = stock - $2 WHERE id = $1 AND stock >= $2 RETURNING price_cents"

_REVENUE = """
    SELECT (created_at AT TIME ZONE 'UTC')::date AS day,
           count(*) AS orders,
           sum(total_cents) AS revenue_cents
    FROM orders
    WHERE created_at >= $1
    GROUP BY day
    ORDER BY day
"""

SLOW_STATEMENT = "SELECT pg_sleep($1)"  # for the tests


async def update_item(client: LentConnection, item_id: UUID, changes: Mapping[str, Any]) -> dict[str, Any] | None:
    """Change the named columns of an item; the row as it is then, None where there is none."""
    values = [item_id, changes.get("name"), changes.get("price_cents"), changes.get("stock")]
    rows = await client.execute_query_dict(_UPDATE_ITEM, values)
    return rows[0] if rows else None


async def upsert_items(client: LentConnection, rows: Sequence[Item]) -> None:
    """Store all rows, replacing price and stock where the name exists."""
    columns = [[getattr(row, name) for row in rows] for name in ("id", "name", "price_cents", "stock", "created_at")]
    await client.execute_query(_UPSERT_ITEMS, columns)


async def take_from_stock(client: LentConnection, item_id: UUID, quantity: int) -> int | None:
    """Take a quantity of an item; its price, None where there is no such item or too little of it."""
    rows = await client.execute_query_dict(_TAKE_FROM_STOCK, [item_id, quantity])
    return rows[0]["price_cents"] if rows else None


async def revenue(client: LentConnection, since: datetime) -> list[dict[str, Any]]:
    """Day, orders and revenue_cents of each day that had orders."""
    return await client.execute_query_dict(_REVENUE, [since])


@asynccontextmanager
async def locked_migrations(client: LentConnection) -> AsyncIterator[None]:
    """One transaction, begun when no other migration runs."""
    async with client.open_transaction():
        for statement in LOCK:
            await client.execute_query(statement)
        yield
        await client.execute_query(protect("tortoise_migrations"))


def is_deadlock(error: Exception) -> bool:
    """Whether the database has undone the transaction, and asks to repeat it."""
    return getattr(error, "sqlstate", None) == DEADLOCK
