"""The repository: documents, and transactions where several must change together."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from app.db import driver
from app.db.driver import Document
from app.db.leftovers import Leftovers
from app.db.statements import day_revenue, now, revenue_by_day, upsert_item
from app.db.transactions import Transactional
from app.errors import ConflictError, NotFoundError
from app.schemas import DayRevenue, Item, NewItem, NewOrder, Order


class MongoRepository(Transactional):
    """Implements app.repository.Repository; one operation at a time, so at most one connection."""

    def __init__(
        self,
        client: driver.Client,
        leftovers: Leftovers,
        database: driver.MongoDatabase,
        time_limit_seconds: float,
    ) -> None:
        super().__init__(client, leftovers, time_limit_seconds)
        self._items = database["items"]
        self._orders = database["orders"]

    async def create_item(self, new: NewItem) -> Item:
        item = Item.new(new, now())
        try:
            await self._items.insert_one(_document(item), session=self._session)
        except DuplicateKeyError as error:
            raise ConflictError(f"an item named {new.name!r} exists") from error
        return item

    async def get_item(self, item_id: UUID) -> Item:
        return _one_item(item_id, await self._items.find_one({"_id": item_id}, session=self._session))

    async def list_items(self, limit: int, after: UUID | None) -> list[Item]:
        behind = {} if after is None else {"_id": {"$gt": after}}
        # All in the first batch, which otherwise holds 101 documents: one round trip, no cursor left open.
        cursor = self._items.find(behind, sort={"_id": 1}, limit=limit, batch_size=limit, session=self._session)
        return [_item(document) for document in await driver.fetch(cursor)]

    async def update_item(self, item_id: UUID, changes: dict[str, str | int]) -> Item:
        if not changes:
            return await self.get_item(item_id)
        try:
            document = await self._items.find_one_and_update(
                {"_id": item_id}, {"$set": changes}, return_document=ReturnDocument.AFTER, session=self._session
            )
        except DuplicateKeyError as error:
            raise ConflictError(f"an item named {changes['name']!r} exists") from error
        return _one_item(item_id, document)

    async def delete_item(self, item_id: UUID) -> None:
        # An order changes the item's document too, so one that is placed meanwhile meets the delete and one of the two
        # runs again.
        async def delete() -> None:
            if await self._orders.find_one({"item_id": item_id}, {"_id": 1}, session=self._session) is not None:
                raise ConflictError(f"orders refer to item {item_id}")
            result = await self._items.delete_one({"_id": item_id}, session=self._session)
            if result.deleted_count == 0:
                raise NotFoundError(f"no item {item_id}")

        await self._in_transaction(delete)

    async def upsert_items(self, items: Sequence[NewItem]) -> None:
        if not items:
            return
        time = now()
        writes = [upsert_item(item, time) for item in items]

        # One message writes all of them, but only a transaction makes it all or none.
        async def write() -> None:
            await self._items.bulk_write(writes, session=self._session)

        await self._in_transaction(write)

    async def create_order(self, new: NewOrder) -> Order:
        async def place() -> Order:
            item = await self._items.find_one_and_update(
                {"_id": new.item_id, "stock": {"$gte": new.quantity}},
                {"$inc": {"stock": -new.quantity}},
                session=self._session,
            )
            if item is None:
                stock = (await self.get_item(new.item_id)).stock
                raise ConflictError(f"{stock} in stock, fewer than ordered")
            order = Order.new(new, item["price_cents"], now())
            await self._orders.insert_one(_document(order), session=self._session)
            return order

        return await self._in_transaction(place)

    async def revenue(self, since: datetime) -> list[DayRevenue]:
        rows = await driver.aggregate(self._orders, revenue_by_day(since), self._session)
        return [day_revenue(row) for row in rows]


def _document(stored: Item | Order) -> Document:
    document = dict(stored)
    return {"_id": document.pop("id"), **document}


def _item(document: Document) -> Item:
    return Item(id=document.pop("_id"), **document)


def _one_item(item_id: UUID, document: Document | None) -> Item:
    if document is None:
        raise NotFoundError(f"no item {item_id}")
    return _item(document)
