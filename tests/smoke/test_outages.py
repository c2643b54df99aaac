"""The server goes away and comes back, the service is told to end: nobody has to restart anything."""

import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx2
import pytest

from tests.processes import wait_until
from tests.servers import Database, Server
from tests.service import Service, start_migration
from tests.smoke.shared import SharedServices
from tests.smoke.small_pool import POOL_LIMIT, SMALL_POOL, connections_beside_others, small_pool
from tests.smoke.traffic import (
    Answer,
    Json,
    StartService,
    assert_unavailable,
    item_fields,
    new_item,
    parallel,
    sold,
    wait_for_metric,
)
from tests.wire import Proxy

RECOVERY_SECONDS = 15
READY_SECONDS = 2.0  # within which /readyz answers
NO_ANSWER = 0
CLIENT_TIMEOUT_SECONDS = 20  # after which clients give up: app/plan.py's last limit


@pytest.fixture(scope="session")
def resets(server_of_layer: Server) -> Iterator[Proxy]:
    """Stands before `mortal_server`, and can reset connections."""
    with Proxy(server_of_layer.port) as made:
        yield made


def wait_for_recovery(client: httpx2.Client, since: float) -> None:
    """Return once ten requests in a row succeed; until then only 503 is allowed."""
    in_a_row = 0
    while in_a_row < 10:
        response = client.post("/items", json=item_fields())
        if response.status_code == 201:
            in_a_row += 1
            continue
        in_a_row = 0
        assert_unavailable(response)
        assert time.monotonic() < since + RECOVERY_SECONDS, "not recovered in time"
        time.sleep(0.05)


@contextmanager
def load(service: Service, item_id: str, clients: int = 8) -> Iterator[list[int]]:
    """Reads and orders of one item without a pause; the list collects their statuses, or NO_ANSWER."""
    seen: list[int] = []
    finished = threading.Event()
    order = {"item_id": item_id, "quantity": 1}

    def run() -> None:
        with service.client() as client:
            while not finished.is_set():
                try:
                    seen.append(client.get(f"/items/{item_id}").status_code)
                    seen.append(client.post("/orders", json=order).status_code)
                except httpx2.TransportError:
                    seen.append(NO_ANSWER)

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        finished.set()
        for thread in threads:
            thread.join()


def stock_and_sold(client: httpx2.Client, item: Json) -> int:
    """What is left of an item of 1 cent and what was sold, of that and of all before."""
    return int(client.get(f"/items/{item['id']}").json()["stock"]) + sold(client)


@pytest.mark.fault("killed")
@pytest.mark.databases("postgresql", "mysql", "mongodb")
def test_a_restart_of_the_server_between_requests_costs_no_request(
    mortal_server: Server, mortal_database: str, mortal_service: StartService
) -> None:
    pressed = small_pool(mortal_service, mortal_server, mortal_database, POOL_TIMEOUT_SECONDS=1)
    with pressed as (service, client), parallel(service) as send:
        warm = [send("GET", "/items") for _ in range(30)]
        assert {answer.result().status for answer in warm} == {200}
        mortal_server.kill()
        mortal_server.start()
        time.sleep(1.2)  # connections that are idle for more than a second are checked before use
        for _ in range(10):
            assert client.get("/items").status_code == 200
            assert client.post("/items", json=item_fields()).status_code == 201


@pytest.mark.fault("killed")
@pytest.mark.databases("postgresql", "mysql", "mongodb")
def test_an_outage_answers_503_and_ends_with_the_server_back(
    mortal_server: Server, mortal_database: str, mortal_service: StartService
) -> None:
    with small_pool(mortal_service, mortal_server, mortal_database, POOL_TIMEOUT_SECONDS=1) as (_, client):
        new_item(client)
        mortal_server.kill()
        for path in ["/items", "/readyz", "/items", "/orders/revenue"]:
            assert_unavailable(client.get(path))
        assert client.get("/livez").status_code == 200
        mortal_server.start()
        wait_for_recovery(client, since=time.monotonic())
        assert client.get("/readyz").status_code == 200


@pytest.mark.fault("killed")
@pytest.mark.databases("postgresql", "mysql", "mongodb")
def test_an_outage_under_load_gives_503_and_leaves_no_order_half_done(
    mortal_server: Server, mortal_database: str, mortal_service: StartService
) -> None:
    with small_pool(mortal_service, mortal_server, mortal_database, POOL_TIMEOUT_SECONDS=1) as (service, client):
        item = new_item(client, price_cents=1, stock=1_000_000)
        before = stock_and_sold(client, item)
        with load(service, item["id"]) as seen:
            wait_until(lambda: len(seen) > 50, 10, "the load runs")
            mortal_server.kill()
            wait_until(lambda: 503 in seen, 10, "the load meets the outage")
            mortal_server.start()
            wait_for_recovery(client, since=time.monotonic())
        assert set(seen) == {200, 201, 503}, service.process.log()[-4000:]
        assert stock_and_sold(client, item) == before


@pytest.mark.fault("reset")
@pytest.mark.databases("postgresql", "mysql", "mongodb")
def test_connections_that_are_reset_as_soon_as_they_are_made_give_503(
    resets: Proxy, mortal_server: Server, mortal_database: str, mortal_service: StartService
) -> None:
    """What is between app and server (a balancer, a port that is forwarded) still listens while the server is away."""
    url = mortal_server.url(mortal_database, resets.port)
    pressed = small_pool(mortal_service, mortal_server, mortal_database, url=url, POOL_TIMEOUT_SECONDS=1)
    with pressed as (service, client), parallel(service, connections=8) as send:
        mortal_server.kill()
        answers = [send("GET", "/items") for _ in range(60)]
        assert {answer.result().status for answer in answers} == {503}, service.process.log()[-4000:]
        mortal_server.start()
        wait_for_recovery(client, since=time.monotonic())


@pytest.mark.fault("reset")
@pytest.mark.databases("postgresql", "mysql", "mongodb")
def test_connections_that_are_reset_at_random_moments_give_503(
    resets: Proxy, mortal_server: Server, mortal_database: str, mortal_service: StartService
) -> None:
    url = mortal_server.url(mortal_database, resets.port)
    pressed = small_pool(mortal_service, mortal_server, mortal_database, url=url, POOL_TIMEOUT_SECONDS=1)
    with pressed as (service, client):
        item = new_item(client, price_cents=1, stock=1_000_000)
        before = stock_and_sold(client, item)
        with load(service, item["id"]) as seen:
            opened = resets.opened
            for _ in range(60):
                time.sleep(random.uniform(0, 0.1))
                resets.reset()
        assert resets.opened > opened + 30
        assert set(seen) <= {200, 201, 503}, service.process.log()[-4000:]
        wait_for_recovery(client, since=time.monotonic())
        assert stock_and_sold(client, item) == before


@pytest.mark.fault("reset")
@pytest.mark.databases("postgresql", "mysql", "mongodb")
def test_a_service_whose_connections_were_reset_ends_in_order(
    server: Server, database: str, start_service: StartService
) -> None:
    with Proxy(server.port) as proxy:
        service = start_service(server.url(database, proxy.port), **SMALL_POOL)
        with parallel(service, connections=3) as send:
            warm = [send("GET", "/items") for _ in range(30)]
            assert {answer.result().status for answer in warm} == {200}
        proxy.reset()
        time.sleep(0.1)  # the service reads the reset
        service.terminate()
        assert service.process.wait(10) in {0, -signal.SIGTERM}
        assert "Traceback" not in service.process.log()


@pytest.mark.fault("frozen")
@pytest.mark.databases("postgresql", "mysql", "mongodb")
def test_a_server_that_answers_nothing_is_an_error_within_the_time_limits(
    mortal_server: Server, mortal_database: str, mortal_service: StartService
) -> None:
    pressed = small_pool(
        mortal_service, mortal_server, mortal_database, POOL_TIMEOUT_SECONDS=1, STATEMENT_TIMEOUT_SECONDS=1
    )
    with pressed as (service, client), parallel(service) as send:
        new_item(client)
        mortal_server.freeze()
        try:
            # Nothing holds a connection: it is asked, and says nothing.
            asked = send("GET", "/readyz").result()
            assert_unavailable(asked.response)
            assert asked.seconds < READY_SECONDS
            stuck = [send("GET", "/items") for _ in range(3)]
            stuck += [send("POST", "/items", json=item_fields()) for _ in range(3)]
            assert {answer.result().status for answer in stuck} <= {503, 504}
            assert max(answer.result().seconds for answer in stuck) <= CLIENT_TIMEOUT_SECONDS
            assert client.get("/livez").status_code == 200
        finally:
            mortal_server.thaw()
        wait_for_recovery(client, since=time.monotonic())
        wait_until(lambda: client.get("/readyz").status_code == 200, RECOVERY_SECONDS, "/readyz is 200")


@pytest.mark.fault("frozen")
@pytest.mark.databases("postgresql", "mysql", "mongodb")
@pytest.mark.each_driver
def test_a_frozen_server_is_not_ready_also_while_requests_hold_all_connections(
    mortal_server: Server, mortal_database: str, mortal_service: StartService
) -> None:
    pressed = small_pool(
        mortal_service, mortal_server, mortal_database, POOL_TIMEOUT_SECONDS=1, STATEMENT_TIMEOUT_SECONDS=1
    )
    with pressed as (service, client), parallel(service) as send:
        new_item(client)
        mortal_server.freeze()
        try:
            stuck = [send("GET", "/items") for _ in range(POOL_LIMIT)]
            wait_for_metric(client, "db_pool_in_use", POOL_LIMIT)
            frozen = time.monotonic()
            answer = send("GET", "/readyz").result()
            while answer.status == 200:  # as it would be of a server whose statements take long
                assert answer.seconds < READY_SECONDS
                assert time.monotonic() < frozen + CLIENT_TIMEOUT_SECONDS, "still ready"
                stuck += [send("GET", "/items") for _ in range(POOL_LIMIT)]
                time.sleep(0.2)
                answer = send("GET", "/readyz").result()
            assert_unavailable(answer.response)
        finally:
            mortal_server.thaw()
        assert {answer.result().status for answer in stuck} <= {200, 503, 504}
        wait_until(lambda: client.get("/readyz").status_code == 200, RECOVERY_SECONDS, "/readyz is 200")


@pytest.mark.fault("away")
@pytest.mark.databases("postgresql", "mysql", "mongodb")
def test_a_service_that_starts_before_its_server_serves_once_it_is_there(
    mortal_server: Server, mortal_database: str, mortal_service: SharedServices
) -> None:
    mortal_service.stop()
    mortal_server.kill()
    with small_pool(mortal_service, mortal_server, mortal_database, POOL_TIMEOUT_SECONDS=1) as (_, client):
        assert client.get("/livez").status_code == 200
        for method, path, body in [
            ("GET", "/readyz", None),
            ("GET", "/items", None),
            ("POST", "/items", item_fields()),
            ("PUT", "/items", [item_fields()]),
            ("GET", "/orders/revenue", None),
        ]:
            assert_unavailable(client.request(method, path, json=body))
        assert client.get("/metrics").status_code == 200
        mortal_server.start()
        back = time.monotonic()
        wait_until(lambda: client.get("/readyz").status_code == 200, RECOVERY_SECONDS, "/readyz is 200")
        wait_for_recovery(client, since=back)


@pytest.mark.fault("away")
def test_a_service_is_not_ready_until_its_database_is_migrated_were_it_four_times_at_once(
    project: Path, server: Database, start_service: StartService
) -> None:
    url = server.url(server.create_database())
    with start_service(url).client() as client:
        assert client.get("/livez").status_code == 200
        assert_unavailable(client.get("/readyz"))
        running = [start_migration(project, url) for _ in range(4)]
        codes = [process.wait(60) for process in running]
        assert codes == [0] * 4, "\n".join(process.log() for process in running)
        assert client.get("/readyz").status_code == 200
        new_item(client)


@pytest.mark.fault("SIGTERM")
def test_sigterm_lets_requests_in_flight_finish_and_closes_the_pool(
    server: Database, database: str, start_service: StartService
) -> None:
    service = start_service(server.url(database), **{**SMALL_POOL, "POOL_TIMEOUT_SECONDS": 10})
    with service.client() as client, parallel(service) as send:
        with server.blocked(database, seconds=1.5):
            # Three hold a connection, two wait for one.
            running: list[Future[Answer]] = []
            for _ in range(5):
                running.append(send("POST", "/items", json=item_fields()))
            wait_for_metric(client, "db_pool_waiting", 2)
            service.terminate()
            time.sleep(0.5)
            assert service.process.running
        assert [answer.result().status for answer in running] == [201] * 5
    # uvicorn ends by the signal that it caught.
    assert service.process.wait(10) in {0, -signal.SIGTERM}
    wait_until(lambda: server.idle_in_transaction(database) == 0, 5, "no open transaction")
    if isinstance(server, Server):
        count = partial(connections_beside_others, server, database)
        wait_until(lambda: count() <= 0, 5, "the pool is closed")
