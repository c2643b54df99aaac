"""What is SQLite's own: its statements, its types and its errors."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from sqlite3 import IntegrityError
from typing import Any
from uuid import UUID

from databases.core import Connection
from databases.interfaces import Record

from app.db.backend import OneVisitBackend
from app.db.error_names import error_for
from app.db.statements import REVENUE, SLOW_STATEMENT, UPSERT_ITEMS
from app.schemas import Item

__all__ = ["BACKEND", "REVENUE", "SLOW_STATEMENT", "IntegrityError"]

BACKEND = OneVisitBackend("sqlite://")

# A NULL leaves the column as it is.
_UPDATE_ITEM = """
    UPDATE items
    SET name = coalesce(:name, name),
        price_cents = coalesce(:price_cents, price_cents),
        stock = coalesce(:stock, stock)
    WHERE id = :id
    RETURNING id, name, price_cents, stock, created_at
"""

_DELETE_ITEM = "DELETE FROM items WHERE id = :id RETURNING id"

_TAKE_FROM_STOCK = """
    UPDATE items SET stock = stock - :quantity WHERE id = :id AND stock >= :quantity RETURNING price_cents
"""


def parameters(**values: Any) -> dict[str, Any]:
    """The values as they are stored."""
    return {name: _stored(value) for name, value in values.items()}


def _stored(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        # In UTC and always of the same length: the texts sort like the moments.
        return value.astimezone(UTC).isoformat(sep=" ", timespec="microseconds")
    return value


def read_item(row: Record) -> Item:
    """The item of a row."""
    id_, name, price_cents, stock, created_at = row._mapping.values()
    return Item(
        id=UUID(id_),
        name=name,
        price_cents=price_cents,
        stock=stock,
        created_at=datetime.fromisoformat(created_at),
    )


async def update_item(connection: Connection, item_id: UUID, changes: Mapping[str, Any]) -> Record | None:
    """Change the named columns of an item; the row as it is then, None where there is none."""
    columns = {name: changes.get(name) for name in ("name", "price_cents", "stock")}
    return await connection.fetch_one(_UPDATE_ITEM, parameters(id=item_id, **columns))


async def delete_item(connection: Connection, item_id: UUID) -> bool:
    """Delete an item; whether there was one."""
    return await connection.fetch_one(_DELETE_ITEM, parameters(id=item_id)) is not None


async def upsert_items(connection: Connection, rows: Sequence[Item]) -> None:
    """Store all rows, replacing price and stock where the name exists."""
    values = [[_stored(value) for _, value in row] for row in rows]
    await connection.execute(UPSERT_ITEMS, {"rows": json.dumps(values)})


async def take_from_stock(connection: Connection, item_id: UUID, quantity: int) -> int | None:
    """Take a quantity of an item; its price, None where there is no such item or too little of it."""
    values = parameters(id=item_id, quantity=quantity)
    price_cents: int | None = await connection.fetch_val(_TAKE_FROM_STOCK, values)
    return price_cents


def may_repeat(connection: Connection, error: Exception) -> bool:
    """Never: writers wait for their turn at the start of their transactions."""
    return False


def is_missing_table(error: Exception) -> bool:
    """Whether a statement named a table that does not exist."""
    return isinstance(error, sqlite3.OperationalError) and error_for(error) is None
