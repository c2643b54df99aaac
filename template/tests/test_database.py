import asyncio
from contextlib import AsyncExitStack
from time import perf_counter
from typing import Any

import pytest
from httpx2 import AsyncClient
from pydantic import SecretStr

from app.database import Database
from app.db import migrate
from app.db.temporary import UNREACHABLE_URL
from app.db.testing import run_slow_statement
from app.errors import ConflictError, StatementTimeoutError, UnavailableError
from app.settings import Settings
from tests.conftest import POOL, new_item

pytestmark = pytest.mark.anyio


async def test_a_full_pool_refuses_within_the_pool_timeout(client: AsyncClient, database: Database) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(database.repository())
        started = perf_counter()
        response = await client.get("/items")
        assert response.status_code == 503
        assert "Retry-After" in response.headers
        assert perf_counter() - started < POOL["pool_timeout_seconds"] + 1
        assert (await client.get("/readyz")).status_code == 200, "busy is not broken"
        assert (await client.get("/livez")).status_code == 200
    assert (await client.get("/items")).status_code == 200


async def test_too_many_waiting_requests_are_refused_at_once(client: AsyncClient, database: Database) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(database.repository())
        waiting = [asyncio.ensure_future(client.get("/items")) for _ in range(4)]
        await asyncio.sleep(0.1)
        started = perf_counter()
        assert (await client.get("/items")).status_code == 503
        assert perf_counter() - started < POOL["pool_timeout_seconds"] / 2
    assert [response.status_code for response in await asyncio.gather(*waiting)] == [200] * 4


async def test_a_conflict_leaves_the_connection_usable(database: Database) -> None:
    new = new_item()
    async with database.repository() as repository:
        item = await repository.create_item(new)
        with pytest.raises(ConflictError):
            await repository.create_item(new)
        assert await repository.get_item(item.id) == item


async def test_migrations_run_twice_and_side_by_side(settings: Settings, database: Database) -> None:
    await asyncio.gather(migrate(settings), migrate(settings))
    await database.check()


async def test_a_server_that_is_away_is_unavailable(settings: Settings) -> None:
    away = Database(settings.model_copy(update={"database_url": SecretStr(UNREACHABLE_URL)}))
    await away.open()
    try:
        with pytest.raises(UnavailableError):
            await away.check()
        with pytest.raises(UnavailableError):
            async with away.repository() as repository:
                await repository.list_items(1, None)
    finally:
        await away.close()


async def test_a_statement_over_its_time_limit_is_stopped(settings: Settings) -> None:
    short = Database(settings.model_copy(update={"statement_timeout_seconds": 0.3}))
    await short.open()

    async def run_for_three_seconds() -> None:
        repository: Any  # the adapter's own, which its tests know
        async with short.repository() as repository:
            await repository.create_item(new_item())
            await run_slow_statement(repository, seconds=3)

    try:
        started = perf_counter()
        with pytest.raises(StatementTimeoutError):
            await run_for_three_seconds()
        assert perf_counter() - started < 2
        await short.check()
    finally:
        await short.close()
