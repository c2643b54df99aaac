"""What is MySQL's own: its statements and its lock."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from app.db.error_numbers import DEADLOCK, number
from app.db.lent import LentConnection
from app.db.migration_lock import LOCK, require_lock
from app.db.models import ItemRow
from app.schemas import Item

# One statement however many items: a JSON array. Without its character set a text column of JSON_TABLE has the
# database's, which may be Latin-1.
_UPSERT_ITEMS = """
    INSERT INTO items (id, name, price_cents, stock, created_at)
    SELECT new.id, new.name, new.price_cents, new.stock, new.created_at
    FROM JSON_TABLE(%s, '$[*]' COLUMNS (
        id CHAR(36) CHARACTER SET utf8mb4 PATH '$[0]',
        name VARCHAR(200) CHARACTER SET utf8mb4 PATH '$[1]',
        price_cents BIGINT PATH '$[2]',
        stock BIGINT PATH '$[3]',
        created_at DATETIME(6) PATH '$[4]'
    )) AS new
    ON DUPLICATE KEY UPDATE items.price_cents = new.price_cents, items.stock = new.stock
"""

# The price and one comes back as the "last inserted id", which any statement can set; 0 where there is no such row.
_TAKE_FROM_STOCK = """
    UPDATE items
    SET stock = stock - %s, price_cents = LAST_INSERT_ID(price_cents + 1) - 1
    WHERE id = %s AND stock >= %s
"""

_REVENUE = """
    SELECT DATE(created_at) AS day, COUNT(*) AS orders, SUM(total_cents) AS revenue_cents
    FROM orders
    WHERE created_at >= %s
    GROUP BY day
    ORDER BY day
"""

# For the tests; so long for each stored item. MySQL ends SELECT SLEEP(...) alone at its time limit without an error.
SLOW_STATEMENT = "SELECT id FROM items WHERE SLEEP(%s)"


async def update_item(client: LentConnection, item_id: UUID, changes: Mapping[str, Any]) -> dict[str, Any] | None:
    """Change the named columns of an item; the row as it is then, None where there is none."""
    item = ItemRow.all(using_db=client).filter(id=item_id)
    if not await item.update(**changes):  # it counts the rows that it found, changed or not
        return None
    rows: list[dict[str, Any]] = await item.values("id", "name", "price_cents", "stock", "created_at")
    return rows[0] if rows else None


async def upsert_items(client: LentConnection, rows: Sequence[Item]) -> None:
    """Store all rows, replacing price and stock where the name exists."""
    values = [
        (str(row.id), row.name, row.price_cents, row.stock, row.created_at.strftime("%Y-%m-%d %H:%M:%S.%f"))
        for row in rows
    ]
    await client.execute_query(_UPSERT_ITEMS, [json.dumps(values, ensure_ascii=False)])


async def take_from_stock(client: LentConnection, item_id: UUID, quantity: int) -> int | None:
    """Take a quantity of an item; its price, None where there is no such item or too little of it."""
    found = await client.execute_insert(_TAKE_FROM_STOCK, [quantity, str(item_id), quantity])
    return found - 1 if found else None


async def revenue(client: LentConnection, since: datetime) -> list[dict[str, Any]]:
    """Day, orders and revenue_cents of each day that had orders."""
    return await client.execute_query_dict(_REVENUE, [since.astimezone(UTC)])


@asynccontextmanager
async def locked_migrations(client: LentConnection) -> AsyncIterator[None]:
    """Until the end no other migration runs; the lock ends with the connection."""
    await client.execute_query("SET sql_notes = 0")  # the drivers would warn of a table that exists
    require_lock([list(row.values()) for row in await client.execute_query_dict(LOCK)])
    yield


def is_deadlock(error: Exception) -> bool:
    """Whether the database has undone the transaction, and asks to repeat it."""
    return number(error) == DEADLOCK
