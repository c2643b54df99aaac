"""The repository: SQL with bound parameters (queries.py; dialect.py where databases differ)."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from databases.core import Connection

from app.db import dialect
from app.db.dialect import parameters
from app.db.queries import FIRST_ITEMS, GET_ITEM, INSERT_ITEM, INSERT_ORDER, NEXT_ITEMS
from app.db.repeating import repeat
from app.errors import ConflictError, NotFoundError
from app.schemas import DayRevenue, Item, NewItem, NewOrder, Order

T = TypeVar("T")


class DatabasesRepository:
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
            await self._write(lambda: self._connection.execute(INSERT_ITEM, parameters(**dict(item))))
        except dialect.IntegrityError as error:
            raise ConflictError(f"an item named {new.name!r} exists") from error
        return item

    async def get_item(self, item_id: UUID) -> Item:
        row = await self._connection.fetch_one(GET_ITEM, parameters(id=item_id))
        if row is None:
            raise NotFoundError(f"no item {item_id}")
        return dialect.read_item(row)

    async def list_items(self, limit: int, after: UUID | None) -> list[Item]:
        if after is None:
            rows = await self._connection.fetch_all(FIRST_ITEMS, {"limit": limit})
        else:
            rows = await self._connection.fetch_all(NEXT_ITEMS, parameters(after=after, limit=limit))
        return [dialect.read_item(row) for row in rows]

    async def update_item(self, item_id: UUID, changes: dict[str, str | int]) -> Item:
        try:
            row = await self._write(lambda: dialect.update_item(self._connection, item_id, changes))
        except dialect.IntegrityError as error:
            raise ConflictError(f"an item named {changes['name']!r} exists") from error
        if row is None:
            raise NotFoundError(f"no item {item_id}")
        return dialect.read_item(row)

    async def delete_item(self, item_id: UUID) -> None:
        try:
            deleted = await self._write(lambda: dialect.delete_item(self._connection, item_id))
        except dialect.IntegrityError as error:
            raise ConflictError(f"orders refer to item {item_id}") from error
        if not deleted:
            raise NotFoundError(f"no item {item_id}")

    async def upsert_items(self, items: Sequence[NewItem]) -> None:
        now = datetime.now(UTC)
        rows = [Item.new(item, now) for item in items]
        await self._write(lambda: dialect.upsert_items(self._connection, rows))

    async def create_order(self, new: NewOrder) -> Order:
        return await self._write(lambda: self._place(new))

    async def _place(self, new: NewOrder) -> Order:
        async with self.transaction():
            price_cents = await dialect.take_from_stock(self._connection, new.item_id, new.quantity)
            if price_cents is None:
                item = await self.get_item(new.item_id)
                raise ConflictError(f"{item.stock} in stock, fewer than ordered")
            order = Order.new(new, price_cents, datetime.now(UTC))
            await self._connection.execute(INSERT_ORDER, parameters(**dict(order)))
        return order

    async def revenue(self, since: datetime) -> list[DayRevenue]:
        rows = await self._connection.fetch_all(dialect.REVENUE, parameters(since=since))
        return [DayRevenue(**row._mapping) for row in rows]

    async def _write(self, write: Callable[[], Awaitable[T]]) -> T:
        return await repeat(write, lambda error: dialect.may_repeat(self._connection, error))
