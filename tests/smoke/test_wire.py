"""What a request costs: round trips between the app and its server, counted on the wire, and threads."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.servers import Database, Server
from tests.service import Service
from tests.smoke.layers import Layer
from tests.smoke.traffic import PATIENT, StartService, item_fields, new_item, parallel
from tests.wire import Proxy

WARM_UP = 8  # psycopg prepares a statement at its sixth use
Request = Callable[[httpx2.Client, str], httpx2.Response]

REQUESTS: dict[str, Request] = {
    "get": lambda client, item: client.get(f"/items/{item}"),
    "list": lambda client, item: client.get("/items", params={"limit": 20}),
    "next page": lambda client, item: client.get("/items", params={"limit": 20, "after": item}),
    "insert": lambda client, item: client.post("/items", json=item_fields()),
    "update": lambda client, item: client.patch(f"/items/{item}", json={"stock": 5}),
    "revenue": lambda client, item: client.get("/orders/revenue"),
}


@pytest.fixture(scope="session")
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(server.port, server.conversation) as made:
        yield made


@pytest.fixture(scope="session")
def client_on_wire(project: Path, proxy: Proxy, server: Server, database: str) -> Iterator[httpx2.Client]:
    """Of a service with a single connection, which is warm after a few requests."""
    url = server.url(database, port=proxy.port)
    service = Service(project, url, POOL_SIZE=1, MAX_OVERFLOW=0)
    with service.client() as client:
        yield client
    service.stop()


@pytest.mark.databases("postgresql", "mysql", "mongodb")
def test_a_read_or_write_of_one_item_costs_one_round_trip(
    layer: Layer, proxy: Proxy, client_on_wire: httpx2.Client
) -> None:
    item = new_item(client_on_wire)["id"]
    expected = dict.fromkeys(REQUESTS, 1)
    if layer.database == "mysql" and layer.style != "raw":
        expected["update"] = 2  # MySQL's UPDATE returns no rows, and these libraries send statements one by one
    counted = {}
    for name, request in REQUESTS.items():
        for _ in range(WARM_UP):
            assert request(client_on_wire, item).is_success
        with proxy.counting() as count:
            assert request(client_on_wire, item).is_success
        counted[name] = count.value
    assert counted == expected


@pytest.mark.databases("postgresql", "mysql", "mongodb")
def test_an_order_costs_two_round_trips_and_those_of_its_transaction(
    proxy: Proxy, client_on_wire: httpx2.Client
) -> None:
    order = {"item_id": new_item(client_on_wire, stock=100)["id"], "quantity": 1}
    for _ in range(WARM_UP):
        assert client_on_wire.post("/orders", json=order).status_code == 201
    with proxy.counting() as count:
        assert client_on_wire.post("/orders", json=order).status_code == 201
    assert 1 <= count.value <= 4  # BEGIN, UPDATE, INSERT, COMMIT


@pytest.mark.databases("postgresql", "mysql", "mongodb")
def test_a_bulk_upsert_costs_the_same_round_trips_for_1_and_1000_items(
    layer: Layer, proxy: Proxy, client_on_wire: httpx2.Client
) -> None:
    # MongoDB needs a transaction to write all or nothing: its commit is a message of its own.
    allowed = 2 if layer.database == "mongodb" else 1
    for size in [1, 1000]:
        items = [item_fields() for _ in range(size)]
        for _ in range(WARM_UP):
            assert client_on_wire.put("/items", json=items).is_success
        with proxy.counting() as count:
            assert client_on_wire.put("/items", json=items).is_success
        assert 1 <= count.value <= allowed


@pytest.mark.databases("postgresql", "mysql", "mongodb")
def test_a_connection_is_pinged_only_after_more_than_a_second_of_idleness(
    proxy: Proxy, client_on_wire: httpx2.Client
) -> None:
    item = new_item(client_on_wire)["id"]
    for _ in range(WARM_UP):
        client_on_wire.get(f"/items/{item}")

    def round_trips_after(idle_seconds: float) -> int:
        """On a busy machine a short pause can last more than a second: then once more."""
        while True:
            client_on_wire.get(f"/items/{item}")
            used = time.monotonic()
            time.sleep(idle_seconds)
            with proxy.counting() as count:
                assert client_on_wire.get(f"/items/{item}").status_code == 200
                waited_seconds = time.monotonic() - used
            if (waited_seconds < 1) == (idle_seconds < 1):
                return count.value

    assert [round_trips_after(seconds) for seconds in (0, 0.5)] == [1, 1]
    assert round_trips_after(1.5) <= 2
    assert round_trips_after(0) == 1


def test_requests_start_no_threads(layer: Layer, server: Database, database: str, start_service: StartService) -> None:
    service = start_service(server.url(database), POOL_SIZE=3, MAX_OVERFLOW=0, **PATIENT)
    # SQLite has no asynchronous interface, Motor has no network code: one thread for each connection of the pool.
    allowed = 3 if layer.driver in {"aiosqlite", "motor"} else 0
    before = service.threads()
    with service.client() as client, parallel(service, connections=30) as send:
        item = new_item(client)["id"]
        answers = [send("GET", f"/items/{item}") for _ in range(150)]
        answers += [send("POST", "/items", json=item_fields()) for _ in range(150)]
        most = before
        while not all(answer.done() for answer in answers):
            most = max(most, service.threads())
        assert {answer.result().status for answer in answers} == {200, 201}
    assert most - before <= allowed
