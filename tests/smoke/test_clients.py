"""What clients and operators see of a running service: ids, the log, redirects behind a proxy, killed workers."""

import json
import os
import re
import signal
from pathlib import Path

import httpx2
import pytest

from tests.processes import free_port, wait_until
from tests.servers import Database, Server
from tests.service import START_SECONDS, Service
from tests.smoke.traffic import StartService, assert_unavailable, metric, wait_for_metric

WORKERS = 2
HEALTHCHECK_SECONDS = 30  # as the deployments have it: a worker takes its time to start beside the other tests
ONE_LAYER = pytest.mark.databases("sqlite")  # where nothing depends on the layer


def log_of(service: Service) -> list[dict[str, str]]:
    return [json.loads(line) for line in service.process.log().splitlines()]


@ONE_LAYER
@pytest.mark.each_driver
def test_every_line_of_the_log_is_json_also_the_supervisor_s_and_a_killed_worker_is_not_counted(
    server: Database, database: str, start_service: StartService, tmp_path: Path
) -> None:
    service = start_service(
        server.url(database),
        workers=WORKERS,
        LOG_FORMAT="json",
        UVICORN_LOG_CONFIG="app/log_config.json",
        UVICORN_TIMEOUT_WORKER_HEALTHCHECK=HEALTHCHECK_SECONDS,
        PROMETHEUS_MULTIPROC_DIR=tmp_path,
        POOL_SIZE=2,
        MAX_OVERFLOW=1,
    )
    with service.client() as client:
        (tmp_path / "counter_1.db").touch()  # as a worker's file is at first
        wait_for_metric(client, "db_pool_limit", WORKERS * 3, 30)
        (killed, _) = sorted({int(path.stem.rpartition("_")[2]) for path in tmp_path.glob("gauge_livesum_*.db")})
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: not _answered_by(client, killed, tmp_path), 10, "the killed worker is forgotten")
        # uvicorn 0.54: killed in the moment in which the supervisor asks it, it is waited for first.
        wait_for_metric(client, "db_pool_limit", WORKERS * 3, HEALTHCHECK_SECONDS + START_SECONDS)
        assert metric(client, "db_pool_limit") == WORKERS * 3
    service.stop()
    messages = {line["message"] for line in log_of(service)}
    for start in ("Started parent process", "Started server process", "Application startup complete", "Child process"):
        assert any(message.startswith(start) for message in messages), (start, messages)
    assert {line["severity"] for line in log_of(service)} <= {"INFO", "ERROR"}


def _answered_by(client: httpx2.Client, pid: int, directory: Path) -> bool:
    """Whether the figures of a worker are still there after a scrape."""
    try:
        client.get("/metrics")
    except httpx2.TransportError:  # it was that worker's connection
        return True
    return (directory / f"gauge_livesum_{pid}.db").exists()


@pytest.mark.each_driver
@pytest.mark.databases("postgresql", "mysql", "mongodb")
def test_what_the_driver_says_is_in_the_log_once_with_the_request_s_id(
    server: Server, start_service: StartService
) -> None:
    port = free_port()
    service = start_service(server.url("nowhere", port=port), POOL_TIMEOUT_SECONDS=1, LOG_FORMAT="json")
    with service.client() as client:
        answer = client.get("/items", headers={"X-Request-ID": "find-me"})
        assert_unavailable(answer)
        assert answer.headers["X-Request-ID"] == "find-me"
        assert not re.search(rf"{port}|127\.0\.0\.1|nowhere", answer.text)
    (line,) = [line for line in log_of(service) if line.get("request_id") == "find-me"]
    assert line["message"].startswith("GET /items: 503: ")


@ONE_LAYER
@pytest.mark.each_driver
@pytest.mark.parametrize(("allowed", "scheme"), [("*", "https"), ("127.0.0.1", "https"), ("10.0.0.1", "http")])
def test_redirects_keep_https_behind_a_proxy_that_is_named(
    server: Database, database: str, start_service: StartService, allowed: str, scheme: str
) -> None:
    with start_service(server.url(database), FORWARDED_ALLOW_IPS=allowed).client() as client:
        answer = client.get("/items/", headers={"X-Forwarded-Proto": "https", "Host": "api.example.com"})
    assert (answer.status_code, answer.headers["Location"]) == (307, f"{scheme}://api.example.com/items")
