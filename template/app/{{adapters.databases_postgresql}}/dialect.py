"""What is PostgreSQL's own: its statements and its errors."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
from asyncpg import IntegrityConstraintViolationError as IntegrityError
from databases.backends.postgres import PostgresBackend
from databases.core import Connection
from databases.interfaces import Record

from app.schemas import Item

__all__ = ["BACKEND", "REVENUE", "SLOW_STATEMENT", "IntegrityError"]

BACKEND = PostgresBackend("postgresql://")

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

# One statement however many items: an array for each column. Not `:id::uuid[]`: that is read as no parameter.
_UPSERT_ITEMS = """
    INSERT INTO items (id, name, price_cents, stock, created_at)
    SELECT *
    FROM unnest(
        CAST(:id AS uuid[]),
        CAST(:name AS text[]),
        CAST(:price_cents AS bigint[]),
        CAST(:stock AS bigint[]),
        CAST(:created_at AS timestamptz[])
    )
    ON CONFLICT (name) DO UPDATE SET price_cents = excluded.price_cents, stock = excluded.stock
"""

_TAKE_FROM_STOCK = """
    UPDATE items SET stock = stock - :quantity WHERE id = :id AND stock >= :quantity RETURNING price_cents
"""

REVENUE = """
    SELECT (created_at AT TIME ZONE 'UTC')::date AS day,
           count(*) AS orders,
           sum(total_cents) AS revenue_cents
    FROM orders
    WHERE created_at >= :since
    GROUP BY day
    ORDER BY day
"""

SLOW_STATEMENT = "SELECT pg_sleep(:seconds)"  # for the tests


def parameters(**values: Any) -> dict[str, Any]:
    """The values as they are stored."""
    return values


def read_item(row: Record) -> Item:
    """The item of a row."""
    return Item(**row._mapping)


async def update_item(connection: Connection, item_id: UUID, changes: Mapping[str, Any]) -> Record | None:
    """Change the named columns of an item; the row as it is then, None where there is none."""
    columns = {name: changes.get(name) for name in ("name", "price_cents", "stock")}
    return await connection.fetch_one(_UPDATE_ITEM, {"id": item_id, **columns})


async def delete_item(connection: Connection, item_id: UUID) -> bool:
    """Delete an item; whether there was one."""
    return await connection.fetch_one(_DELETE_ITEM, {"id": item_id}) is not None


async def upsert_items(connection: Connection, rows: Sequence[Item]) -> None:
    """Store all rows, replacing price and stock where the name exists."""
    await connection.execute(
        _UPSERT_ITEMS, {column: [getattr(row, column) for row in rows] for column in Item.model_fields}
    )


async def take_from_stock(connection: Connection, item_id: UUID, quantity: int) -> int | None:
    """Take a quantity of an item; its price, None where there is no such item or too little of it."""
    price_cents: int | None = await connection.fetch_val(_TAKE_FROM_STOCK, {"id": item_id, "quantity": quantity})
    return price_cents


def may_repeat(connection: Connection, error: Exception) -> bool:
    """Whether a deadlock has undone a write that was no part of a transaction of the caller's."""
    return isinstance(error, asyncpg.DeadlockDetectedError) and not connection.raw_connection.is_in_transaction()


def is_missing_table(error: Exception) -> bool:
    """Whether a statement named a table that does not exist."""
    return isinstance(error, asyncpg.UndefinedTableError)
