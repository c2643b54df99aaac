"""Requests that are cancelled at any moment, as the server sees it: connections and transactions."""

import random
import time
from concurrent.futures import Future
from pathlib import Path

import pytest

from tests.servers import Database
from tests.smoke.small_pool import small_pool
from tests.smoke.traffic import PATIENT, Answer, Json, StartService, item_fields, new_item, parallel, sold

CANCELLATIONS = 600
AT_ONCE = 6
CANCELLED = 499  # the answer of tests/smoke/cancelling.py
APP: Json = {"app": "cancelling:app", "PYTHONPATH": Path(__file__).parent}
STOCK = 100_000


@pytest.mark.fault("cancelled")
def test_600_cancelled_requests_leave_no_connection_and_no_transaction_behind(
    server: Database, database: str, start_service: StartService
) -> None:
    chance = random.Random(CANCELLATIONS)
    pressed = small_pool(start_service, server, database, **PATIENT, **APP)
    with pressed as (service, client), parallel(service, AT_ONCE) as send:
        item = new_item(client, price_cents=1, stock=STOCK)
        sold_before = sold(client)
        order = {"item_id": item["id"], "quantity": 1}

        def request(cancel_after_seconds: float) -> Future[Answer]:
            headers = {"cancel-after": f"{cancel_after_seconds:.6f}"}
            method, path, body = chance.choice(
                [
                    ("GET", f"/items/{item['id']}", None),
                    ("POST", "/items", item_fields()),
                    ("PUT", "/items", [item_fields() for _ in range(5)]),
                    ("POST", "/orders", order),
                    ("POST", "/orders", order),
                ]
            )
            return send(method, path, json=body, headers=headers)

        started = time.monotonic()
        for _ in range(5):
            assert client.post("/orders", json=order).status_code == 201
        longest_seconds = time.monotonic() - started
        cancelled = 0
        while cancelled < CANCELLATIONS:
            answers = [request(chance.uniform(0, longest_seconds)) for _ in range(AT_ONCE)]
            statuses = [answer.result().status for answer in answers]
            assert set(statuses) <= {200, 201, CANCELLED}, service.process.log()[-4000:]
            cancelled += statuses.count(CANCELLED)
        # Each order was placed whole or not at all.
        assert client.get(f"/items/{item['id']}").json()["stock"] + sold(client) - sold_before == STOCK
