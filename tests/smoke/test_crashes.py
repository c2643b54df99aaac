"""The service's process is killed in the middle of its work, and a new one takes its place."""

import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.processes import wait_until
from tests.servers import Database, MongoDB, PostgreSQL, Server
from tests.smoke.layers import Layer
from tests.smoke.small_pool import POOL_LIMIT, SMALL_POOL, connections_beside_others, small_pool
from tests.smoke.traffic import StartService, new_item, parallel, sold

STATEMENT_TIMEOUT_SECONDS = {"postgresql": 60, "mysql": 3, "mongodb": 4}
TRANSACTION_LIFETIME_SECONDS = 4  # of MongoDB, which looks each half of that
BLOCKED_SECONDS = 3  # on MongoDB, where each command takes so much longer
# How long what the dead process had begun stays in the server, beside what the new one opens.
GONE_SECONDS = {"postgresql": 1.0, "mysql": 3.0, "mongodb": 4.0}
USABLE_SECONDS = {"postgresql": 1.0, "mysql": 3.0, "mongodb": 1.5 * TRANSACTION_LIFETIME_SECONDS}
LOST_SECONDS = 10  # far below the 60 s after which a server ends a transaction by itself
TOLERANCE_SECONDS = 2  # for a machine that is busy with the other tests


@contextmanager
def as_deployed(server: Server, database: str, project: Path) -> Iterator[None]:
    """While entered, the server has what `deploy/` says that it needs for this."""
    if isinstance(server, PostgreSQL):
        roles = (project / "deploy/roles.sql").read_text(encoding="utf-8")
        (setting,) = re.findall(r"ALTER ROLE app SET (client_connection_check_interval = '\w+');", roles)
        server.run(f'ALTER ROLE app IN DATABASE "{database}" SET {setting}')
        try:
            yield
        finally:
            server.run(f'ALTER ROLE app IN DATABASE "{database}" RESET ALL')
    elif isinstance(server, MongoDB):
        before = server.run("setParameter", 1, transactionLifetimeLimitSeconds=TRANSACTION_LIFETIME_SECONDS)["was"]
        try:
            yield
        finally:
            server.run("setParameter", 1, transactionLifetimeLimitSeconds=before)
    else:
        yield


@pytest.mark.fault("crashed")
@pytest.mark.databases("postgresql", "mysql", "mongodb")
def test_what_a_killed_process_had_begun_is_gone_soon(
    project: Path, layer: Layer, server: Server, database: str, start_service: StartService
) -> None:
    settings: dict[str, Any] = {**SMALL_POOL, "STATEMENT_TIMEOUT_SECONDS": STATEMENT_TIMEOUT_SECONDS[layer.database]}
    planned = POOL_LIMIT + server.connections_beside_pool
    with ExitStack() as stack, ExitStack() as block:
        stack.enter_context(as_deployed(server, database, project))
        killed = start_service(server.url(database), **settings)
        client = stack.enter_context(killed.client())
        send = stack.enter_context(parallel(killed))
        item, sold_before = new_item(client), sold(client)
        path, order = f"/items/{item['id']}", {"item_id": item["id"], "quantity": item["stock"]}
        block.enter_context(server.blocked(database, BLOCKED_SECONDS, table="orders"))
        send("POST", "/orders", json=order)
        wait_until(lambda: server.active(database) == 1, 5, "an order holds the item and waits")
        for _ in range(POOL_LIMIT - 1):
            send("PATCH", path, json={"price_cents": 1})
        wait_until(lambda: server.active(database) == POOL_LIMIT, 5, "the others wait for the item")
        killed.process.send(signal.SIGKILL)
        with small_pool(start_service, server, database, **settings) as (service, running):
            seconds = GONE_SECONDS[layer.database] + TOLERANCE_SECONDS
            count = partial(connections_beside_others, server, database, service)
            wait_until(lambda: count() <= planned, seconds, f"{planned} connections")
            block.close()
            seconds = USABLE_SECONDS[layer.database] + TOLERANCE_SECONDS
            wait_until(lambda: running.patch(path, json={"price_cents": 1}).is_success, seconds, "the item is usable")
            assert running.get(path).json()["stock"] == item["stock"]
            assert sold(running) == sold_before
            assert running.post("/orders", json=order).status_code == 201


@pytest.mark.fault("crashed")
@pytest.mark.databases("sqlite")
def test_a_killed_process_leaves_a_whole_file_without_a_lock(
    server: Database, database: str, start_service: StartService
) -> None:
    killed = start_service(server.url(database), **SMALL_POOL)
    with killed.client() as client, parallel(killed, connections=8) as send:
        item, sold_before = new_item(client, price_cents=1, stock=1000), sold(client)
        order = {"item_id": item["id"], "quantity": 1}
        orders = [send("POST", "/orders", json=order) for _ in range(500)]
        wait_until(lambda: orders[30].done(), 10, "orders are placed one after the other")
        killed.process.send(signal.SIGKILL)
        placed = [answer for answer in orders if answer.exception() is None and answer.result().status == 201]
    assert len(placed) < len(orders)
    with small_pool(start_service, server, database) as (_, running):
        assert running.post("/orders", json=order).status_code == 201
        now_sold = sold(running) - sold_before
        assert now_sold > len(placed)
        assert running.get(f"/items/{item['id']}").json()["stock"] + now_sold == item["stock"]


@pytest.mark.fault("reset")
@pytest.mark.databases("mongodb")
def test_a_transaction_whose_abort_was_lost_too_locks_nothing_for_long(
    mortal_server: MongoDB, mortal_database: str, mortal_service: StartService
) -> None:
    pressed = small_pool(mortal_service, mortal_server, mortal_database, STATEMENT_TIMEOUT_SECONDS=1)
    with pressed as (_, client):
        item = new_item(client)
        with mortal_server.hanging_up("insert", "commitTransaction", "abortTransaction"):
            order = client.post("/orders", json={"item_id": item["id"], "quantity": 1})
            assert order.status_code in {503, 504}, order.text
        wait_until(
            lambda: client.patch(f"/items/{item['id']}", json={"price_cents": 1}).is_success,
            LOST_SECONDS,
            "the item is usable",
        )
        assert client.get(f"/items/{item['id']}").json()["stock"] == item["stock"]
