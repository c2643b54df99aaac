"""A repository whose writes reach the cache."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from app.cache.items import ItemCache
from app.repository import Repository
from app.schemas import DayRevenue, Item, NewItem, NewOrder, Order


class CachingRepository:
    """Implements app.repository.Repository with the repository and the cache given; reads are the database's.

    What a transaction changes can be cached again after its end.
    """

    def __init__(self, repository: Repository, cache: ItemCache) -> None:
        self._repository = repository
        self._cache = cache
        self._after_transaction: AsyncExitStack | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._repository, name)  # what the data layer's own repository has beside the interface

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """One transaction, or a savepoint inside another one."""
        if self._after_transaction is not None:
            async with self._repository.transaction():
                yield
            return
        try:
            async with AsyncExitStack() as self._after_transaction, self._repository.transaction():
                yield
        finally:
            self._after_transaction = None

    async def create_item(self, new: NewItem) -> Item:
        return await self._repository.create_item(new)

    async def get_item(self, item_id: UUID) -> Item:
        return await self._repository.get_item(item_id)

    async def list_items(self, limit: int, after: UUID | None) -> list[Item]:
        return await self._repository.list_items(limit, after)

    async def update_item(self, item_id: UUID, changes: dict[str, str | int]) -> Item:
        async with self._changing(item_id):
            return await self._repository.update_item(item_id, changes)

    async def delete_item(self, item_id: UUID) -> None:
        async with self._changing(item_id):
            await self._repository.delete_item(item_id)

    async def upsert_items(self, items: Sequence[NewItem]) -> None:
        async with self._changing(None):  # it finds items by their names
            await self._repository.upsert_items(items)

    async def create_order(self, new: NewOrder) -> Order:
        async with self._changing(new.item_id):  # its stock
            return await self._repository.create_order(new)

    async def revenue(self, since: datetime) -> list[DayRevenue]:
        return await self._repository.revenue(since)

    @asynccontextmanager
    async def _changing(self, item_id: UUID | None) -> AsyncIterator[None]:
        if self._after_transaction is not None:
            await self._after_transaction.enter_async_context(self._cache.changing(item_id))
            yield
            return
        async with self._cache.changing(item_id):
            yield
