"""The repository: SQL with bound parameters."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import ForeignKeyViolation, UniqueViolation
from psycopg.rows import DictRow
from uuid_utils.compat import uuid7

from app.errors import ConflictError, NotFoundError
from app.schemas import DayRevenue, Item, NewItem, NewOrder, Order

_INSERT_ITEM = """
    INSERT INTO items (id, name, price_cents, stock, created_at)
    VALUES (%(id)s, %(name)s, %(price_cents)s, %(stock)s, %(created_at)s)
"""

_GET_ITEM = "SELECT id, name, price_cents, stock, created_at FROM items WHERE id = %(id)s"

_FIRST_ITEMS = "SELECT id, name, price_cents, stock, created_at FROM items ORDER BY id LIMIT %(limit)s"

_NEXT_ITEMS = """
    SELECT id, name, price_cents, stock, created_at FROM items WHERE id > %(after)s ORDER BY id LIMIT %(limit)s
"""

# A NULL leaves the column as it is: one prepared statement for every set of changes.
_UPDATE_ITEM = """
    UPDATE items
    SET name = coalesce(%(name)s, name),
        price_cents = coalesce(%(price_cents)s, price_cents),
        stock = coalesce(%(stock)s, stock)
    WHERE id = %(id)s
    RETURNING id, name, price_cents, stock, created_at
"""

_DELETE_ITEM = "DELETE FROM items WHERE id = %(id)s"

# One statement however many items: an array for each column.
_UPSERT_ITEMS = """
    INSERT INTO items (id, name, price_cents, stock, created_at)
    SELECT id, name, price_cents, stock, %(created_at)s
    FROM unnest(%(ids)s::uuid[], %(names)s::text[], %(prices)s::bigint[], %(stocks)s::bigint[])
        AS new (id, name, price_cents, stock)
    ON CONFLICT (name) DO UPDATE SET price_cents = excluded.price_cents, stock = excluded.stock
"""

_TAKE_FROM_STOCK = """
    UPDATE items SET stock = stock - %(quantity)s
    WHERE id = %(item_id)s AND stock >= %(quantity)s
    RETURNING price_cents
"""

_INSERT_ORDER = """
    INSERT INTO orders (id, item_id, quantity, total_cents, created_at)
    VALUES (%(id)s, %(item_id)s, %(quantity)s, %(total_cents)s, %(created_at)s)
"""

_REVENUE = """
    SELECT (created_at AT TIME ZONE 'UTC')::date AS day,
           count(*) AS orders,
           sum(total_cents) AS revenue_cents
    FROM orders
    WHERE created_at >= %(since)s
    GROUP BY day
    ORDER BY day
"""


class PsycopgRepository:
    """Implements app.repository.Repository on one connection."""

    def __init__(self, connection: AsyncConnection[DictRow]) -> None:
        self._connection = connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """One transaction; inside another one, a savepoint: an inner rollback keeps the outer work."""
        async with self._connection.transaction():
            yield

    async def create_item(self, new: NewItem) -> Item:
        item = Item.new(new, datetime.now(UTC))
        try:
            await self._connection.execute(_INSERT_ITEM, dict(item))
        except UniqueViolation as error:
            raise ConflictError(f"an item named {new.name!r} exists") from error
        return item

    async def get_item(self, item_id: UUID) -> Item:
        cursor = await self._connection.execute(_GET_ITEM, {"id": item_id})
        return _one_item(item_id, await cursor.fetchone())

    async def list_items(self, limit: int, after: UUID | None) -> list[Item]:
        statement = _FIRST_ITEMS if after is None else _NEXT_ITEMS
        cursor = await self._connection.execute(statement, {"limit": limit, "after": after})
        return [Item(**row) for row in await cursor.fetchall()]

    async def update_item(self, item_id: UUID, changes: dict[str, str | int]) -> Item:
        unchanged = {"name": None, "price_cents": None, "stock": None}
        try:
            cursor = await self._connection.execute(_UPDATE_ITEM, {**unchanged, **changes, "id": item_id})
        except UniqueViolation as error:
            raise ConflictError(f"an item named {changes['name']!r} exists") from error
        return _one_item(item_id, await cursor.fetchone())

    async def delete_item(self, item_id: UUID) -> None:
        try:
            cursor = await self._connection.execute(_DELETE_ITEM, {"id": item_id})
        except ForeignKeyViolation as error:
            raise ConflictError(f"orders refer to item {item_id}") from error
        if cursor.rowcount == 0:
            raise NotFoundError(f"no item {item_id}")

    async def upsert_items(self, items: Sequence[NewItem]) -> None:
        columns = {
            "ids": [uuid7() for _ in items],
            "names": [item.name for item in items],
            "prices": [item.price_cents for item in items],
            "stocks": [item.stock for item in items],
        }
        await self._connection.execute(_UPSERT_ITEMS, {**columns, "created_at": datetime.now(UTC)})

    async def create_order(self, new: NewOrder) -> Order:
        async with self.transaction():
            cursor = await self._connection.execute(_TAKE_FROM_STOCK, new.model_dump())
            taken = await cursor.fetchone()
            if taken is None:
                item = await self.get_item(new.item_id)
                raise ConflictError(f"{item.stock} in stock, fewer than ordered")
            order = Order.new(new, taken["price_cents"], datetime.now(UTC))
            await self._connection.execute(_INSERT_ORDER, dict(order))
        return order

    async def revenue(self, since: datetime) -> list[DayRevenue]:
        cursor = await self._connection.execute(_REVENUE, {"since": since})
        return [DayRevenue(**row) for row in await cursor.fetchall()]


def _one_item(item_id: UUID, row: dict[str, Any] | None) -> Item:
    if row is None:
        raise NotFoundError(f"no item {item_id}")
    return Item(**row)
