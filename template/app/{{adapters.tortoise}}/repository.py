"""The repository on Tortoise; the statements that each database writes differently are in dialect.py."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from tortoise.exceptions import IntegrityError

from app.db import dialect
from app.db.client import Client
from app.db.lent import driver_error
from app.db.models import ItemRow, OrderRow
from app.db.repeating import repeat
from app.errors import ConflictError, NotFoundError
from app.schemas import DayRevenue, Item, NewItem, NewOrder, Order

T = TypeVar("T")

# Values instead of model instances: nothing here changes them, and reads cost less.
_ITEM = ("id", "name", "price_cents", "stock", "created_at")


class TortoiseRepository:
    """Implements app.repository.Repository on one connection; every query names it: `using_db`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._depth = 0  # how many transactions are open, one inside the other

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """One transaction; inside another one, a savepoint: an inner rollback keeps the outer work."""
        async with self._client.open_transaction():
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1

    async def create_item(self, new: NewItem) -> Item:
        item = Item.new(new, datetime.now(UTC))
        try:
            await self._write(lambda: ItemRow.create(using_db=self._client, **dict(item)))
        except IntegrityError as error:
            raise ConflictError(f"an item named {new.name!r} exists") from error
        return item

    async def get_item(self, item_id: UUID) -> Item:
        rows = await ItemRow.all(using_db=self._client).filter(id=item_id).values(*_ITEM)
        if not rows:
            raise NotFoundError(f"no item {item_id}")
        return Item(**rows[0])

    async def list_items(self, limit: int, after: UUID | None) -> list[Item]:
        query = ItemRow.all(using_db=self._client).order_by("id").limit(limit)
        if after is not None:
            query = query.filter(id__gt=after)
        return [Item(**row) for row in await query.values(*_ITEM)]

    async def update_item(self, item_id: UUID, changes: dict[str, str | int]) -> Item:
        if not changes:
            return await self.get_item(item_id)
        try:
            row = await self._write(lambda: dialect.update_item(self._client, item_id, changes))
        except IntegrityError as error:
            raise ConflictError(f"an item named {changes['name']!r} exists") from error
        if row is None:
            raise NotFoundError(f"no item {item_id}")
        return Item(**row)

    async def delete_item(self, item_id: UUID) -> None:
        try:
            deleted = await self._write(lambda: ItemRow.all(using_db=self._client).filter(id=item_id).delete())
        except IntegrityError as error:
            raise ConflictError(f"orders refer to item {item_id}") from error
        if not deleted:
            raise NotFoundError(f"no item {item_id}")

    async def upsert_items(self, items: Sequence[NewItem]) -> None:
        if not items:
            return
        now = datetime.now(UTC)
        rows = [Item.new(item, now) for item in items]
        await self._write(lambda: dialect.upsert_items(self._client, rows))

    async def create_order(self, new: NewOrder) -> Order:
        return await self._write(lambda: self._place(new))

    async def _place(self, new: NewOrder) -> Order:
        async with self.transaction():
            price_cents = await dialect.take_from_stock(self._client, new.item_id, new.quantity)
            if price_cents is None:
                item = await self.get_item(new.item_id)
                raise ConflictError(f"{item.stock} in stock, fewer than ordered")
            order = Order.new(new, price_cents, datetime.now(UTC))
            await OrderRow.create(using_db=self._client, **dict(order))
        return order

    async def revenue(self, since: datetime) -> list[DayRevenue]:
        rows: list[dict[str, Any]] = await dialect.revenue(self._client, since)
        return [DayRevenue(**row) for row in rows]

    async def _write(self, write: Callable[[], Awaitable[T]]) -> T:
        """Run a write, again where a deadlock undid it; inside `transaction()` it is for the caller to repeat that."""
        return await repeat(write, lambda error: not self._depth and dialect.is_deadlock(driver_error(error)))
