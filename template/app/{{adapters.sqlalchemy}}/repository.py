"""The repository on SQLAlchemy; what each database writes differently is in dialect.py and changes.py."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, cast
from uuid import UUID

from sqlalchemy import CursorResult, RowMapping, delete, insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.db import dialect
from app.db.changes import change_item, take_from_stock
from app.db.models import ITEM_COLUMNS, ItemRow, OrderRow
from app.db.repeating import repeat
from app.errors import ConflictError, NotFoundError
from app.schemas import DayRevenue, Item, NewItem, NewOrder, Order


class SqlAlchemyRepository:
    """Implements app.repository.Repository; holds at most one connection."""

    def __init__(
        self,
        autocommit_sessions: async_sessionmaker[AsyncSession],
        transaction_sessions: async_sessionmaker[AsyncSession],
    ) -> None:
        self._transaction_sessions = transaction_sessions
        self._autocommit_session = autocommit_sessions()
        self._session = self._autocommit_session

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._autocommit_session.__aexit__(kind, error, trace)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """One transaction; inside another one, a savepoint: an inner rollback keeps the outer work."""
        if self._session is not self._autocommit_session:
            async with self._session.begin_nested():
                yield
            return
        await self._autocommit_session.close()  # its connection goes back before another is taken
        try:
            async with self._transaction_sessions() as self._session, self._session.begin():
                yield
        finally:
            self._session = self._autocommit_session

    async def create_item(self, new: NewItem) -> Item:
        item = Item.new(new, datetime.now(UTC))
        try:
            await repeat(lambda: self._session.execute(insert(ItemRow).values(**dict(item))), self._may_repeat)
        except IntegrityError as error:
            raise ConflictError(f"an item named {new.name!r} exists") from error
        return item

    async def get_item(self, item_id: UUID) -> Item:
        result = await self._session.execute(select(*ITEM_COLUMNS).where(ItemRow.id == item_id))
        return _one_item(item_id, result.mappings().one_or_none())

    async def list_items(self, limit: int, after: UUID | None) -> list[Item]:
        statement = select(*ITEM_COLUMNS).order_by(ItemRow.id).limit(limit)
        if after is not None:
            statement = statement.where(ItemRow.id > after)
        result = await self._session.execute(statement)
        return [Item(**row._mapping) for row in result]

    async def update_item(self, item_id: UUID, changes: dict[str, str | int]) -> Item:
        if not changes:
            return await self.get_item(item_id)
        try:
            row = await repeat(lambda: change_item(self._session, item_id, changes), self._may_repeat)
        except IntegrityError as error:
            raise ConflictError(f"an item named {changes['name']!r} exists") from error
        return _one_item(item_id, row)

    async def delete_item(self, item_id: UUID) -> None:
        statement = delete(ItemRow).where(ItemRow.id == item_id).execution_options(synchronize_session=False)
        try:
            result = await repeat(lambda: self._session.execute(statement), self._may_repeat)
        except IntegrityError as error:
            raise ConflictError(f"orders refer to item {item_id}") from error
        if cast(CursorResult[Any], result).rowcount == 0:
            raise NotFoundError(f"no item {item_id}")

    async def upsert_items(self, items: Sequence[NewItem]) -> None:
        if not items:
            return
        now = datetime.now(UTC)
        rows = [Item.new(item, now) for item in items]
        parameters = dialect.upsert_parameters(rows)
        await repeat(lambda: self._session.execute(dialect.UPSERT_ITEMS, parameters), self._may_repeat)

    async def create_order(self, new: NewOrder) -> Order:
        return await repeat(lambda: self._place(new), self._may_repeat)

    async def _place(self, new: NewOrder) -> Order:
        async with self.transaction():
            price_cents = await take_from_stock(self._session, new.item_id, new.quantity)
            if price_cents is None:
                item = await self.get_item(new.item_id)
                raise ConflictError(f"{item.stock} in stock, fewer than ordered")
            order = Order.new(new, price_cents, datetime.now(UTC))
            await self._session.execute(insert(OrderRow).values(**dict(order)))
        return order

    async def revenue(self, since: datetime) -> list[DayRevenue]:
        result = await self._session.execute(dialect.REVENUE, {"since": since})
        return [DayRevenue(**row._mapping) for row in result]

    def _may_repeat(self, error: Exception) -> bool:
        # Inside `transaction()` it is for the caller to repeat all of that.
        alone = self._session is self._autocommit_session
        return alone and isinstance(error, DBAPIError) and dialect.is_deadlock(error)


def _one_item(item_id: UUID, row: RowMapping | None) -> Item:
    if row is None:
        raise NotFoundError(f"no item {item_id}")
    return Item(**row)
