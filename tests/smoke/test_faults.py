"""Too many requests, slow statements and slow clients: a small pool that is pressed hard answers and stays whole."""

import socket
from concurrent.futures import Future
from pathlib import Path

import pytest

from tests.processes import wait_until
from tests.servers import Database, Server
from tests.service import Service
from tests.smoke.small_pool import POOL_LIMIT, connections_beside_others, small_pool
from tests.smoke.traffic import (
    PATIENT,
    Answer,
    StartService,
    assert_unavailable,
    item_fields,
    metric,
    new_item,
    parallel,
    wait_for_metric,
)

READY_SECONDS = 2.0  # within which /readyz answers
TOLERANCE_SECONDS = 1.0  # for a machine that is busy with the other tests


def statuses(answers: list[Future[Answer]]) -> list[int]:
    return sorted(answer.result().status for answer in answers)


@pytest.mark.fault("exhausted")
def test_an_exhausted_pool_answers_503_within_the_pool_timeout(
    server: Database, database: str, shared_service: StartService
) -> None:
    pressed = small_pool(shared_service, server, database, POOL_TIMEOUT_SECONDS=1)
    with pressed as (service, client), parallel(service) as send:
        with server.blocked(database, seconds=3):
            holding = [send("POST", "/items", json=item_fields()) for _ in range(POOL_LIMIT)]
            wait_for_metric(client, "db_pool_in_use", POOL_LIMIT)
            refused = [send("GET", "/items"), send("POST", "/items", json=item_fields())]
            assert client.get("/livez").status_code == 200
            for answer in refused:
                assert_unavailable(answer.result().response)
                assert 0.9 <= answer.result().seconds <= 1 + TOLERANCE_SECONDS
        assert statuses(holding) == [201] * POOL_LIMIT
        assert client.get("/items").status_code == 200
        assert metric(client, "db_pool_in_use") == 0


@pytest.mark.fault("exhausted")
def test_a_busy_database_is_ready_however_full_the_pool(
    server: Database, database: str, start_service: StartService
) -> None:
    pressed = small_pool(start_service, server, database, POOL_TIMEOUT_SECONDS=10)
    with pressed as (service, client), parallel(service) as send:
        with server.blocked(database, seconds=2):
            served = [send("POST", "/items", json=item_fields()) for _ in range(POOL_LIMIT + 2)]
            wait_for_metric(client, "db_pool_waiting", 2)
            for ready in [send("GET", "/readyz") for _ in range(5)]:
                assert ready.result().status == 200
                assert ready.result().seconds < READY_SECONDS
            if isinstance(server, Server):
                planned = POOL_LIMIT + server.connections_beside_pool
                assert connections_beside_others(server, database, service) <= planned
        assert statuses(served) == [201] * (POOL_LIMIT + 2)
        assert client.get("/readyz").status_code == 200


@pytest.mark.fault("exhausted")
def test_requests_over_the_waiting_limit_are_refused_at_once(
    server: Database, database: str, start_service: StartService
) -> None:
    pressed = small_pool(start_service, server, database, POOL_TIMEOUT_SECONDS=10, POOL_MAX_WAITING=2)
    with pressed as (service, client), parallel(service) as send:
        with server.blocked(database, seconds=2):
            served = [send("POST", "/items", json=item_fields()) for _ in range(POOL_LIMIT)]
            wait_for_metric(client, "db_pool_in_use", POOL_LIMIT)
            served += [send("POST", "/items", json=item_fields()) for _ in range(2)]
            wait_for_metric(client, "db_pool_waiting", 2)
            for refused in [send("GET", "/items") for _ in range(5)]:
                assert_unavailable(refused.result().response)
                assert refused.result().seconds < 0.5
        assert statuses(served) == [201] * 5
        assert metric(client, "db_pool_waiting") == 0


@pytest.mark.fault("timeout")
@pytest.mark.databases("postgresql", "mysql", "mongodb")
def test_a_statement_over_its_timeout_is_504_and_its_connection_is_usable_again(
    server: Database, database: str, shared_service: StartService
) -> None:
    pressed = small_pool(shared_service, server, database, STATEMENT_TIMEOUT_SECONDS=1)
    with pressed as (service, client), parallel(service) as send:
        item = new_item(client)
        path = f"/items/{item['id']}"
        with server.blocked(database, seconds=1.5):
            slow = [send("GET", path), send("POST", "/items", json=item_fields())]
            slow.append(send("PUT", "/items", json=[item_fields()]))
            for answer in slow:
                assert answer.result().status == 504, answer.result().response.text
                assert isinstance(answer.result().response.json()["detail"], str)
                # MongoDB notices the time limit at the end of the 1.5 s for which it is blocked.
                assert 0.9 <= answer.result().seconds <= 1.5 + TOLERANCE_SECONDS
        assert metric(client, "db_pool_in_use") == 0
        assert statuses([send("GET", path) for _ in range(20)]) == [200] * 20


@pytest.mark.fault("timeout")
@pytest.mark.databases("postgresql", "mysql", "mongodb")
def test_an_order_that_is_stopped_halfway_takes_no_stock(
    server: Database, database: str, shared_service: StartService
) -> None:
    with small_pool(shared_service, server, database, STATEMENT_TIMEOUT_SECONDS=1) as (_, client):
        item = new_item(client)
        with server.blocked(database, seconds=1.5, table="orders"):
            stopped = client.post("/orders", json={"item_id": item["id"], "quantity": 1})
            assert stopped.status_code == 504
        assert client.get(f"/items/{item['id']}").json() == item
        new_order = client.post("/orders", json={"item_id": item["id"], "quantity": 10})
        assert new_order.status_code == 201, "the stopped order still locks the item"


@pytest.mark.fault("timeout")
@pytest.mark.databases("sqlite")
def test_a_write_lock_held_over_the_timeout_is_503_while_reads_go_on(
    server: Database, database: str, start_service: StartService
) -> None:
    pressed = small_pool(start_service, server, database, POOL_TIMEOUT_SECONDS=1, STATEMENT_TIMEOUT_SECONDS=1)
    with pressed as (service, client), parallel(service) as send:
        item = new_item(client)
        with server.blocked(database, seconds=0):
            write = send("POST", "/items", json=item_fields())
            assert client.get(f"/items/{item['id']}").json() == item
            assert not write.done()
            assert_unavailable(write.result().response)
            assert 0.9 <= write.result().seconds <= 1 + TOLERANCE_SECONDS
        assert statuses([send("POST", "/items", json=item_fields()) for _ in range(9)]) == [201] * 9


def connection_that_reads_nothing(service: Service, path: str, requests: int) -> socket.socket:
    """Sends requests for a long page and leaves the answers in the kernel, whose buffers they overfill."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    # The server's send buffer grows with the size of segments, on loopback to megabytes.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    connection.connect(("127.0.0.1", service.port))
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * requests)
    return connection


@pytest.mark.fault("slow readers")
def test_clients_that_read_nothing_hold_no_database_connection(
    server: Database, database: str, shared_service: StartService
) -> None:
    clients: list[socket.socket] = []
    with small_pool(shared_service, server, database, **PATIENT) as (service, client):
        last = new_item(client)["id"]
        # 200 names of 200 characters of 4 bytes: a page of more than 160,000 bytes.
        names = ("\N{ROCKET}" * 197 + f"{number:03}" for number in range(200))
        page = [item_fields(name=name) for name in names]
        assert client.put("/items", json=page).status_code == 200
        path = f"/items?limit=200&after={last}"
        assert len(client.get(path).json()) == 200
        try:
            clients += [connection_that_reads_nothing(service, path, requests=3) for _ in range(40)]
            wait_until(lambda: stalled_answers(service, clients) == 40, 10, "all clients have stopped reading")
            wait_for_metric(client, "db_pool_in_use", 0)
            for _ in range(20):
                assert client.get("/items", params={"limit": 1}).status_code == 200
            assert client.post("/items", json=item_fields()).status_code == 201
            assert stalled_answers(service, clients) == 40
        finally:
            for connection in clients:
                connection.close()


def stalled_answers(service: Service, clients: list[socket.socket]) -> int:
    """How many of these clients the service has bytes for that they do not take."""
    ports = {client.getsockname()[1] for client in clients}
    stalled = set()  # a connection can stand in the table twice, when it changes while it is read
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        port = int(remote.split(":")[1], 16)
        if int(local.split(":")[1], 16) == service.port and port in ports and int(queues.split(":")[0], 16) > 0:
            stalled.add(port)
    return len(stalled)
