from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from httpx2 import AsyncClient

from tests.conftest import MakeItem

pytestmark = pytest.mark.anyio


async def test_a_created_item_can_be_read(client: AsyncClient, make_item: MakeItem) -> None:
    item = await make_item(name=f"  Tee 茶 ☕ {uuid4()} ")
    assert item["name"] == item["name"].strip()
    assert datetime.fromisoformat(item["created_at"]).utcoffset() == timedelta(0)
    response = await client.get(f"/items/{item['id']}")
    assert (response.status_code, response.json()) == (200, item)


async def test_an_unknown_item_is_not_found(client: AsyncClient) -> None:
    path = f"/items/{uuid4()}"
    assert (await client.get(path)).status_code == 404
    assert (await client.patch(path, json={"stock": 1})).status_code == 404
    assert (await client.delete(path)).status_code == 404


async def test_a_name_exists_once_with_case_and_accents(client: AsyncClient, make_item: MakeItem) -> None:
    item = await make_item()
    fields = {"price_cents": 1, "stock": 1}
    assert (await client.post("/items", json={"name": item["name"], **fields})).status_code == 409
    await make_item(name=item["name"].upper())
    other = await make_item(name=item["name"].replace("e", "é"))
    response = await client.patch(f"/items/{other['id']}", json={"name": item["name"]})
    assert response.status_code == 409


@pytest.mark.parametrize(
    "change",
    [
        {"name": " "},
        {"name": "x" * 201},
        {"name": "a\x00b"},
        {"name": "a\nb"},
        {"name": None},
        {"price_cents": -1},
        {"price_cents": 1_000_000_001},
        {"price_cents": 1.5},
        {"stock": "1"},
        {"stock": True},
        {"colour": "red"},
    ],
)
async def test_bad_fields_are_refused(client: AsyncClient, make_item: MakeItem, change: dict[str, object]) -> None:
    item = await make_item()
    new = {"name": str(uuid4()), "price_cents": 1, "stock": 1}
    assert (await client.post("/items", json={**new, **change})).status_code == 422
    assert (await client.patch(f"/items/{item['id']}", json=change)).status_code == 422
    assert (await client.put("/items", json=[{**new, **change}])).status_code == 422


async def test_a_patch_changes_what_it_names(client: AsyncClient, make_item: MakeItem) -> None:
    item = await make_item()
    response = await client.patch(f"/items/{item['id']}", json={"price_cents": 0})
    assert (response.status_code, response.json()) == (200, {**item, "price_cents": 0})
    response = await client.patch(f"/items/{item['id']}", json={})
    assert response.json() == {**item, "price_cents": 0}


async def test_a_deleted_item_is_gone(client: AsyncClient, make_item: MakeItem) -> None:
    path = f"/items/{(await make_item())['id']}"
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404


async def test_pages_hold_each_item_once_in_order(client: AsyncClient, make_item: MakeItem) -> None:
    made = [(await make_item())["id"] for _ in range(5)]
    found: list[str] = []
    after: dict[str, str] = {}
    while page := (await client.get("/items", params={"limit": "2", **after})).json():
        found += [item["id"] for item in page]
        after = {"after": found[-1]}
    assert len(found) == len(set(found))
    assert [id_ for id_ in found if id_ in made] == made
    for limit in (0, 201):
        assert (await client.get("/items", params={"limit": limit})).status_code == 422


async def test_a_bulk_upsert_creates_and_replaces(client: AsyncClient, make_item: MakeItem) -> None:
    old = await make_item()
    new = [
        {"name": f"bulk {uuid4()}", "price_cents": 5, "stock": 6},
        {"name": old["name"], "price_cents": 7, "stock": 8},
    ]
    response = await client.put("/items", json=new)
    assert (response.status_code, response.json()) == (200, {"written": 2})
    assert (await client.get(f"/items/{old['id']}")).json() == {**old, "price_cents": 7, "stock": 8}
    assert (await client.put("/items", json=[])).json() == {"written": 0}


async def test_a_bulk_upsert_has_limits(client: AsyncClient) -> None:
    items = [{"name": f"{n} {uuid4()}", "price_cents": 1, "stock": 1} for n in range(1001)]
    assert (await client.put("/items", json=items)).status_code == 422
    assert (await client.put("/items", json=items[:1000])).json() == {"written": 1000}
    assert (await client.put("/items", json=[items[0], items[0]])).status_code == 422
