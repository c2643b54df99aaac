"""What is MySQL's own: its statements, its types and its errors."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any
from uuid import UUID

from databases import Database
from databases.core import Connection
from databases.interfaces import Record

from app.db.connecting import NAME, Error, IntegrityError
from app.db.error_numbers import DEADLOCK, NO_SUCH_TABLE, number
from app.db.queries import GET_ITEM
from app.schemas import Item

__all__ = ["BACKEND", "REVENUE", "SLOW_STATEMENT", "IntegrityError"]

BACKEND = Database(f"mysql+{NAME}://")._backend

# A NULL leaves the column as it is.
_UPDATE_ITEM = """
    UPDATE items
    SET name = coalesce(:name, name),
        price_cents = coalesce(:price_cents, price_cents),
        stock = coalesce(:stock, stock)
    WHERE id = :id
"""

_DELETE_ITEM = "DELETE FROM items WHERE id = :id"

# One statement however many items: a JSON array. Without its character set a text column of JSON_TABLE has the
# database's, which may be Latin-1.
_UPSERT_ITEMS = """
    INSERT INTO items (id, name, price_cents, stock, created_at)
    SELECT UNHEX(new.id), new.name, new.price_cents, new.stock, new.created_at
    FROM JSON_TABLE(:rows, '$[*]' COLUMNS (
        id CHAR(32) CHARACTER SET utf8mb4 PATH '$[0]',
        name VARCHAR(200) CHARACTER SET utf8mb4 PATH '$[1]',
        price_cents BIGINT PATH '$[2]',
        stock BIGINT PATH '$[3]',
        created_at DATETIME(6) PATH '$[4]'
    )) AS new
    ON DUPLICATE KEY UPDATE items.price_cents = new.price_cents, items.stock = new.stock
"""

# The price comes back as the "last inserted id", which any statement can set; one more than the price, since for 0
# the library returns how many rows were found.
_TAKE_FROM_STOCK = """
    UPDATE items
    SET stock = stock - :quantity, price_cents = LAST_INSERT_ID(price_cents + 1) - 1
    WHERE id = :id AND stock >= :quantity
"""

REVENUE = """
    SELECT DATE(created_at) AS day, COUNT(*) AS orders, SUM(total_cents) AS revenue_cents
    FROM orders
    WHERE created_at >= :since
    GROUP BY day
    ORDER BY day
"""

# For the tests; so long for each stored item. MySQL ends SELECT SLEEP(...) alone at its time limit without an error.
SLOW_STATEMENT = "SELECT id FROM items WHERE SLEEP(:seconds)"


def parameters(**values: Any) -> dict[str, Any]:
    """The values as they are stored."""
    return {name: value.bytes if isinstance(value, UUID) else value for name, value in values.items()}


def read_item(row: Record) -> Item:
    """The item of a row."""
    id_, name, price_cents, stock, created_at = row._mapping.values()
    return Item(
        id=UUID(bytes=id_),
        name=name,
        price_cents=price_cents,
        stock=stock,
        created_at=created_at.replace(tzinfo=UTC),
    )


async def update_item(connection: Connection, item_id: UUID, changes: Mapping[str, Any]) -> Record | None:
    """Change the named columns of an item; the row as it is then, None where there is none."""
    columns = {name: changes.get(name) for name in ("name", "price_cents", "stock")}
    await connection.execute(_UPDATE_ITEM, parameters(id=item_id, **columns))
    return await connection.fetch_one(GET_ITEM, parameters(id=item_id))


async def delete_item(connection: Connection, item_id: UUID) -> bool:
    """Delete an item; whether there was one."""
    deleted: int = await connection.execute(_DELETE_ITEM, parameters(id=item_id))
    return deleted > 0


async def upsert_items(connection: Connection, rows: Sequence[Item]) -> None:
    """Store all rows, replacing price and stock where the name exists."""
    values = [
        (row.id.hex, row.name, row.price_cents, row.stock, row.created_at.strftime("%Y-%m-%d %H:%M:%S.%f"))
        for row in rows
    ]
    await connection.execute(_UPSERT_ITEMS, {"rows": json.dumps(values, ensure_ascii=False)})


async def take_from_stock(connection: Connection, item_id: UUID, quantity: int) -> int | None:
    """Take a quantity of an item; its price, None where there is no such item or too little of it."""
    found: int = await connection.execute(_TAKE_FROM_STOCK, parameters(id=item_id, quantity=quantity))
    return found - 1 if found else None


def may_repeat(connection: Connection, error: Exception) -> bool:
    """Whether a deadlock has undone a write that was no part of a transaction of the caller's."""
    if not isinstance(error, Error) or number(error) != DEADLOCK:
        return False
    in_transaction = connection.raw_connection.depth > 0
    if in_transaction:
        # The deadlock undid the whole of it: nothing that follows may run outside of one.
        connection.raw_connection.close()
    return not in_transaction


def is_missing_table(error: Exception) -> bool:
    """Whether a statement named a table that does not exist."""
    return isinstance(error, Error) and number(error) == NO_SUCH_TABLE
