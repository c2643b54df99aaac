"""The repository: Beanie's documents, and transactions where several must change together."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from beanie import BulkWriter, Document, UpdateResponse
from pymongo.errors import DuplicateKeyError

from app.db.documents import Documents
from app.db.driver import Client
from app.db.leftovers import Leftovers
from app.db.statements import day_revenue, now, revenue_by_day, upsert_item
from app.db.transactions import Transactional
from app.errors import ConflictError, NotFoundError
from app.schemas import DayRevenue, Item, NewItem, NewOrder, Order


class BeanieRepository(Transactional):
    """Implements app.repository.Repository; one operation at a time, so at most one connection.

    Each call of Beanie names the session: one that forgets it works outside of the transaction, silently.
    """

    def __init__(self, client: Client, leftovers: Leftovers, documents: Documents, time_limit_seconds: float) -> None:
        super().__init__(client, leftovers, time_limit_seconds)
        self._items = documents.items
        self._orders = documents.orders

    async def create_item(self, new: NewItem) -> Item:
        item = Item.new(new, now())
        try:
            await self._items(**dict(item)).insert(session=self._session)
        except DuplicateKeyError as error:
            raise ConflictError(f"an item named {new.name!r} exists") from error
        return item

    async def get_item(self, item_id: UUID) -> Item:
        return _one_item(item_id, await self._items.get(item_id, session=self._session))

    async def list_items(self, limit: int, after: UUID | None) -> list[Item]:
        behind = [] if after is None else [self._items.id > after]
        # All in the first batch, which otherwise holds 101 documents: one round trip, no cursor left open.
        found = self._items.find(*behind, sort="+_id", limit=limit, batch_size=limit, session=self._session)
        return [_item(document) for document in await found.to_list()]

    async def update_item(self, item_id: UUID, changes: dict[str, str | int]) -> Item:
        if not changes:
            return await self.get_item(item_id)
        update = self._items.find_one(self._items.id == item_id).update(
            {"$set": changes}, response_type=UpdateResponse.NEW_DOCUMENT, session=self._session
        )
        try:
            return _one_item(item_id, await update)
        except DuplicateKeyError as error:
            raise ConflictError(f"an item named {changes['name']!r} exists") from error

    async def delete_item(self, item_id: UUID) -> None:
        # An order changes the item's document too, so one that is placed meanwhile meets the delete and one of the two
        # runs again.
        async def delete() -> None:
            if await self._orders.find_one(self._orders.item_id == item_id, session=self._session) is not None:
                raise ConflictError(f"orders refer to item {item_id}")
            result = await self._items.find_one(self._items.id == item_id).delete_one(session=self._session)
            if result is None or result.deleted_count == 0:
                raise NotFoundError(f"no item {item_id}")

        await self._in_transaction(delete)

    async def upsert_items(self, items: Sequence[NewItem]) -> None:
        time = now()
        writes = [upsert_item(item, time) for item in items]

        # One message writes all of them, but only a transaction makes it all or none.
        async def write() -> None:
            async with BulkWriter(session=self._session) as writer:
                for one in writes:
                    writer.add_operation(self._items, one)

        await self._in_transaction(write)

    async def create_order(self, new: NewOrder) -> Order:
        async def place() -> Order:
            in_stock = self._items.find_one(self._items.id == new.item_id, self._items.stock >= new.quantity)
            item = await in_stock.update(
                {"$inc": {"stock": -new.quantity}}, response_type=UpdateResponse.NEW_DOCUMENT, session=self._session
            )
            if not isinstance(item, self._items):
                stock = (await self.get_item(new.item_id)).stock
                raise ConflictError(f"{stock} in stock, fewer than ordered")
            order = Order.new(new, item.price_cents, now())
            await self._orders(**dict(order)).insert(session=self._session)
            return order

        return await self._in_transaction(place)

    async def revenue(self, since: datetime) -> list[DayRevenue]:
        rows = await self._orders.aggregate(revenue_by_day(since), session=self._session).to_list()
        return [day_revenue(row) for row in rows]


def _item(document: Document) -> Item:
    return Item(**document.model_dump())


def _one_item(item_id: UUID, document: object) -> Item:
    if not isinstance(document, Document):
        raise NotFoundError(f"no item {item_id}")
    return _item(document)
