import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from app.cache.database import CachedDatabase
from app.cache.items import ItemCache
from app.cache.settings import CacheSettings
from app.cache.store import ItemStore
from app.database import Database
from app.factory import create_app
from app.schemas import Item
from app.settings import Settings
from tests.conftest import MakeItem, new_item

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(CacheSettings().url is None, reason="REDIS_URL is not set"),
]


@pytest.fixture
async def behind(settings: Settings) -> AsyncIterator[Database]:
    """The same database, without the cache."""
    async with Database(settings) as database:
        yield database


@pytest.fixture
async def cache() -> AsyncIterator[ItemCache]:
    """Another process's cache, as it were."""
    url = CacheSettings().url
    assert url is not None
    made = ItemCache(ItemStore(url))
    yield made
    await made.close()


async def change_behind(database: Database, item_id: str) -> None:
    async with database.repository() as repository:
        await repository.update_item(UUID(item_id), {"stock": 4321})


async def stock(client: AsyncClient, item_id: str) -> int:
    found: int = (await client.get(f"/items/{item_id}")).json()["stock"]
    return found


async def test_a_second_read_comes_from_the_cache(client: AsyncClient, make_item: MakeItem, behind: Database) -> None:
    item = await make_item()
    assert (await client.get(f"/items/{item['id']}")).json() == item
    await change_behind(behind, item["id"])
    assert (await client.get(f"/items/{item['id']}")).json() == item


Write = Callable[[AsyncClient, dict[str, Any]], Awaitable[Any]]
WRITES: dict[str, Write] = {
    "patch": lambda client, item: client.patch(f"/items/{item['id']}", json={"stock": 7}),
    "order": lambda client, item: client.post("/orders", json={"item_id": item["id"], "quantity": 3}),
    "upsert": lambda client, item: client.put("/items", json=[{"name": item["name"], "price_cents": 1, "stock": 7}]),
}


@pytest.mark.parametrize("name", WRITES)
async def test_a_write_is_read_at_once(client: AsyncClient, make_item: MakeItem, name: str) -> None:
    item = await make_item(stock=10)
    for _ in range(2):
        assert await stock(client, item["id"]) == 10
    assert (await WRITES[name](client, item)).is_success
    for _ in range(2):
        assert await stock(client, item["id"]) == 7


async def test_a_deleted_item_is_gone(client: AsyncClient, make_item: MakeItem) -> None:
    item = await make_item()
    assert (await client.get(f"/items/{item['id']}")).status_code == 200
    assert (await client.delete(f"/items/{item['id']}")).status_code == 204
    assert (await client.get(f"/items/{item['id']}")).status_code == 404


@pytest.mark.parametrize("name", WRITES)
async def test_what_was_read_before_a_write_is_not_stored_after_it(
    client: AsyncClient, make_item: MakeItem, cache: ItemCache, name: str
) -> None:
    item = await make_item(stock=10)

    async def load_slowly() -> Item:
        assert (await WRITES[name](client, item)).is_success
        return Item(**item)

    assert (await cache.get(UUID(item["id"]), load_slowly)).stock == 10
    assert await stock(client, item["id"]) == 7


async def test_nothing_is_stored_while_a_transaction_goes_on(
    app: FastAPI, client: AsyncClient, make_item: MakeItem, cache: ItemCache
) -> None:
    item = await make_item(stock=10)
    database: CachedDatabase = app.state.database

    async def read() -> Item:
        return Item(**item)

    async with database.repository() as repository, repository.transaction():
        await repository.update_item(UUID(item["id"]), {"stock": 7})
        assert (await cache.get(UUID(item["id"]), read)).stock == 10
    assert await stock(client, item["id"]) == 7


async def test_many_writers_and_readers_never_see_an_old_item(
    client: AsyncClient, make_item: MakeItem, cache: ItemCache, behind: Database
) -> None:
    item = await make_item(stock=0)
    written = 0

    async def write() -> None:
        nonlocal written
        for number in range(1, 41):
            assert (await client.patch(f"/items/{item['id']}", json={"stock": number})).is_success
            written = number

    async def read(load: Callable[[], Awaitable[int]]) -> None:
        while written < 40:
            least = written
            assert await load() >= least

    async def through_another_process() -> int:
        return (await cache.get(UUID(item["id"]), lambda: behind.get_item(UUID(item["id"])))).stock

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        for _ in range(2):
            group.create_task(read(lambda: stock(client, item["id"])))
            group.create_task(read(through_another_process))


async def test_without_redis_the_database_answers(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://test") as client,
    ):
        new = {"name": f"item {uuid4()}", "price_cents": 1, "stock": 1}
        item = (await client.post("/items", json=new)).json()
        for number in range(20):
            assert (await client.patch(f"/items/{item['id']}", json={"stock": number})).is_success
            assert await stock(client, item["id"]) == number


def test_cancelled_readers_leave_the_pool_whole(settings: Settings) -> None:
    asyncio.run(cancel_readers(settings))  # in an event loop of its own, as in test_cancellation.py


async def cancel_readers(settings: Settings) -> None:
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://test") as client,
    ):
        created = await client.post("/items", json=new_item().model_dump(mode="json"))
        path = "/items/" + created.json()["id"]
        for number in range(100):
            reading = asyncio.create_task(client.get(path))
            await asyncio.sleep(number % 10 / 2000)
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading
        async with asyncio.timeout(30):
            answers = await asyncio.gather(*(client.get(path) for _ in range(3)))
        assert {answer.status_code for answer in answers} == {200}
