"""A service with a pool that is small enough to be pressed, and what must hold of it after every fault."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx2

from tests.processes import wait_until
from tests.servers import Database, Server
from tests.service import Service
from tests.smoke.traffic import StartService, item_fields, metric, parallel, wait_for_metric
from tests.wire import Proxy

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
    service = start_service(url or server.url(database), **{**SMALL_POOL, **settings})
    with service.client() as client:
        yield service, client
        wait_for_metric(client, "db_pool_in_use", 0, SETTLE_SECONDS)
        assert metric(client, "db_pool_waiting") == 0
        wait_until(lambda: server.idle_in_transaction(database) == 0, SETTLE_SECONDS, "no open transaction")
        wait_until(lambda: _lends_all(service, client, server, database), SETTLE_SECONDS, "the pool is whole")
        if isinstance(server, Server):
            planned = POOL_LIMIT + server.connections_beside_pool
            wait_until(
                lambda: connections_beside_others(server, database, service) <= planned,
                SETTLE_SECONDS,
                f"no more than {planned} connections",
            )


def connections_beside_others(server: Server, database: str, *services: Service) -> int:
    """The server's connections without those that other services than these have open now."""
    ports = {server.port} | {port for port, behind in Proxy.servers.items() if behind == server.port}
    others = 0
    for service in Service.all_running - set(services):
        same_database = urlsplit(service.database_url).path == urlsplit(server.url(database)).path
        if service.process.running and (same_database or not server.counts_one_database):
            others += service.connections_to(ports)
    return server.connections(database) - others


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
