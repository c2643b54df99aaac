"""The repository: SQL with bound parameters."""

import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from app.db.connection import Connection, Row
from app.db.statements import REVENUE, UPSERT_ITEMS
from app.errors import ConflictError, NotFoundError
from app.schemas import DayRevenue, Item, NewItem, NewOrder, Order

_INSERT_ITEM = "INSERT INTO items (id, name, price_cents, stock, created_at) VALUES (?, ?, ?, ?, ?)"

_GET_ITEM = "SELECT id, name, price_cents, stock, created_at FROM items WHERE id = ?"

_FIRST_ITEMS = "SELECT id, name, price_cents, stock, created_at FROM items ORDER BY id LIMIT ?"

_NEXT_ITEMS = "SELECT id, name, price_cents, stock, created_at FROM items WHERE id > ? ORDER BY id LIMIT ?"

# A NULL leaves the column as it is: one prepared statement for every set of changes.
_UPDATE_ITEM = """
    UPDATE items
    SET name = coalesce(?, name),
        price_cents = coalesce(?, price_cents),
        stock = coalesce(?, stock)
    WHERE id = ?
    RETURNING id, name, price_cents, stock, created_at
"""

_DELETE_ITEM = "DELETE FROM items WHERE id = ? RETURNING id"

_TAKE_FROM_STOCK = "UPDATE items SET stock = stock - ? WHERE id = ? AND stock >= ? RETURNING price_cents"

_INSERT_ORDER = "INSERT INTO orders (id, item_id, quantity, total_cents, created_at) VALUES (?, ?, ?, ?, ?)"


class AiosqliteRepository:
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
            await self._fetch(
                _INSERT_ITEM, str(item.id), item.name, item.price_cents, item.stock, _text(item.created_at)
            )
        except sqlite3.IntegrityError as error:
            raise ConflictError(f"an item named {new.name!r} exists") from error
        return item

    async def get_item(self, item_id: UUID) -> Item:
        return _one_item(item_id, await self._fetch(_GET_ITEM, str(item_id)))

    async def list_items(self, limit: int, after: UUID | None) -> list[Item]:
        if after is None:
            rows = await self._fetch(_FIRST_ITEMS, limit)
        else:
            rows = await self._fetch(_NEXT_ITEMS, str(after), limit)
        return [_item(row) for row in rows]

    async def update_item(self, item_id: UUID, changes: dict[str, str | int]) -> Item:
        values = (changes.get("name"), changes.get("price_cents"), changes.get("stock"))
        try:
            rows = await self._fetch(_UPDATE_ITEM, *values, str(item_id))
        except sqlite3.IntegrityError as error:
            raise ConflictError(f"an item named {changes['name']!r} exists") from error
        return _one_item(item_id, rows)

    async def delete_item(self, item_id: UUID) -> None:
        try:
            deleted = await self._fetch(_DELETE_ITEM, str(item_id))
        except sqlite3.IntegrityError as error:
            raise ConflictError(f"orders refer to item {item_id}") from error
        if not deleted:
            raise NotFoundError(f"no item {item_id}")

    async def upsert_items(self, items: Sequence[NewItem]) -> None:
        now = _text(datetime.now(UTC))
        rows = [(str(uuid7()), item.name, item.price_cents, item.stock, now) for item in items]
        await self._connection.fetch(UPSERT_ITEMS, {"rows": json.dumps(rows)})

    async def create_order(self, new: NewOrder) -> Order:
        async with self.transaction():
            taken = await self._fetch(_TAKE_FROM_STOCK, new.quantity, str(new.item_id), new.quantity)
            if not taken:
                item = await self.get_item(new.item_id)
                raise ConflictError(f"{item.stock} in stock, fewer than ordered")
            [[price_cents]] = taken
            order = Order.new(new, price_cents, datetime.now(UTC))
            ids = (str(order.id), str(order.item_id))
            await self._fetch(_INSERT_ORDER, *ids, order.quantity, order.total_cents, _text(order.created_at))
        return order

    async def revenue(self, since: datetime) -> list[DayRevenue]:
        rows = await self._connection.fetch(REVENUE, {"since": _text(since)})
        return [DayRevenue(day=day, orders=orders, revenue_cents=cents) for day, orders, cents in rows]

    async def _fetch(self, statement: str, *values: object) -> list[Row]:
        return await self._connection.fetch(statement, values)


def _text(moment: datetime) -> str:
    """A moment as the database keeps it, in UTC and always of the same length: its texts sort like the moments."""
    return moment.astimezone(UTC).isoformat(sep=" ", timespec="microseconds")


def _item(row: Row) -> Item:
    id_, name, price_cents, stock, created_at = row
    return Item(
        id=UUID(id_),
        name=name,
        price_cents=price_cents,
        stock=stock,
        created_at=datetime.fromisoformat(created_at),
    )


def _one_item(item_id: UUID, rows: Sequence[Row]) -> Item:
    if not rows:
        raise NotFoundError(f"no item {item_id}")
    return _item(rows[0])
