"""Many at once: orders never oversell, clients that leave take nothing with them, connections stay within the plan."""

import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx2
import pytest

from tests.processes import wait_until
from tests.servers import Database, Server
from tests.service import Service
from tests.smoke.small_pool import POOL_LIMIT, SMALL_POOL, connections_beside_others, small_pool
from tests.smoke.traffic import (
    MIDDLING_POOL,
    PATIENT,
    StartService,
    item_fields,
    metric,
    new_item,
    parallel,
    sold,
    wait_for_metric,
)


@pytest.mark.fault("races")
def test_60_orders_for_20_pieces_sell_exactly_20(server: Database, database: str, shared_service: StartService) -> None:
    service = shared_service(server.url(database), **MIDDLING_POOL, **PATIENT)
    with service.client() as client, parallel(service) as send:
        item = new_item(client, stock=20)
        body = {"item_id": item["id"], "quantity": 1}
        answers = [send("POST", "/orders", json=body) for _ in range(60)]
        statuses = sorted(answer.result().status for answer in answers)
        assert statuses == [201] * 20 + [409] * 40
        assert client.get(f"/items/{item['id']}").json()["stock"] == 0


def test_the_same_name_60_times_at_once_is_created_once(client: httpx2.Client, service: Service) -> None:
    fields = item_fields()
    with parallel(service) as send:
        answers = [send("POST", "/items", json=fields) for _ in range(60)]
        assert sorted(answer.result().status for answer in answers) == [201] + [409] * 59


def request_and_leave(service: Service, method: str, path: str, body: str, seconds: float) -> None:
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        time.sleep(seconds)


@pytest.mark.fault("cancelled")
def test_200_clients_that_leave_at_random_moments_leak_nothing(
    server: Database, database: str, shared_service: StartService
) -> None:
    chance = random.Random(200)
    with small_pool(shared_service, server, database, **PATIENT) as (service, client):
        item = new_item(client, price_cents=1, stock=10_000)
        sold_before = sold(client)
        order = f'{{"item_id": "{item["id"]}", "quantity": 1}}'
        change = '{"price_cents": 1}'

        def stock() -> int:
            left: int = client.get(f"/items/{item['id']}").json()["stock"]
            return left

        with ThreadPoolExecutor(10) as threads:
            for _ in range(50):
                for request in [
                    ("POST", "/orders", order),
                    ("POST", "/orders", order),
                    ("PATCH", f"/items/{item['id']}", change),
                    ("GET", "/items", ""),
                ]:
                    seconds = chance.uniform(0, 0.02)
                    threads.submit(request_and_leave, service, *request, seconds)
        wait_for_metric(client, "db_pool_in_use", 0, seconds=20)
        # Requests of clients that have left may still be read from their connections, so this is asked more than once.
        wait_until(lambda: stock() + sold(client) - sold_before == 10_000, 20, "every piece sold is an order")
        assert stock() < 10_000, "no order came through"


@pytest.mark.fault("races")
@pytest.mark.databases("postgresql", "mysql", "mongodb")
@pytest.mark.each_driver
def test_connections_never_exceed_the_plan_however_many_ask(
    mortal_server: Server, mortal_database: str, start_service: StartService
) -> None:
    service = start_service(mortal_server.url(mortal_database), workers=2, **SMALL_POOL, **PATIENT)
    planned = 2 * (POOL_LIMIT + mortal_server.connections_beside_pool)
    finished = threading.Event()
    seen: list[int] = []

    def watch() -> None:
        while not finished.is_set():
            seen.append(connections_beside_others(mortal_server, mortal_database, service))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        with parallel(service, connections=40) as send:
            answers = [send("POST", "/items", json=item_fields()) for _ in range(400)]
            assert {answer.result().status for answer in answers} == {201}
    finally:
        finished.set()
        watching.join()
    assert 2 <= max(seen) <= planned


@pytest.mark.fault("races")
@pytest.mark.databases("postgresql", "mongodb")
def test_a_full_pool_opens_the_connections_that_the_plan_counts(
    mortal_server: Server, mortal_database: str, mortal_service: StartService
) -> None:
    pressed = small_pool(mortal_service, mortal_server, mortal_database, POOL_TIMEOUT_SECONDS=1)
    with pressed as (service, client), parallel(service) as send:
        with mortal_server.blocked(mortal_database, seconds=2):
            holding = [send("POST", "/items", json=item_fields()) for _ in range(POOL_LIMIT)]
            wait_for_metric(client, "db_pool_in_use", POOL_LIMIT)
            planned = POOL_LIMIT + mortal_server.connections_beside_pool
            seen = partial(connections_beside_others, mortal_server, mortal_database, service)
            wait_until(lambda: seen() == planned, 5, f"{planned} connections")
            # Now, not later: SQLAlchemy closes what is above the pool size when it comes back.
            assert metric(client, "db_pool_open") == POOL_LIMIT
        assert [answer.result().status for answer in holding] == [201] * POOL_LIMIT
