"""The rendered SAM template comes true on a real server that has the planned limit: peak, freeze and thaw, end."""

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import pytest

from poolwright.questions import evaluate
from tests import cloudformation
from tests.cloudformation import Function
from tests.processes import wait_until
from tests.rehearsal.environments import Environment, install_runtime, make_package
from tests.rehearsal.table import Row, record
from tests.servers import MongoDB, MySQL, PostgreSQL, Redis, Server
from tests.servers.base import migrator_url
from tests.smoke.layers import Layer, render
from tests.wire import Proxy

INSTANCES = 3
HELD_SECONDS = 3.0
ANSWER_SECONDS = 60
LAYERS = [
    Layer("postgresql", "raw", "asyncpg"),
    Layer("mysql", "sqlalchemy", "aiomysql"),
    Layer("mongodb", "raw", "pymongo"),
]
SERVERS: dict[str, type[PostgreSQL] | type[MySQL] | type[MongoDB]] = {
    "postgresql": PostgreSQL,
    "mysql": MySQL,
    "mongodb": MongoDB,
}


@dataclass(frozen=True)
class Rendered:
    """A project's plan, its package and the functions of its template."""

    plan: dict[str, Any]
    package: Path
    runtime: Path
    functions: dict[str, Function]

    def environment(self, name: str, **urls: str) -> Environment:
        """An environment of a function; urls: DatabaseUrl and the like, as the parameters are named."""
        secrets = {f"arn:{name}": f"{url}\n" for name, url in urls.items()}
        parameters = {f"{name}SecretArn": f"arn:{name}" for name in urls} | {
            "DatabaseCaFile": "",
            "DatabaseTls": "auto",
        }
        return Environment(self.package, self.runtime, self.functions[name], parameters, secrets)

    def migrate(self, url: str) -> None:
        """Run the function Migrate, twice in one environment."""
        environment = self.environment("Migrate", MigrationDatabaseUrl=migrator_url(url))
        try:
            environment.wait_until_ready()
            for _ in range(2):
                assert environment.invoke({}).result(ANSWER_SECONDS) == {"status": "migrated"}
        finally:
            environment.close()


@dataclass(frozen=True)
class Stage:
    """A rendered project and a server with the planned limit, which is reached through the proxy."""

    layer: Layer
    rendered: Rendered
    server: Server
    database: str
    proxy: Proxy

    @property
    def url(self) -> str:
        return self.server.url(self.database, port=self.proxy.port)

    def environment(self) -> Environment:
        return self.rendered.environment("App", DatabaseUrl=self.url)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(layer, id=str(layer), marks=pytest.mark.xdist_group(f"rehearsal-lambda-{layer.database}"))
        for layer in LAYERS
    ],
)
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    layer: Layer = request.param
    rendered = rehearsed(layer, tmp_path_factory.mktemp("lambda"))
    server = SERVERS[layer.database](max_connections=rendered.plan["server_limit"])
    with ExitStack() as stack:
        stack.callback(server.close)
        server.start()
        proxy = stack.enter_context(Proxy(server.port))
        yield Stage(layer, rendered, server, server.create_database(), proxy)


def rehearsed(layer: Layer, directory: Path, **options: object) -> Rendered:
    """A project for a server with the least limit that carries it: nothing is left for one connection too many."""
    answers = {**vars(layer), "deployment": "lambda", "instances": INSTANCES, **options}
    answers["max_connections"] = evaluate(answers).values["least_limit"]
    render(layer, directory / "project", **answers)
    return Rendered(
        evaluate(answers).require_fit().values,
        make_package(directory / "project"),
        install_runtime(directory / "runtime"),
        cloudformation.functions(cloudformation.read(directory / "project" / "deploy" / "template.yaml")),
    )


def test_a_reserved_number_of_environments_stays_within_the_plan(stage: Stage, request: pytest.FixtureRequest) -> None:
    proxy, server, plan = stage.proxy, stage.server, stage.rendered.plan
    stage.rendered.migrate(stage.url)
    assert proxy.peak <= plan["reserved"]["migrations"]
    wait_until(lambda: proxy.open == 0, 10, "the migration has left")
    proxy.peak = 0

    app = stage.rendered.functions["App"]
    assert app.reserved_concurrency == INSTANCES
    answers: list[Future[Any]] = []
    with ExitStack() as cleanup:
        environments = _started(stage, cleanup)
        assert proxy.peak == 0, "a connection was open before the first event"

        answers += _ask_all(environments, "GET", "/readyz")
        answers += _ask_all(environments, "GET", "/items")
        opened = proxy.opened

        # Every environment holds its connection at the same time.
        with server.blocked(stage.database, HELD_SECONDS):
            held = [environment.request("POST", "/items", _item()) for environment in environments]
            wait_until(lambda: server.active(stage.database) == INSTANCES, 20, f"{INSTANCES} requests hold one each")
        answers += _all_done(held)
        assert proxy.opened == opened, "a request opened a connection of its own"
        steady = proxy.peak

        # One is killed with its connection in use, and its successor answers.
        proxy.peak = proxy.open
        with server.blocked(stage.database, HELD_SECONDS):
            environments[0].request("POST", "/items", _item())
            wait_until(lambda: server.active(stage.database) == 1, 20, "a request holds a connection")
            environments[0].close()
        environments[0] = _start(stage, cleanup)
        answers += _ask_all(environments, "POST", "/items", body=True)
        crash, proxy.peak = proxy.peak, max(steady, proxy.peak)

        # Frozen, with the server killed and started meanwhile.
        for environment in environments:
            environment.freeze()
        frozen = time.monotonic()
        server.kill()
        server.start()
        # Time passes for what stands still, too: longer than a connection is trusted without a ping.
        trusted = plan["settings"]["pre_ping_idle_seconds"]
        wait_until(lambda: time.monotonic() > frozen + trusted, trusted + 5, "the freeze was long enough")
        for environment in environments:
            environment.thaw()
        answers += _ask_all(environments, "POST", "/items", body=True)

        # An update: the environments of the old code stand idle with their connections beside those of the new one.
        for environment in environments:
            environment.freeze()
        updated = _started(stage, cleanup)
        answers += _ask_all(updated, "POST", "/items", body=True)
        for environment in environments:
            environment.thaw()

        statuses = [_status(answer) for answer in answers]
        refused = statuses.count(503)
        lost = sum(status not in (200, 201, 503) for status in statuses)
        row = Row("lambda", stage.layer.database, plan["planned_total"], proxy.peak, crash, "-", refused, lost)
        record(request, row)
        assert 2 * INSTANCES <= row.peak <= row.planned
        assert INSTANCES <= row.crash <= row.planned
        assert (row.refused, row.lost) == (0, 0), [
            answer.result() for answer in answers if _status(answer) not in (200, 201)
        ]

        assert [environment.end() for environment in environments + updated] == [0] * 2 * INSTANCES
        wait_until(lambda: proxy.open == 0, 10, "their connections are closed")
        for environment in environments + updated:
            assert "Traceback" not in environment.process.log(), environment.process.log()


def test_everything_in_the_package_is_compiled_whatever_its_times(stage: Stage) -> None:
    sources = list(stage.rendered.package.rglob("*.py"))
    assert len(sources) > 100
    for path in sources:
        compiled = Path(cache_from_source(str(path))).read_bytes()
        # The flags of PEP 552: by hash, and not compared with the source.
        assert int.from_bytes(compiled[4:8], "little") == 0b01, path


def test_several_processes_in_an_environment_are_refused(stage: Stage) -> None:
    """As Lambda Managed Instances start them: each would open what the plan counts for all."""
    variables = {"PYTHONPATH": str(stage.rendered.package), "AWS_LAMBDA_MAX_CONCURRENCY": "16"}
    call = [sys.executable, "-S", "-c", "from deploy.handler import handler; handler({}, None)"]
    done = subprocess.run(call, env=variables, capture_output=True, text=True, cwd=stage.rendered.package)
    assert done.returncode == 1
    assert "RuntimeError: Lambda Managed Instances run 16 processes in each environment" in done.stderr


def test_an_environment_that_stood_still_keeps_its_connection(stage: Stage) -> None:
    stage.rendered.migrate(stage.url)
    environment = stage.environment()
    try:
        environment.wait_until_ready()
        created = _answer(environment.request("POST", "/items", _item()))
        opened = stage.proxy.opened
        environment.freeze()
        environment.thaw()
        found = _answer(environment.request("GET", f"/items/{created['id']}"))
        assert found == created
        assert _answer(environment.request("GET", "/items?limit=1"))[0].keys() == created.keys()
        assert stage.proxy.opened == opened
    finally:
        environment.close()


@pytest.mark.xdist_group("rehearsal-lambda-postgresql")
def test_the_cache_and_the_replica_are_reached_too(tmp_path: Path) -> None:
    rendered = rehearsed(LAYERS[0], tmp_path, cache="redis", read_replica=True)
    server, redis = PostgreSQL(max_connections=rendered.plan["server_limit"]), Redis()
    with ExitStack() as stack:
        for started in (server, redis):
            stack.callback(started.close)
            started.start()
        primary, replica = (stack.enter_context(Proxy(server.port)) for _ in range(2))
        urls = {
            "DatabaseUrl": server.url(server.create_database(), port=primary.port),
            # It stands for a replica: what it holds differs, so that each read shows where it went.
            "ReplicaDatabaseUrl": server.url(server.create_database(), port=replica.port),
        }
        for url in urls.values():
            rendered.migrate(url)
        primary.peak = replica.peak = 0
        environment = rendered.environment("App", **urls, RedisUrl=redis.url)
        stack.callback(environment.close)
        environment.wait_until_ready()
        created = _answer(environment.request("POST", "/items", _item()))
        path = f"/items/{created['id']}"
        assert _answer(environment.request("GET", path)) == created
        with primary.counting() as round_trips:
            assert _answer(environment.request("GET", path)) == created
        assert round_trips.value == 0, "the cache was not asked"
        assert _answer(environment.request("GET", "/items")) == []
        each = rendered.plan["connections_per_process"]
        assert (primary.peak, replica.peak) == (each, each)
        assert 1 <= redis.clients() <= rendered.plan["cache_plan"]["connections_per_process"]
        assert environment.end() == 0


def _started(stage: Stage, cleanup: ExitStack) -> list[Environment]:
    """As many environments as the template reserves, ready for events."""
    environments = [_start(stage, cleanup) for _ in range(INSTANCES)]
    for environment in environments:
        environment.wait_until_ready()
    return environments


def _start(stage: Stage, cleanup: ExitStack) -> Environment:
    environment = stage.environment()
    cleanup.callback(environment.close)
    return environment


def _item() -> dict[str, object]:
    return {"name": f"item {uuid.uuid4()}", "price_cents": 100, "stock": 10}


def _ask_all(environments: list[Environment], method: str, path: str, body: bool = False) -> list[Future[Any]]:
    """The answers of all, asked at the same time."""
    return _all_done([environment.request(method, path, _item() if body else None) for environment in environments])


def _all_done(answers: list[Future[Any]]) -> list[Future[Any]]:
    assert not wait(answers, ANSWER_SECONDS).not_done
    return answers


def _status(answer: Future[Any]) -> int:
    """The status; 0 where the function failed."""
    return 0 if answer.exception() else int(answer.result()["statusCode"])


def _answer(answer: Future[Any]) -> Any:
    """The body of an answer that is a success."""
    response = answer.result(ANSWER_SECONDS)
    assert response["statusCode"] in (200, 201), response
    return json.loads(response["body"])
