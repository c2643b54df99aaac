"""Measure the layers and write docs/benchmark: `make bench`, or `make bench LAYERS="postgresql-raw-asyncpg ..."`."""

import argparse
import asyncio
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from benchmarks import report
from benchmarks.load import COUNTED, TIMED, Cost, measure, send
from benchmarks.report import App, LayerResult
from benchmarks.subjects import Subject, make_project, versions
from tests.servers import DATABASES, Database, Server
from tests.smoke.layers import Layer, all_layers
from tests.wire import Proxy

CONNECTIONS = 4  # of the client, kept alive
SLICE_SECONDS = 0.3
DELAY_SECONDS = 0.005  # in each direction
DELAYED_SECONDS = 0.5
WARM_UP = 8  # psycopg prepares a statement at its sixth use

DRIVER_APPS = {
    "asyncpg": "postgresql_asyncpg",
    "psycopg": "postgresql_psycopg",
    "asyncmy": "mysql",
    "aiomysql": "mysql",
    "aiosqlite": "sqlite_aiosqlite",
    "pymongo": "mongodb",
    "motor": "mongodb",
}
STYLE_APPS = {"sqlalchemy": "sqlalchemy_sessions"}

Costs = dict[tuple[str, str], list[Cost]]  # by app and request, one of each round


def main() -> None:
    layers = {str(layer): layer for layer in all_layers()}
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("layers", nargs="*", metavar="LAYER", help="such as postgresql-raw-asyncpg; without any, all")
    parser.add_argument("--rounds", type=int, default=8, help="how often each app is measured in turn (8)")
    arguments = parser.parse_args()
    unknown = set(arguments.layers) - set(layers)
    if unknown:
        parser.error(f"no such layer: {', '.join(sorted(unknown))}; there are {', '.join(layers)}")
    chosen = sorted((layers[name] for name in arguments.layers or layers), key=_group)
    with tempfile.TemporaryDirectory(prefix="poolwright-bench-") as directory:
        for (database, driver), group in groupby(chosen, key=_group):
            started = time.monotonic()
            report.add(run_group(list(group), Path(directory), arguments.rounds))
            print(f"{database} {driver}: {time.monotonic() - started:.0f} s", flush=True)
    report.write(slice_seconds=SLICE_SECONDS, connections=CONNECTIONS)


def _group(layer: Layer) -> tuple[str, str]:
    return layer.database, layer.driver


def run_group(layers: Sequence[Layer], directory: Path, rounds: int) -> dict[str, LayerResult]:
    """Measure the layers of one driver and the minimal apps that they are compared with, in turn."""
    same_driver = [layer for layer in all_layers() if _group(layer) == _group(layers[0])]
    raw = next((layer for layer in same_driver if layer.style == "raw"), layers[0])
    driver = raw.driver
    minimal = Subject(f"minimal {driver}", make_project(raw, directory), driver, DRIVER_APPS[driver])
    subjects = [minimal]
    beside: dict[Layer, list[str]] = {}
    for layer in layers:
        project = make_project(layer, directory)
        beside[layer] = [minimal.name]
        if layer.style in STYLE_APPS:
            subjects.append(Subject(f"minimal {layer.style}", project, driver, STYLE_APPS[layer.style]))
            beside[layer].insert(0, subjects[-1].name)
        subjects.append(Subject(str(layer), project, driver))
    with contextlib.closing(DATABASES[raw.database]()) as server:
        server.start()
        costs = measure_in_turn(subjects, server, rounds)
        apps = {subject.name: _app(subject, server, costs) for subject in subjects}
        server_version = server.version()
    return {
        str(layer): LayerResult(
            measured=time.strftime("%Y-%m-%d"),
            processors=os.cpu_count() or 0,
            server=server_version,
            versions=_named(versions(make_project(layer, directory)), layer),
            rendered=apps[str(layer)],
            minimal={name: apps[name] for name in beside[layer]},
            ratios={name: _ratios(costs, str(layer), name) for name in beside[layer]},
        )
        for layer in layers
    }


def measure_in_turn(subjects: Sequence[Subject], server: Database, rounds: int) -> Costs:
    """All apps run at once and are asked one after the other, in another order each round: noise meets all alike."""
    costs: Costs = {}
    with contextlib.ExitStack() as stack:
        services = {}
        for subject in subjects:
            services[subject.name] = subject.start(server)
            stack.callback(services[subject.name].stop)
        for number in range(-1, rounds):  # the first round warms up
            turn = number % len(subjects)
            for name, request in TIMED.items():
                for subject in [*subjects[turn:], *subjects[:turn]]:
                    service = services[subject.name]
                    cost = asyncio.run(
                        measure(
                            service.port,
                            service.process.pid,
                            request,
                            subject.item,
                            seconds=SLICE_SECONDS,
                            connections=CONNECTIONS,
                        )
                    )
                    if number >= 0:
                        costs.setdefault((subject.name, name), []).append(cost)
    return costs


def _ratios(costs: Costs, name: str, minimal: str) -> dict[str, float]:
    """CPU time per request beside the minimal app's of the same round."""
    return {
        request: round(
            statistics.median(
                cost.cpu_microseconds / other.cpu_microseconds
                for cost, other in zip(costs[name, request], costs[minimal, request], strict=True)
            ),
            3,
        )
        for request in TIMED
    }


def _app(subject: Subject, server: Database, costs: Costs) -> App:
    measured = {request: costs[subject.name, request] for request in TIMED}
    app = App(
        cpu_microseconds={
            request: round(statistics.median(cost.cpu_microseconds for cost in found))
            for request, found in measured.items()
        },
        requests_per_second={
            request: round(statistics.median(cost.requests_per_second for cost in found))
            for request, found in measured.items()
        },
    )
    if isinstance(server, Server):
        app.round_trips, app.delayed_milliseconds = measure_on_wire(subject, server)
    return app


def measure_on_wire(subject: Subject, server: Server) -> tuple[dict[str, int], dict[str, float]]:
    """Round trips to the server by request, and how many milliseconds a request takes when the server is far away."""
    round_trips: dict[str, int] = {}
    milliseconds: dict[str, float] = {}
    with contextlib.ExitStack() as stack:
        proxy = Proxy(server.port, server.conversation)
        stack.callback(proxy.close)
        service = subject.start(server, pool_size=1, port=proxy.port)  # a single connection, warm after a few requests
        stack.callback(service.stop)
        for name, request in (TIMED if subject.minimal else COUNTED).items():
            asyncio.run(send(service.port, request, subject.item, WARM_UP))
            with proxy.counting() as count:
                asyncio.run(send(service.port, request, subject.item, 1))
            round_trips[name] = count.value
        proxy.delay_seconds = DELAY_SECONDS
        for name, request in TIMED.items():
            cost = asyncio.run(
                measure(
                    service.port,
                    service.process.pid,
                    request,
                    subject.item,
                    seconds=DELAYED_SECONDS,
                    connections=1,
                )
            )
            milliseconds[name] = round(cost.milliseconds, 1)
    return round_trips, milliseconds


def _named(found: dict[str, str], layer: Layer) -> dict[str, str]:
    """The versions of what a request passes through."""
    names = ["python", "fastapi", "starlette", "pydantic", "uvicorn", "uvloop", "httptools", layer.driver]
    libraries = {"sqlalchemy": "sqlalchemy", "tortoise": "tortoise-orm", "databases": "databases", "beanie": "beanie"}
    names += [libraries[layer.style]] if layer.style in libraries else []
    return {name: found[name] for name in names if name in found}


if __name__ == "__main__":
    main()
