"""What is SQLite's own: its statements and its lock."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from app.db import statements
from app.db.lent import LentConnection
from app.schemas import Item

# A NULL leaves the column as it is: one prepared statement for every set of changes.
_UPDATE_ITEM = """
    UPDATE items
    SET name = coalesce(?, name),
        price_cents = coalesce(?, price_cents),
        stock = coalesce(?, stock)
    WHERE id = ?
    RETURNING id, name, price_cents, stock, created_at
"""

_TAKE_FROM_STOCK = "UPDATE items SET stock = stock - ? WHERE id = ? AND stock >= ? RETURNING price_cents"

# Tortoise binds by position.
_UPSERT_ITEMS = statements.UPSERT_ITEMS.replace(":rows", "?")
_REVENUE = statements.REVENUE.replace(":since", "?")
SLOW_STATEMENT = statements.SLOW_STATEMENT.replace(":seconds", "?")


async def update_item(client: LentConnection, item_id: UUID, changes: Mapping[str, Any]) -> dict[str, Any] | None:
    """Change the named columns of an item; the row as it is then, None where there is none."""
    values = [changes.get("name"), changes.get("price_cents"), changes.get("stock"), str(item_id)]
    rows = await client.execute_query_dict(_UPDATE_ITEM, values)
    return rows[0] if rows else None


async def upsert_items(client: LentConnection, rows: Sequence[Item]) -> None:
    """Store all rows, replacing price and stock where the name exists."""
    values = [(str(row.id), row.name, row.price_cents, row.stock, _text(row.created_at)) for row in rows]
    await client.execute_query(_UPSERT_ITEMS, [json.dumps(values)])


async def take_from_stock(client: LentConnection, item_id: UUID, quantity: int) -> int | None:
    """Take a quantity of an item; its price, None where there is no such item or too little of it."""
    rows = await client.execute_query_dict(_TAKE_FROM_STOCK, [quantity, str(item_id), quantity])
    return rows[0]["price_cents"] if rows else None


async def revenue(client: LentConnection, since: datetime) -> list[dict[str, Any]]:
    """Day, orders and revenue_cents of each day that had orders."""
    return await client.execute_query_dict(_REVENUE, [_text(since)])


@asynccontextmanager
async def locked_migrations(client: LentConnection) -> AsyncIterator[None]:
    """One transaction, begun when no other migration runs: BEGIN IMMEDIATE is the lock."""
    async with client.open_transaction():
        yield


def is_deadlock(error: Exception) -> bool:
    """Never: writers wait for their turn at the start of their transactions."""
    return False


def _text(moment: datetime) -> str:
    """A moment as Tortoise stores it."""
    return moment.astimezone(UTC).isoformat(" ")
