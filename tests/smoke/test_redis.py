"""Items cached in Redis: faster where it is there, never wrong, and never down where it is not."""

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes import wait_until
from tests.servers import Database, Redis, Server
from tests.servers.base import owner_url
from tests.service import Service, install
from tests.smoke.layers import Layer, render
from tests.smoke.test_project import run, run_in
from tests.smoke.traffic import item_fields, new_item, parallel
from tests.wire import Proxy

REDIS_CONNECTIONS = 8  # the plan's, for each process


@pytest.fixture(scope="module")
def cached_project(layer: Layer, packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layer's project with Redis answered, and what it needs at run time."""
    directory = tmp_path_factory.mktemp("cached") / "project"
    render(layer, directory, cache="redis")
    install(directory, packages / "cached")
    return directory


@pytest.fixture
def redis() -> Iterator[Redis]:
    made = Redis()
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture
def cached(cached_project: Path, server: Database, database: str, redis: Redis) -> Iterator[Service]:
    with serving(cached_project, server.url(database), redis.url) as service:
        yield service


@contextmanager
def serving(project: Path, url: str, redis_url: str) -> Iterator[Service]:
    """A service of the project; at its end its log has no traceback."""
    service = Service(project, url, REDIS_URL=redis_url)
    try:
        yield service
    finally:
        service.stop()
    assert "Traceback" not in service.process.log(), service.process.log()[-4000:]


@pytest.mark.each_driver
def test_the_projects_own_tests_of_the_cache_pass(
    cached_project: Path, packages: Path, server: Database, database: str, redis: Redis
) -> None:
    url = owner_url(server.url(database))
    done = run(cached_project, packages, url, "pytest", "-q", "tests/cache", REDIS_URL=redis.url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


@pytest.mark.databases("sqlite")
def test_the_cache_s_types_are_right(cached_project: Path, packages: Path, server: Database, database: str) -> None:
    run_in(cached_project, packages, server.url(database), "mypy", "--strict", ".")


@pytest.mark.databases("postgresql", "mysql", "mongodb")
@pytest.mark.each_driver
def test_a_cached_read_asks_the_database_nothing(
    cached_project: Path, server: Server, database: str, redis: Redis
) -> None:
    with Proxy(server.port, server.conversation) as proxy:
        url = server.url(database, port=proxy.port)
        with serving(cached_project, url, redis.url) as service, service.client() as client:
            item = new_item(client)
            assert client.get(f"/items/{item['id']}").json() == item
            with proxy.counting() as count:
                for _ in range(20):
                    assert client.get(f"/items/{item['id']}").json() == item
            assert count.value == 0


@pytest.mark.each_driver
def test_two_processes_never_answer_what_was_before_a_finished_write(
    cached_project: Path, server: Database, database: str, redis: Redis, cached: Service
) -> None:
    with serving(cached_project, server.url(database), redis.url) as other:
        with cached.client() as writer:
            item = new_item(writer, stock=0)
            path = f"/items/{item['id']}"
            written = 0
            finished = threading.Event()

            def read(service: Service) -> list[tuple[int, int]]:
                old = []
                with service.client() as client:
                    while not finished.is_set():
                        least = written
                        found = client.get(path).json()["stock"]
                        if found < least:
                            old.append((found, least))
                return old

            with ThreadPoolExecutor(4) as threads:
                readers = [threads.submit(read, service) for service in (cached, other, cached, other)]
                try:
                    for number in range(1, 151):
                        if number % 10:
                            change = writer.patch(path, json={"stock": number})
                        else:
                            fields = item_fields(name=item["name"], stock=number)
                            change = writer.put("/items", json=[fields])
                        assert change.status_code == 200
                        written = number
                        time.sleep(random.uniform(0, 0.003))
                finally:
                    finished.set()
                assert [old for reader in readers for old in reader.result()] == []
        assert redis.clients() <= 2 * REDIS_CONNECTIONS


@pytest.mark.each_driver
def test_without_redis_requests_are_slower_but_right(cached: Service, redis: Redis) -> None:
    with cached.client() as client:
        item = new_item(client, stock=0)
        path = f"/items/{item['id']}"

        def change_and_read(number: int) -> float:
            started = time.monotonic()
            assert client.patch(path, json={"stock": number}).status_code == 200
            assert client.get(path).json()["stock"] == number
            return time.monotonic() - started

        change_and_read(1)
        redis.kill()
        assert max(change_and_read(number) for number in range(2, 12)) < 5
        redis.start()
        wait_until(lambda: client.get(path).is_success and redis.run("EXISTS", key(item)) == ":1", 15, "cached again")
        change_and_read(12)
        redis.freeze()
        try:
            assert max(change_and_read(number) for number in range(13, 18)) < 5
        finally:
            redis.thaw()
        change_and_read(18)


@pytest.mark.databases("sqlite")  # the cache is the same for all
def test_connections_to_redis_that_are_reset_cost_time_only(
    cached_project: Path, server: Database, database: str, redis: Redis
) -> None:
    with Proxy(redis.port) as proxy:
        redis_url = redis.url.replace(str(redis.port), str(proxy.port))
        with (
            serving(cached_project, server.url(database), redis_url) as service,
            service.client() as client,
            parallel(service, connections=8) as send,
        ):
            paths = [f"/items/{new_item(client)['id']}" for _ in range(8)]
            for number in range(30):
                changes = [send("PATCH", path, json={"stock": number}) for path in paths]
                time.sleep(random.uniform(0, 0.02))
                proxy.reset()
                assert {change.result().status for change in changes} == {200}
                reads = [send("GET", path) for path in paths]
                assert {read.result().response.json()["stock"] for read in reads} == {number}
            assert proxy.opened > 60


def key(item: dict[str, str]) -> str:
    return "{items}:" + item["id"].replace("-", "")
