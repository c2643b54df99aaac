"""What a Redis server says."""

import importlib
from typing import Any

_SECONDS = 5.0


async def gather(url: str) -> dict[str, Any]:
    """The facts of the server of REDIS_URL; raises what redis-py and the network raise."""
    redis: Any = importlib.import_module("redis.asyncio")
    async with redis.Redis.from_url(url, socket_connect_timeout=_SECONDS, socket_timeout=_SECONDS) as client:
        server = await client.info("server")
        clients = await client.info("clients")
    return {
        "product": "Redis",
        "version": server["redis_version"],
        "limit": clients.get("maxclients"),
        "present": {"own": None, "others": {"all": clients["connected_clients"] - 1}},
    }
