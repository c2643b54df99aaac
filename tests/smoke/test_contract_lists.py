"""Paging, bulk upserts, orders and revenue, over HTTP."""

import random
import threading
import uuid
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from tests.servers import Database
from tests.service import Service
from tests.smoke.traffic import Json, all_items, item_fields, new_item, parallel


@pytest.mark.parametrize("limit", [1, 7, 200])
def test_a_page_has_at_most_the_limit(client: httpx2.Client, limit: int) -> None:
    while len(all_items(client)) < 201:
        client.put("/items", json=[item_fields() for _ in range(201)])
    page = client.get("/items", params={"limit": limit})
    assert page.status_code == 200
    assert len(page.json()) == limit


def test_a_page_has_50_items_if_no_limit_is_given(client: httpx2.Client) -> None:
    client.put("/items", json=[item_fields() for _ in range(51)])
    assert len(client.get("/items").json()) == 50


@pytest.mark.parametrize("limit", ["0", "-1", "201", "x", "1.5", "", "9" * 30])
def test_any_other_limit_is_422(client: httpx2.Client, limit: str) -> None:
    assert client.get(f"/items?limit={limit}").status_code == 422


def test_paging_shows_each_item_once_while_others_are_inserted(client: httpx2.Client, service: Service) -> None:
    first = [new_item(client) for _ in range(30)]
    finished = threading.Event()

    def insert_until_finished() -> None:
        with service.client() as other:
            while not finished.is_set():
                new_item(other)

    inserting = threading.Thread(target=insert_until_finished)
    inserting.start()
    try:
        # A page follows the last item of the one before, so inserts cannot make it endless for long.
        seen = [item["id"] for item in all_items(client, limit=40)]
    finally:
        finished.set()
        inserting.join()
    assert len(seen) == len(set(seen))
    assert {item["id"] for item in first} <= set(seen)


def test_paging_repeats_the_same_order(client: httpx2.Client) -> None:
    client.put("/items", json=[item_fields() for _ in range(20)])
    small = [item["id"] for item in all_items(client, limit=93)]
    assert small == [item["id"] for item in all_items(client, limit=200)]


def test_paging_goes_on_after_an_item_that_was_deleted(client: httpx2.Client) -> None:
    for _ in range(5):
        new_item(client)
    whole = [item["id"] for item in all_items(client)]
    # The oldest may have orders; the one created here does not.
    mine = new_item(client)["id"]
    whole = [item["id"] for item in all_items(client)]
    after_mine = whole[whole.index(mine) + 1 :]
    assert client.delete(f"/items/{mine}").status_code == 204
    rest = client.get("/items", params={"limit": 200, "after": mine})
    assert rest.status_code == 200
    assert [item["id"] for item in rest.json()] == after_mine[:200]


def test_a_bulk_upsert_inserts_new_names_and_updates_the_others(client: httpx2.Client) -> None:
    old = new_item(client, price_cents=1, stock=1)
    changed = {"name": old["name"], "price_cents": 2, "stock": 0}
    fresh = item_fields(price_cents=3, stock=4)
    response = client.put("/items", json=[changed, fresh])
    assert (response.status_code, response.json()) == (200, {"written": 2})
    # The identity and the time of creation stay.
    assert client.get(f"/items/{old['id']}").json() == {**old, **changed}
    (inserted,) = [item for item in all_items(client) if item["name"] == fresh["name"]]
    assert {key: inserted[key] for key in fresh} == fresh
    assert datetime.fromisoformat(inserted["created_at"]).utcoffset() == timedelta(0)
    assert client.get(f"/items/{inserted['id']}").json() == inserted


def test_the_same_bulk_upsert_twice_changes_nothing(client: httpx2.Client) -> None:
    fields = [item_fields() for _ in range(10)]
    names = {item["name"] for item in fields}
    states = []
    for _ in range(2):
        assert client.put("/items", json=fields).json() == {"written": 10}
        states.append([item for item in all_items(client) if item["name"] in names])
    assert states[0] == states[1]
    assert len(states[0]) == 10


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_a_bulk_upsert_takes_up_to_1000_items(client: httpx2.Client, count: int) -> None:
    fields = [item_fields() for _ in range(count)]
    for _ in range(2):
        response = client.put("/items", json=fields)
        assert (response.status_code, response.json()) == (200, {"written": count})


def test_a_bulk_upsert_of_1001_items_is_422_and_writes_nothing(client: httpx2.Client) -> None:
    fields = [item_fields() for _ in range(1001)]
    assert client.put("/items", json=fields).status_code == 422
    assert not {item["name"] for item in fields} & {item["name"] for item in all_items(client)}


@pytest.mark.parametrize("spelling", ["{}", " {}", "{}\n"], ids=ascii)
def test_a_name_twice_in_a_bulk_upsert_is_422_and_writes_nothing(client: httpx2.Client, spelling: str) -> None:
    fields = [item_fields() for _ in range(3)]
    fields.append(item_fields(name=spelling.format(fields[0]["name"])))
    assert client.put("/items", json=fields).status_code == 422
    assert not {item["name"] for item in fields} & {item["name"] for item in all_items(client)}


def test_one_bad_item_makes_a_bulk_upsert_write_nothing(client: httpx2.Client) -> None:
    old = new_item(client)
    fields = [item_fields(name=old["name"], stock=5), item_fields(), item_fields(stock=-1)]
    assert client.put("/items", json=fields).status_code == 422
    assert client.get(f"/items/{old['id']}").json() == old
    assert fields[1]["name"] not in {item["name"] for item in all_items(client)}


def test_bulk_upserts_of_the_same_names_at_once_all_succeed_and_never_mix(
    client: httpx2.Client, service: Service
) -> None:
    names = [f"{uuid.uuid4()}" for _ in range(40)]
    with parallel(service) as send:
        answers = []
        for price in range(20):
            fields = [item_fields(name=name, price_cents=price, stock=price) for name in names]
            random.Random(price).shuffle(fields)
            answers.append(send("PUT", "/items", json=fields))
        assert [answer.result().status for answer in answers] == [200] * 20
    items = [item for item in all_items(client) if item["name"] in set(names)]
    assert len(items) == 40
    assert len({(item["price_cents"], item["stock"]) for item in items}) == 1


def order(client: httpx2.Client, item: Json, quantity: object) -> httpx2.Response:
    return client.post("/orders", json={"item_id": item["id"], "quantity": quantity})


def test_an_order_takes_its_quantity_from_the_stock(client: httpx2.Client) -> None:
    item = new_item(client, stock=5)
    ordered = order(client, item, 3)
    assert ordered.status_code == 201
    assert (ordered.json()["item_id"], ordered.json()["quantity"]) == (item["id"], 3)
    assert client.get(f"/items/{item['id']}").json() == {**item, "stock": 2}


def test_an_order_over_the_stock_is_409_and_takes_nothing(client: httpx2.Client) -> None:
    item = new_item(client, stock=2)
    refused = order(client, item, 3)
    assert refused.status_code == 409
    assert isinstance(refused.json()["detail"], str)
    assert client.get(f"/items/{item['id']}").json()["stock"] == 2
    assert order(client, item, 2).status_code == 201
    assert order(client, item, 1).status_code == 409


@pytest.mark.parametrize("quantity", [0, -1, 1.5, True, "1", None, [], 10**100], ids=repr)
def test_a_quantity_that_is_no_count_is_422(client: httpx2.Client, quantity: object) -> None:
    item = new_item(client)
    refused = order(client, item, quantity)
    # A huge one is a count, but no stock can satisfy it.
    assert refused.status_code in ({409, 422} if quantity == 10**100 else {422})
    assert client.get(f"/items/{item['id']}").json() == item


@pytest.mark.parametrize("quantity", [2**31 - 1, 2**31, 2**63, 2**64])
def test_a_quantity_over_every_stock_is_no_server_error(client: httpx2.Client, quantity: int) -> None:
    assert order(client, new_item(client), quantity).status_code in {409, 422}


def revenue(client: httpx2.Client, days: object) -> list[Json]:
    response = client.get("/orders/revenue", params={"days": str(days)})
    assert response.status_code == 200, response.text
    rows: list[Json] = response.json()
    assert all(set(row) == {"day", "orders", "revenue_cents"} for row in rows)
    return rows


def test_revenue_sums_the_orders_of_each_day(client: httpx2.Client, server: Database, database: str) -> None:
    server.age_orders(database, days=4000)  # those of other tests
    cheap = new_item(client, price_cents=3, stock=100)
    dear = new_item(client, price_cents=1_000_000_000, stock=100)
    assert order(client, cheap, 5).status_code == 201
    assert order(client, dear, 10).status_code == 201
    server.age_orders(database, days=10)
    today = datetime.now(UTC).date()
    assert order(client, cheap, 7).status_code == 201
    assert today == datetime.now(UTC).date(), "midnight passed during the test"
    # 7 x 3 = 21 today; 5 x 3 + 10 x 1,000,000,000 = 10,000,000,015 ten days ago
    recent = {"day": today.isoformat(), "orders": 1, "revenue_cents": 21}
    old = {"day": (today - timedelta(10)).isoformat(), "orders": 2, "revenue_cents": 10_000_000_015}
    assert [row for row in revenue(client, 1) if row["orders"]] == [recent]
    assert [row for row in revenue(client, 9) if row["orders"]] == [recent]
    both = [row for row in revenue(client, 30) if row["orders"]]
    assert sorted(both, key=lambda row: str(row["day"])) == [old, recent]
    assert revenue(client, 3650) == revenue(client, 30)


@pytest.mark.parametrize("days", ["0", "-1", "3651", "x", "1.5", "", "9" * 30, "1;DROP TABLE orders"])
def test_any_other_number_of_days_is_422(client: httpx2.Client, days: str) -> None:
    assert client.get("/orders/revenue", params={"days": days}).status_code == 422
