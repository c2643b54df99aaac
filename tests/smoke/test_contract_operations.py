"""What whoever runs the service sees: health, metrics, migrations."""

from pathlib import Path

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from tests.servers import Database
from tests.service import migrate
from tests.smoke.traffic import MIDDLING_POOL, PATIENT, StartService, metric, new_item


def test_a_service_with_its_database_lives_and_is_ready(client: httpx2.Client) -> None:
    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").status_code == 200


def test_metrics_tell_the_pools_limit_use_and_waiting_time(
    server: Database, database: str, shared_service: StartService
) -> None:
    service = shared_service(server.url(database), **MIDDLING_POOL, **PATIENT)
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
