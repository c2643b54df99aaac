"""What is kept in Redis, and why it is never older than the database.

Three things stand under a key: an item or a lease, each behind the generation that it belongs to, or a block.

- Who finds nothing leaves a lease, reads the database, and stores what it read only if the lease is still there.
- A write blocks the item first and removes whatever stands there when it is done: a lease that was taken before is
  gone, so nobody stores what he read before the write. A block whose process died ends by itself.
- A write that touches items unknown blocks the generation, and ends with a new one: all that was stored is void.

Each step is one script or command, and so one round trip. All keys hash to one slot of a cluster.
"""

from uuid import UUID, uuid4

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import RedisError

from app.cache import plan

# What the methods raise while Redis is away. RuntimeError: by it uvloop refuses to write to a connection that was
# reset, and redis 8.1 hands it on.
ERRORS = (RedisError, OSError, RuntimeError)

_ITEM = "{items}:"
_GENERATION = _ITEM + "generation"
_BLOCK = "!"
_BLOCK_SECONDS = 60  # longer than any request may hold a connection

# The item; or a lease; or nothing, where a write goes on.
_FIND = """
local generation = redis.call('GET', KEYS[2])
if not generation then
  generation = ARGV[1]
  redis.call('SET', KEYS[2], generation)
end
if generation == '!' then return false end
local found = redis.call('GET', KEYS[1])
if found then
  if found == '!' then return false end
  if string.sub(found, 1, #generation + 1) == generation .. ':' then return found end
end
local lease = generation .. ':lease:' .. ARGV[1]
redis.call('SET', KEYS[1], lease, 'EX', ARGV[2])
return lease
"""

_STORE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) end
"""


class Found:
    """What stood under an item's key: the item as JSON, a lease to store it with, or neither."""

    def __init__(self, text: str | None) -> None:
        _, _, kept = (text or "").partition(":")
        self.json = kept if kept.startswith("{") else None
        self.lease = text if text is not None and self.json is None else None


class ItemStore:
    """Items in Redis; every method is one round trip, and raises ERRORS."""

    def __init__(self, url: str) -> None:
        self._redis = Redis(
            connection_pool=BlockingConnectionPool.from_url(
                url,
                max_connections=plan.REDIS_CONNECTIONS,
                timeout=plan.TIMEOUT_SECONDS,  # for a connection of the pool
                # Without a time limit of its own for each answer: on Python 3.11 that swallows cancellations
                # (redis 8.1, python/cpython#86296). The caller has one.
                socket_timeout=None,
                socket_connect_timeout=None,
                # A connection that died with the last Redis is opened anew.
                retry=Retry(ExponentialWithJitterBackoff(cap=0.05, base=0.01), 2),
                retry_on_error=[RuntimeError],  # see ERRORS
                decode_responses=True,
            )
        )
        self._find = self._redis.register_script(_FIND)
        self._store = self._redis.register_script(_STORE)

    async def close(self) -> None:
        """Close the pool."""
        await self._redis.aclose(close_connection_pool=True)

    async def find(self, item_id: UUID) -> Found:
        """What stands under the item's key; where nothing does, a lease does afterwards."""
        return Found(await self._find([_key(item_id), _GENERATION], [uuid4().hex, plan.TIME_TO_LIVE_SECONDS]))

    async def store(self, item_id: UUID, lease: str, json: str) -> None:
        """Store the item if its lease still holds."""
        generation = lease.partition(":")[0]
        await self._store([_key(item_id)], [lease, f"{generation}:{json}", plan.TIME_TO_LIVE_SECONDS])

    async def block(self, item_id: UUID | None) -> None:
        """Let nobody find or store the item, or any (None), until it is released."""
        await self._redis.set(_key(item_id), _BLOCK, ex=_BLOCK_SECONDS)

    async def release(self, item_id: UUID | None) -> None:
        """End the block: the item, or every item (None), is to be read anew."""
        if item_id is not None:
            await self._redis.delete(_key(item_id))
        else:
            await self._redis.set(_GENERATION, uuid4().hex)


def _key(item_id: UUID | None) -> str:
    return _GENERATION if item_id is None else _ITEM + item_id.hex
