"""How long requests wait for a connection of a real pool, beside what the plan says under that load.

One layer: the gate in front of the pool is the same in all.
"""

import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import wait
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from poolwright.queueing import Queue
from tests.servers import PostgreSQL
from tests.service import Service, install, migrate
from tests.smoke.layers import Layer, render
from tests.smoke.traffic import Send, metric, parallel
from tests.wire import Proxy

POOL = 4
DELAY_SECONDS = (
    0.05  # each way, so that a read holds its connection for a little more than 100 ms, a busy machine or not
)
REQUESTS = 400
RATE = 26  # each second: 0.105 x 26 = 2.7 of 4 connections busy
TRIES = 4  # a machine that stalls fails one, hardly four

pytestmark = pytest.mark.xdist_group("postgresql-raw-asyncpg")


@pytest.fixture
def service(packages: Path, tmp_path: Path) -> Iterator[Service]:
    """A service with a pool of POOL, DELAY_SECONDS from its server."""
    project = tmp_path / "project"
    render(Layer("postgresql", "raw", "asyncpg"), project)
    install(project, packages / "waiting")
    with PostgreSQL() as server:
        name = server.create_database()
        migrate(project, server.url(name))
        with Proxy(server.port, delay_seconds=DELAY_SECONDS) as proxy:
            running = Service(project, server.url(name, port=proxy.port), POOL_SIZE=POOL, MAX_OVERFLOW=0)
            yield running
            running.stop()


def test_a_real_pool_waits_as_the_plan_says(service: Service) -> None:
    with service.client() as client, parallel(service) as send:
        # Every connection is open, and has its statement prepared.
        wait([send("GET", f"/items/{uuid4()}") for _ in range(20 * POOL)])
        seen = []
        for seed in range(TRIES):
            rate, hold, mean_wait = measured([send], [client], seed)
            # As the service saw it: whatever the machine does besides is part of the time that a connection is held.
            queue = Queue(rate, hold, POOL)
            seen.append((rate, queue.hold, queue.mean_wait, mean_wait))
            # The times that connections are held are all but equal, which makes about half of the wait.
            if queue.mean_wait * 0.25 <= mean_wait <= queue.mean_wait * 1.5:
                return
    pytest.fail(f"(rate, hold, mean wait as planned, as seen): {seen}")


def measured(sends: Sequence[Send], clients: Sequence[httpx2.Client], seed: int) -> tuple[float, float, float]:
    """Requests that arrived each second, and the mean seconds that they held a connection and that they waited for it.

    Reads arrive by chance, RATE each second for each service; `sends` and `clients` have one of each service.
    """
    before = [totals(client) for client in clients]
    start = due = time.monotonic()
    chance = random.Random(seed)
    answers = []
    for _ in range(REQUESTS * len(sends)):
        due += chance.expovariate(RATE * len(sends))
        time.sleep(max(due - time.monotonic(), 0))
        answers.append(chance.choice(sends)("GET", f"/items/{uuid4()}"))
    rate = len(answers) / (time.monotonic() - start)
    assert {answer.result().status for answer in answers} == {404}
    after = [totals(client) for client in clients]
    served, waited, spent = (
        sum(now[part] - then[part] for now, then in zip(after, before, strict=True)) for part in range(3)
    )
    assert served == len(answers)
    return rate, (spent - waited) / served, waited / served


def totals(client: httpx2.Client) -> tuple[float, float, float]:
    """Requests that had a connection, seconds that they waited for it, and seconds that reads of an item took."""
    waits = [metric(client, f"db_pool_wait_seconds_{part}") for part in ("count", "sum")]
    spent = sum(
        sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
        if sample.name == "http_request_seconds_sum" and sample.labels["route"] == "/items/{item_id}"
    )
    return waits[0], waits[1], spent
