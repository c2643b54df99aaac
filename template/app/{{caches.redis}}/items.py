"""The cache as the app uses it: Redis may be away or slow, the answers stay right."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import TypeVar
from uuid import UUID

from app.cache import plan
from app.cache.store import ERRORS, ItemStore
from app.schemas import Item

T = TypeVar("T")

logger = logging.getLogger(__name__)


class ItemCache:
    """Items by id; make it inside the event loop that uses it.

    When Redis does not answer in time, nothing is cached for a moment. Where it missed the end of a write, this process
    trusts it again only once it has made all that was stored void, at which it tries until it succeeds.
    """

    def __init__(self, store: ItemStore) -> None:
        self._store = store
        self._away_until = 0.0
        self._recovery: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Close the pool."""
        if self._recovery is not None:
            self._recovery.cancel()
        await self._store.close()

    async def get(self, item_id: UUID, load: Callable[[], Awaitable[Item]]) -> Item:
        """The cached item, or the one that `load` gives."""
        found = await self._read(self._store.find, item_id)
        if found is not None and found.json is not None:
            return Item.model_validate_json(found.json)
        item = await load()
        if found is not None and found.lease is not None:
            await self._read(self._store.store, item_id, found.lease, item.model_dump_json())
        return item

    @asynccontextmanager
    async def changing(self, item_id: UUID | None) -> AsyncIterator[None]:
        """Run a write of the item, or of unknown ones (None); from the end of the body on, nobody finds the old one."""
        blocked = await self._tell(self._store.block, item_id)
        try:
            yield
        finally:
            # To its end, also when the request is cancelled: the write may have been committed.
            await asyncio.shield(self._release(item_id, blocked))

    async def _read(self, ask: Callable[..., Awaitable[T]], *arguments: object) -> T | None:
        """The answer of Redis; None while it is away."""
        if monotonic() < self._away_until or self._recovery is not None:
            return None
        return await self._attempt(ask, *arguments)

    async def _attempt(self, ask: Callable[..., Awaitable[T]], *arguments: object) -> T | None:
        try:
            async with asyncio.timeout(plan.TIMEOUT_SECONDS):
                return await ask(*arguments)
        except ERRORS as error:
            self._away_until = monotonic() + plan.PAUSE_SECONDS
            logger.warning("Redis does not answer, items are not cached: %r", error)
            return None

    async def _tell(self, step: Callable[[UUID | None], Awaitable[None]], item_id: UUID | None) -> bool:
        """Whether Redis took the step; it is asked even if it did not answer a moment ago."""

        async def confirmed() -> bool:
            await step(item_id)
            return True

        return await self._attempt(confirmed) or False

    async def _release(self, item_id: UUID | None, blocked: bool) -> None:
        released = await self._tell(self._store.release, item_id)
        # A block that could not be lifted does no harm, and ends by itself.
        if not (blocked or released) and self._recovery is None:
            self._recovery = asyncio.create_task(self._make_all_void())

    async def _make_all_void(self) -> None:
        while True:
            await asyncio.sleep(plan.PAUSE_SECONDS)
            try:
                async with asyncio.timeout(plan.TIMEOUT_SECONDS):
                    await self._store.release(None)
            except ERRORS:
                continue
            self._recovery = None
            return
