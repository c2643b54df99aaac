"""A service with a pool that is small enough to be pressed, and what must hold of it after every fault."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx2

from tests.processes import wait_until
from tests.servers import Database, Server
from tests.service import Service
from tests.smoke.traffic import StartService, item_fields, metric, parallel, wait_for_metric

SMALL_POOL = {"POOL_SIZE": 2, "MAX_OVERFLOW": 1}
POOL_LIMIT = 3
SETTLE_SECONDS = 20
HELD_SECONDS = 0.7  # shorter than the statement timeout of any test


@contextmanager
def small_pool(
    start_service: StartService, server: Database, database: str, *, url: str | None = None, **settings: object
) -> Iterator[tuple[Service, httpx2.Client]]:
    """A service with SMALL_POOL and a client of it, for a fault; at the end of the block all must be well again.

    That is: no connection is lent, all can be, nothing is idle in a transaction, and the server has no more connections
    than planned.
    """
    asked = time.monotonic()
    others = _count_connections(server, database)
    url = url or server.url(database)
    service = start_service(url, **{**SMALL_POOL, **settings})
    if isinstance(server, Server) and service.started < asked:  # a shared one: its connections were counted too
        others -= service.connections_to(urlsplit(url).port or server.port)
    with service.client() as client:
        yield service, client
        wait_for_metric(client, "db_pool_in_use", 0, SETTLE_SECONDS)
        assert metric(client, "db_pool_waiting") == 0
        wait_until(lambda: server.idle_in_transaction(database) == 0, SETTLE_SECONDS, "no open transaction")
        wait_until(lambda: _lends_all(service, client, server, database), SETTLE_SECONDS, "the pool is whole")
        if isinstance(server, Server):
            planned = others + POOL_LIMIT + server.connections_beside_pool
            wait_until(
                lambda: _count_connections(server, database) <= planned,
                SETTLE_SECONDS,
                f"no more than {planned} connections",
            )


def _count_connections(server: Database, database: str) -> int:
    return server.connections(database) if isinstance(server, Server) and server.running else 0


def _lends_all(service: Service, client: httpx2.Client, server: Database, database: str) -> bool:
    """Whether as many writes as the pool has connections reach the server at once."""
    reached = False
    with parallel(service, connections=POOL_LIMIT) as send:
        with server.blocked(database, HELD_SECONDS):
            writes = [send("POST", "/items", json=item_fields()) for _ in range(POOL_LIMIT)]
            while not (reached or any(write.done() for write in writes)):
                if isinstance(server, Server):
                    reached = server.active(database) == POOL_LIMIT
                else:
                    reached = metric(client, "db_pool_in_use") == POOL_LIMIT
        return all([write.result().status == 201 for write in writes]) and reached
