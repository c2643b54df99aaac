"""The database behind the cache."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from app.cache.items import ItemCache
from app.cache.repository import CachingRepository
from app.cache.settings import CacheSettings
from app.cache.store import ItemStore
from app.database import Database
from app.repository import Repository
from app.schemas import Item
from app.settings import Settings

logger = logging.getLogger(__name__)


class CachedDatabase(Database):
    """A Database that reads items by id from the cache, without a connection, and whose repositories keep it right."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        url = CacheSettings().url
        if url is None:
            logger.warning("REDIS_URL is not set: items are not cached")
        self._cache = None if url is None else ItemCache(ItemStore(url))

    async def close(self) -> None:
        """Close both pools."""
        await super().close()
        if self._cache is not None:
            await self._cache.close()

    @asynccontextmanager
    async def repository(self) -> AsyncIterator[Repository]:
        """Lend a repository, as Database does."""
        async with super().repository() as repository:
            yield repository if self._cache is None else CachingRepository(repository, self._cache)

    async def get_item(self, item_id: UUID) -> Item:
        """Return an item; NotFoundError."""
        if self._cache is None:
            return await super().get_item(item_id)
        return await self._cache.get(item_id, lambda: super(CachedDatabase, self).get_item(item_id))
