"""Reads that may lag come from the replica, all else from the primary; each has a pool of its own."""

from pathlib import Path

import psycopg
import pytest

from tests.processes import free_port, wait_until
from tests.servers import PostgreSQL, Server, Standby
from tests.service import migrate
from tests.smoke.small_pool import SMALL_POOL
from tests.smoke.traffic import PATIENT, StartService, all_items, assert_unavailable, metric, new_item, parallel

pytestmark = pytest.mark.databases("postgresql", "mysql", "mongodb")


@pytest.fixture
def other_database(project: Path, server: Server) -> str:
    """Stands for a replica: what it holds differs, so that each read shows where it went."""
    return server.create_database()


@pytest.mark.each_driver
def test_lists_and_revenue_come_from_the_replica(
    project: Path, server: Server, new_database: str, other_database: str, start_service: StartService
) -> None:
    migrate(project, server.url(other_database))
    urls = {"REPLICA_DATABASE_URL": server.url(other_database)}
    service = start_service(server.url(new_database), **urls, **SMALL_POOL, **PATIENT)
    replica = start_service(server.url(other_database))
    with service.client() as client, replica.client() as behind, parallel(service, connections=20) as send:
        item = new_item(client)
        lagging = new_item(behind, price_cents=7)
        assert client.get(f"/items/{item['id']}").json() == item
        assert client.get(f"/items/{lagging['id']}").status_code == 404
        assert all_items(client) == [lagging]
        assert behind.post("/orders", json={"item_id": lagging["id"], "quantity": 1}).status_code == 201
        (day,) = client.get("/orders/revenue").json()
        assert day["revenue_cents"] == 7
        answers = [send("GET", path) for path in ("/items", f"/items/{item['id']}") for _ in range(40)]
        assert {answer.result().status for answer in answers} == {200}
        assert metric(client, "db_pool_limit") == 6
        assert metric(client, "db_pool_open") <= 6
        assert metric(client, "db_pool_in_use") == 0


@pytest.mark.each_driver
def test_a_replica_that_is_away_stops_its_reads_only(
    server: Server, new_database: str, start_service: StartService
) -> None:
    away = server.url(new_database, port=free_port())
    service = start_service(server.url(new_database), REPLICA_DATABASE_URL=away, POOL_TIMEOUT_SECONDS=1)
    with service.client() as client:
        item = new_item(client)
        assert_unavailable(client.get("/items"))
        assert client.get(f"/items/{item['id']}").json() == item
        assert client.get("/readyz").status_code == 200


@pytest.mark.databases("postgresql")
def test_a_streaming_replica_lags_and_catches_up(
    project: Path, own_server: Server, start_service: StartService
) -> None:
    assert isinstance(own_server, PostgreSQL)
    name = own_server.create_database()
    migrate(project, own_server.url(name))
    standby = Standby(own_server)
    try:
        standby.start()
        service = start_service(own_server.url(name), REPLICA_DATABASE_URL=standby.url(name))
        with service.client() as client:
            first = new_item(client)
            wait_until(lambda: client.get("/items").json() == [first], 10, "the replica has the first item")
            with psycopg.connect(standby.url("postgres").replace("app@", "postgres@"), autocommit=True) as connection:
                connection.execute("SELECT pg_wal_replay_pause()")
                second = new_item(client)
                assert client.get("/items").json() == [first]
                assert client.get(f"/items/{second['id']}").json() == second
                connection.execute("SELECT pg_wal_replay_resume()")
            wait_until(lambda: client.get("/items").json() == [first, second], 10, "the replica has caught up")
    finally:
        standby.close()
