"""What whoever runs the service sees: health, metrics, migrations."""

from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.processes import free_port
from tests.servers import Database, Server
from tests.service import migrate, start_migration
from tests.smoke.traffic import StartService, assert_unavailable, item_fields, metric, new_item


def test_a_service_with_its_database_lives_and_is_ready(client: httpx2.Client) -> None:
    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").status_code == 200


@pytest.mark.databases("postgresql", "mysql", "mongodb")
def test_a_service_without_its_server_lives_and_is_not_ready(server: Server, start_service: StartService) -> None:
    url = server.url("nowhere", port=free_port())
    with start_service(url, POOL_TIMEOUT_SECONDS=1).client() as client:
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


def test_metrics_tell_the_pools_limit_use_and_waiting_time(
    server: Database, database: str, start_service: StartService
) -> None:
    service = start_service(server.url(database), POOL_SIZE=4, MAX_OVERFLOW=3)
    with service.client() as client:
        new_item(client)
        response = client.get("/metrics")
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("text/plain")
        types = {x.name: x.type for x in text_string_to_metric_families(response.text)}
        gauges = ["db_pool_limit", "db_pool_open", "db_pool_in_use", "db_pool_waiting"]
        assert {types.get(name) for name in gauges} == {"gauge"}
        assert types.get("db_pool_wait_seconds") == "histogram"
        assert metric(client, "db_pool_limit") == 7
        assert 1 <= metric(client, "db_pool_open") <= 7
        assert metric(client, "db_pool_in_use") == 0
        assert metric(client, "db_pool_waiting") == 0
        waits = metric(client, "db_pool_wait_seconds_count")
        new_item(client)
        assert metric(client, "db_pool_wait_seconds_count") > waits


def test_migrating_again_keeps_the_data(project: Path, server: Database, database: str, client: httpx2.Client) -> None:
    item = new_item(client)
    migrate(project, server.url(database))
    assert client.get(f"/items/{item['id']}").json() == item
    assert client.get("/readyz").status_code == 200


def test_four_migrations_at_once_all_succeed(project: Path, server: Database, start_service: StartService) -> None:
    url = server.url(server.create_database())
    running = [start_migration(project, url) for _ in range(4)]
    outputs = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0] * 4, "\n".join(outputs)
    with start_service(url).client() as client:
        assert client.get("/readyz").status_code == 200
        new_item(client)
