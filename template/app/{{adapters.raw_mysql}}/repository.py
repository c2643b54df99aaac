"""The repository: SQL with bound parameters, for MySQL 8 and MariaDB alike."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from app.db.connecting import Connection, Error, IntegrityError
from app.db.error_numbers import DEADLOCK, number
from app.db.repeating import repeat
from app.errors import ConflictError, NotFoundError
from app.schemas import DayRevenue, Item, NewItem, NewOrder, Order

Row = tuple[Any, ...]

_INSERT_ITEM = "INSERT INTO items (id, name, price_cents, stock, created_at) VALUES (%s, %s, %s, %s, %s)"

_GET_ITEM = "SELECT id, name, price_cents, stock, created_at FROM items WHERE id = %s"

_FIRST_ITEMS = "SELECT id, name, price_cents, stock, created_at FROM items ORDER BY id LIMIT %s"

_NEXT_ITEMS = "SELECT id, name, price_cents, stock, created_at FROM items WHERE id > %s ORDER BY id LIMIT %s"

# An UPDATE returns no rows: a second statement in the same message reads the row, in the same round trip. A NULL leaves
# the column as it is.
_UPDATE_ITEM = """
    UPDATE items
    SET name = coalesce(%s, name),
        price_cents = coalesce(%s, price_cents),
        stock = coalesce(%s, stock)
    WHERE id = %s;
    SELECT id, name, price_cents, stock, created_at FROM items WHERE id = %s
"""

_DELETE_ITEM = "DELETE FROM items WHERE id = %s"

# One statement however many items: a JSON array. Without its character set a text column of JSON_TABLE has the
# database's, which may be Latin-1.
_UPSERT_ITEMS = """
    INSERT INTO items (id, name, price_cents, stock, created_at)
    SELECT UNHEX(new.id), new.name, new.price_cents, new.stock, %s
    FROM JSON_TABLE(%s, '$[*]' COLUMNS (
        id CHAR(32) CHARACTER SET utf8mb4 PATH '$[0]',
        name VARCHAR(200) CHARACTER SET utf8mb4 PATH '$[1]',
        price_cents BIGINT PATH '$[2]',
        stock BIGINT PATH '$[3]'
    )) AS new
    ON DUPLICATE KEY UPDATE items.price_cents = new.price_cents, items.stock = new.stock
"""

# The price comes back as the "last inserted id", which any statement can set.
_TAKE_FROM_STOCK = """
    UPDATE items
    SET stock = stock - %s, price_cents = LAST_INSERT_ID(price_cents)
    WHERE id = %s AND stock >= %s
"""

_INSERT_ORDER = "INSERT INTO orders (id, item_id, quantity, total_cents, created_at) VALUES (%s, %s, %s, %s, %s)"

_REVENUE = """
    SELECT DATE(created_at) AS day, COUNT(*) AS orders, SUM(total_cents) AS revenue_cents
    FROM orders
    WHERE created_at >= %s
    GROUP BY day
    ORDER BY day
"""


class MySqlRepository:
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
            await self._write(_INSERT_ITEM, item.id.bytes, item.name, item.price_cents, item.stock, item.created_at)
        except IntegrityError as error:
            raise ConflictError(f"an item named {new.name!r} exists") from error
        return item

    async def get_item(self, item_id: UUID) -> Item:
        return _one_item(item_id, await self._fetch(_GET_ITEM, item_id.bytes))

    async def list_items(self, limit: int, after: UUID | None) -> list[Item]:
        if after is None:
            rows = await self._fetch(_FIRST_ITEMS, limit)
        else:
            rows = await self._fetch(_NEXT_ITEMS, after.bytes, limit)
        return [_item(row) for row in rows]

    async def update_item(self, item_id: UUID, changes: dict[str, str | int]) -> Item:
        values = (changes.get("name"), changes.get("price_cents"), changes.get("stock"), item_id.bytes, item_id.bytes)
        try:
            rows = await repeat(lambda: self._fetch(_UPDATE_ITEM, *values), self._may_repeat)
        except IntegrityError as error:
            raise ConflictError(f"an item named {changes['name']!r} exists") from error
        return _one_item(item_id, rows)

    async def delete_item(self, item_id: UUID) -> None:
        try:
            deleted, _ = await self._write(_DELETE_ITEM, item_id.bytes)
        except IntegrityError as error:
            raise ConflictError(f"orders refer to item {item_id}") from error
        if not deleted:
            raise NotFoundError(f"no item {item_id}")

    async def upsert_items(self, items: Sequence[NewItem]) -> None:
        rows = [(uuid7().hex, item.name, item.price_cents, item.stock) for item in items]
        await self._write(_UPSERT_ITEMS, datetime.now(UTC), json.dumps(rows, ensure_ascii=False))

    async def create_order(self, new: NewOrder) -> Order:
        return await repeat(lambda: self._place(new), self._may_repeat)

    async def _place(self, new: NewOrder) -> Order:
        async with self.transaction():
            taken, price_cents = await self._execute(_TAKE_FROM_STOCK, new.quantity, new.item_id.bytes, new.quantity)
            if not taken:
                item = await self.get_item(new.item_id)
                raise ConflictError(f"{item.stock} in stock, fewer than ordered")
            order = Order.new(new, price_cents, datetime.now(UTC))
            ids = (order.id.bytes, order.item_id.bytes)
            await self._execute(_INSERT_ORDER, *ids, order.quantity, order.total_cents, order.created_at)
        return order

    async def revenue(self, since: datetime) -> list[DayRevenue]:
        rows = await self._fetch(_REVENUE, since)
        return [DayRevenue(day=day, orders=orders, revenue_cents=cents) for day, orders, cents in rows]

    async def _fetch(self, statement: str, *values: object) -> Sequence[Row]:
        """The rows of the last result."""
        async with self._connection.cursor() as cursor:
            await cursor.execute(statement, values)
            while await cursor.nextset():
                pass
            rows: Sequence[Row] = await cursor.fetchall()
        return rows

    async def _execute(self, statement: str, *values: object) -> tuple[int, int]:
        """How many rows were found, and the last inserted id."""
        async with self._connection.cursor() as cursor:
            await cursor.execute(statement, values)
            counts: tuple[Any, Any] = (cursor.rowcount, cursor.lastrowid)
        return counts

    async def _write(self, statement: str, *values: object) -> tuple[int, int]:
        return await repeat(lambda: self._execute(statement, *values), self._may_repeat)

    def _may_repeat(self, error: Exception) -> bool:
        if not isinstance(error, Error) or number(error) != DEADLOCK:
            return False
        if self._connection.depth:
            # It undid the whole of the caller's transaction: nothing that follows may run outside of one.
            self._connection.close()
        return not self._connection.depth


def _item(row: Row) -> Item:
    id_, name, price_cents, stock, created_at = row
    return Item(
        id=UUID(bytes=id_),
        name=name,
        price_cents=price_cents,
        stock=stock,
        created_at=created_at.replace(tzinfo=UTC),
    )


def _one_item(item_id: UUID, rows: Sequence[Row]) -> Item:
    if not rows:
        raise NotFoundError(f"no item {item_id}")
    return _item(rows[0])
