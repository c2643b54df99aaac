"""The repository: SQL with bound parameters."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from app.db.connection import Connection
from app.errors import ConflictError, NotFoundError
from app.schemas import DayRevenue, Item, NewItem, NewOrder, Order

_INSERT_ITEM = "INSERT INTO items (id, name, price_cents, stock, created_at) VALUES ($1, $2, $3, $4, $5)"

_GET_ITEM = "SELECT id, name, price_cents, stock, created_at FROM items WHERE id = $1"

_FIRST_ITEMS = "SELECT id, name, price_cents, stock, created_at FROM items ORDER BY id LIMIT $1"

_NEXT_ITEMS = "SELECT id, name, price_cents, stock, created_at FROM items WHERE id > $2 ORDER BY id LIMIT $1"

# A NULL leaves the column as it is: one prepared statement for every set of changes.
_UPDATE_ITEM = """
    UPDATE items
    SET name = coalesce($2, name),
        price_cents = coalesce($3, price_cents),
        stock = coalesce($4, stock)
    WHERE id = $1
    RETURNING id, name, price_cents, stock, created_at
"""

_DELETE_ITEM = "DELETE FROM items WHERE id = $1"

# One statement however many items: an array for each column.
_UPSERT_ITEMS = """
    INSERT INTO items (id, name, price_cents, stock, created_at)
    SELECT id, name, price_cents, stock, $5
    FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[]) AS new (id, name, price_cents, stock)
    ON CONFLICT (name) DO UPDATE SET price_cents = excluded.price_cents, stock = excluded.stock
"""

_TAKE_FROM_STOCK = "UPDATE items SET stock = stock - $2 WHERE id = $1 AND stock >= $2 RETURNING price_cents"

_INSERT_ORDER = "INSERT INTO orders (id, item_id, quantity, total_cents, created_at) VALUES ($1, $2, $3, $4, $5)"

_REVENUE = """
    SELECT (created_at AT TIME ZONE 'UTC')::date AS day,
           count(*) AS orders,
           sum(total_cents) AS revenue_cents
    FROM orders
    WHERE created_at >= $1
    GROUP BY day
    ORDER BY day
"""


class AsyncpgRepository:
    """Implements app.repository.Repository on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """One transaction; inside another one, a savepoint: an inner rollback keeps the outer work."""
        async with self._connection.transaction():
            yield

    async def create_item(self, new: NewItem) -> Item:
        item = Item.new(new, datetime.now(UTC))
        try:
            await self._connection.execute(
                _INSERT_ITEM, item.id, item.name, item.price_cents, item.stock, item.created_at
            )
        except asyncpg.UniqueViolationError as error:
            raise ConflictError(f"an item named {new.name!r} exists") from error
        return item

    async def get_item(self, item_id: UUID) -> Item:
        return _one_item(item_id, await self._connection.fetchrow(_GET_ITEM, item_id))

    async def list_items(self, limit: int, after: UUID | None) -> list[Item]:
        if after is None:
            rows = await self._connection.fetch(_FIRST_ITEMS, limit)
        else:
            rows = await self._connection.fetch(_NEXT_ITEMS, limit, after)
        return [Item(**row) for row in rows]

    async def update_item(self, item_id: UUID, changes: dict[str, str | int]) -> Item:
        values = (changes.get("name"), changes.get("price_cents"), changes.get("stock"))
        try:
            row = await self._connection.fetchrow(_UPDATE_ITEM, item_id, *values)
        except asyncpg.UniqueViolationError as error:
            raise ConflictError(f"an item named {changes['name']!r} exists") from error
        return _one_item(item_id, row)

    async def delete_item(self, item_id: UUID) -> None:
        try:
            status = await self._connection.execute(_DELETE_ITEM, item_id)
        except asyncpg.ForeignKeyViolationError as error:
            raise ConflictError(f"orders refer to item {item_id}") from error
        if status == "DELETE 0":
            raise NotFoundError(f"no item {item_id}")

    async def upsert_items(self, items: Sequence[NewItem]) -> None:
        await self._connection.execute(
            _UPSERT_ITEMS,
            [uuid7() for _ in items],
            [item.name for item in items],
            [item.price_cents for item in items],
            [item.stock for item in items],
            datetime.now(UTC),
        )

    async def create_order(self, new: NewOrder) -> Order:
        async with self.transaction():
            price_cents = await self._connection.fetchval(_TAKE_FROM_STOCK, new.item_id, new.quantity)
            if price_cents is None:
                item = await self.get_item(new.item_id)
                raise ConflictError(f"{item.stock} in stock, fewer than ordered")
            order = Order.new(new, price_cents, datetime.now(UTC))
            await self._connection.execute(
                _INSERT_ORDER, order.id, order.item_id, order.quantity, order.total_cents, order.created_at
            )
        return order

    async def revenue(self, since: datetime) -> list[DayRevenue]:
        return [DayRevenue(**row) for row in await self._connection.fetch(_REVENUE, since)]


def _one_item(item_id: UUID, row: Any) -> Item:
    if row is None:
        raise NotFoundError(f"no item {item_id}")
    return Item(**row)
