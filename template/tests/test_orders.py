import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from httpx2 import AsyncClient

from tests.conftest import MakeItem

pytestmark = pytest.mark.anyio


async def test_an_order_takes_from_the_stock(client: AsyncClient, make_item: MakeItem) -> None:
    item = await make_item(price_cents=250, stock=3)
    response = await client.post("/orders", json={"item_id": item["id"], "quantity": 2})
    assert response.status_code == 201
    assert response.json()["total_cents"] == 500
    response = await client.post("/orders", json={"item_id": item["id"], "quantity": 2})
    assert response.status_code == 409
    assert (await client.get(f"/items/{item['id']}")).json()["stock"] == 1


async def test_an_order_needs_an_item_and_a_quantity(client: AsyncClient, make_item: MakeItem) -> None:
    order = {"item_id": str(uuid4()), "quantity": 1}
    assert (await client.post("/orders", json=order)).status_code == 404
    order["item_id"] = (await make_item())["id"]
    assert (await client.post("/orders", json={**order, "quantity": 0})).status_code == 422
    assert (await client.post("/orders", json={**order, "quantity": 10**30})).status_code == 409


async def test_an_ordered_item_cannot_be_deleted(client: AsyncClient, make_item: MakeItem) -> None:
    item = await make_item()
    await client.post("/orders", json={"item_id": item["id"], "quantity": 1})
    assert (await client.delete(f"/items/{item['id']}")).status_code == 409


async def test_racing_orders_never_oversell(client: AsyncClient, make_item: MakeItem) -> None:
    item = await make_item(stock=5)
    order = {"item_id": item["id"], "quantity": 1}
    waves = [
        await asyncio.gather(*(client.post("/orders", json=order) for _ in range(6)))  # 3 connections, 4 may wait
        for _ in range(3)
    ]
    statuses = sorted(response.status_code for wave in waves for response in wave)
    assert statuses == [201] * 5 + [409] * 13
    assert (await client.get(f"/items/{item['id']}")).json()["stock"] == 0


async def revenue_today(client: AsyncClient) -> tuple[int, int]:
    today = datetime.now(UTC).date().isoformat()
    rows = (await client.get("/orders/revenue", params={"days": 1})).json()
    return next(((row["orders"], row["revenue_cents"]) for row in rows if row["day"] == today), (0, 0))


async def test_revenue_is_summed_by_day(client: AsyncClient, make_item: MakeItem) -> None:
    orders, cents = await revenue_today(client)
    item = await make_item(price_cents=300)
    for quantity in (1, 2):
        await client.post("/orders", json={"item_id": item["id"], "quantity": quantity})
    assert await revenue_today(client) == (orders + 2, cents + 900)
    for days in (0, 3651):
        assert (await client.get("/orders/revenue", params={"days": days})).status_code == 422


async def test_revenue_is_exact_where_64_bits_do_not_hold_it(client: AsyncClient, make_item: MakeItem) -> None:
    orders, cents = await revenue_today(client)
    most = 1_000_000_000
    for _ in range(11):
        item = await make_item(price_cents=most, stock=most)
        response = await client.post("/orders", json={"item_id": item["id"], "quantity": most})
        assert (response.status_code, response.json()["total_cents"]) == (201, most**2)
    # Of another size: a float would lose it.
    item = await make_item(price_cents=1)
    await client.post("/orders", json={"item_id": item["id"], "quantity": 1})
    assert await revenue_today(client) == (orders + 12, cents + 11 * most**2 + 1)
