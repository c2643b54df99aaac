"""Requests that are cancelled at any moment, as by a shutdown, leave the pool whole and nothing half done."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from random import Random
from time import perf_counter
from typing import Any
from uuid import UUID

from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from app.errors import UnavailableError
from app.factory import create_app
from app.repository import Repository
from app.schemas import NewItem, NewOrder
from app.settings import Settings
from tests.conftest import new_item, read_metrics

CANCELLATIONS = 600
AT_ONCE = 4  # one more than there are connections
STOCK = 10_000

Work = Callable[[Repository], Awaitable[object]]


def test_cancelled_requests_leave_the_pool_whole(settings: Settings) -> None:
    # In an event loop of its own, which is empty at the end.
    asyncio.run(cancel_requests(settings))


async def cancel_requests(settings: Settings) -> None:
    unread: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unread.append(context))
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://test") as client,
    ):
        single, paired = [await store_item(app) for _ in range(2)]
        orders_before = await count_orders_today(client)

        await cancel_at_random_moments(app, single, paired)

        async with AsyncExitStack() as stack:
            for _ in range(3):
                repository = await stack.enter_async_context(app.state.database.repository())
                await repository.list_items(1, None)
        metrics = await read_metrics(client)
        assert metrics["db_pool_open"] <= 3
        assert metrics["db_pool_in_use"] == 0
        # Each order was placed whole or not at all, two of one transaction both or none, and nothing holds a lock.
        singles, pairs = [STOCK - (await client.get(f"/items/{item}")).json()["stock"] for item in (single, paired)]
        assert singles + pairs == await count_orders_today(client) - orders_before
        assert pairs % 2 == 0
        for item in (single, paired):
            assert (await client.patch(f"/items/{item}", json={"stock": 0})).status_code == 200
    gc.collect()
    assert unread == [], "an error that nobody reads is printed after the tests, or in the log"


async def store_item(app: FastAPI) -> UUID:
    new = NewItem(name=new_item().name, price_cents=1, stock=STOCK)
    async with app.state.database.repository() as repository:
        stored = await repository.create_item(new)
        return UUID(str(stored.id))


async def count_orders_today(client: AsyncClient) -> int:
    return sum(day["orders"] for day in (await client.get("/orders/revenue", params={"days": 1})).json())


async def cancel_at_random_moments(app: FastAPI, single: UUID, paired: UUID) -> None:
    async def place_two(repository: Repository) -> None:
        async with repository.transaction():
            await repository.create_order(NewOrder(item_id=paired, quantity=1))
            async with repository.transaction():
                await repository.create_order(NewOrder(item_id=paired, quantity=1))

    kinds: list[Work] = [
        lambda repository: repository.get_item(single),
        lambda repository: repository.create_item(new_item()),
        lambda repository: repository.create_order(NewOrder(item_id=single, quantity=1)),
        place_two,
    ]

    async def run(work: Work) -> None:
        async with app.state.database.repository() as repository:
            await work(repository)

    async def cancel(work: Work, after_seconds: float) -> bool:
        task = asyncio.create_task(run(work))
        await asyncio.sleep(after_seconds)
        task.cancel()
        with suppress(asyncio.CancelledError, UnavailableError):  # unavailable: orders met, or waited for too long
            await task
        return task.cancelled()

    for _ in range(2):  # what is slow for the first time is not measured
        started = perf_counter()
        for work in kinds:
            await run(work)
    longest_seconds = perf_counter() - started  # as if all four waited for one another
    chance = Random(CANCELLATIONS)  # noqa: S311
    cancelled = 0
    while cancelled < CANCELLATIONS:
        moments = [chance.uniform(0, longest_seconds) for _ in range(AT_ONCE)]
        cancelled += sum(await asyncio.gather(*(cancel(chance.choice(kinds), moment) for moment in moments)))
