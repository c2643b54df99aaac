"""The results: docs/benchmark/results.json, which later runs add to, and the page and picture drawn from it."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.load import COUNTED, TIMED
from benchmarks.picture import draw
from tests.readme import replace_table

DIRECTORY = Path(__file__).resolve().parents[1] / "docs" / "benchmark"
RESULTS = DIRECTORY / "results.json"
MARK = "<!-- round trips: made by make bench -->"

PAGE = """\
# What a request costs

Each rendered project beside a minimal hand-written FastAPI app ([benchmarks/minimal](../../benchmarks/minimal)) that
answers the same requests on the same driver, with the same round trips and a pool of the same size, and has no gate,
deadline, metrics, translated errors or layers. SQLAlchemy's layers stand beside a minimal app on SQLAlchemy's sessions
too: the difference between the two comparisons is SQLAlchemy's own price.

All apps of a driver run at once and are asked in turn, in slices of {slice_seconds} s, by {connections} kept-alive
connections, with the same uvicorn flags and one worker. A ratio is the median over the rounds of one round's rendered
and minimal figure, so that what else the machine does meets both. CPU time is the server process's, user and system,
of all its threads.

Again: `make bench`, or `make bench LAYERS="postgresql-raw-asyncpg ..."` for some of them.

![CPU time beside the minimal apps](results.svg)

## CPU time per request, minimal app = 1

{ratios}

## Microseconds of CPU per request, and requests per second, rendered | minimal

{costs}

## Round trips to the server

Counted on the wire by a proxy between app and server; [tests/smoke/test_wire.py](../../tests/smoke/test_wire.py) holds
them. An order's transaction has two statements, BEGIN and COMMIT; the bulk upsert is one of 100 items.

{round_trips}

## Milliseconds per request with 5 ms more to the server in each direction, rendered | minimal

One request at a time through the proxy: here round trips are what counts, and CPU time is not.

{delayed}

## Measured with

{versions}
"""


@dataclass
class App:
    """The figures of one app, each by request; those of the wire are empty where there is no server."""

    cpu_microseconds: dict[str, int]
    requests_per_second: dict[str, int]
    round_trips: dict[str, int] = field(default_factory=dict)
    delayed_milliseconds: dict[str, float] = field(default_factory=dict)


@dataclass
class LayerResult:
    """A layer's rendered app and the minimal apps that were measured in turn with it, the most similar one first.

    ratios: by minimal app and request, CPU time per request beside the minimal app's.
    """

    measured: str
    processors: int
    server: str
    versions: dict[str, str]
    rendered: App
    minimal: dict[str, App]
    ratios: dict[str, dict[str, float]]


def add(results: Mapping[str, LayerResult]) -> None:
    """Keep the results of these layers, in place of older ones."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    kept = _read() if RESULTS.exists() else {}
    kept |= {name: asdict(result) for name, result in results.items()}
    RESULTS.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n")


def write(**method: float) -> None:
    """Draw page and picture from all results that are kept, and the README's table of round trips."""
    results = _read()
    round_trips = _table(["layer", *COUNTED], _round_trips(results))
    (DIRECTORY / "results.svg").write_text(draw(results))
    (DIRECTORY / "results.md").write_text(
        PAGE.format(
            ratios=_table(["layer", "beside", *TIMED], _ratios(results)),
            costs=_table(["layer", *TIMED], _costs(results)),
            round_trips=round_trips,
            delayed=_table(["layer", *TIMED], _delayed(results)),
            versions="\n".join(_versions(results)),
            **method,
        )
    )
    replace_table(MARK, round_trips)


def _read() -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(RESULTS.read_text())
    return kept


def _ratios(results: Mapping[str, Any]) -> Iterator[list[str]]:
    for name, row in results.items():
        for minimal, ratios in row["ratios"].items():
            yield [name, minimal, *(f"{ratio:.2f}" for ratio in _in_order(ratios, TIMED))]


def _costs(results: Mapping[str, Any]) -> Iterator[list[str]]:
    for name, row in results.items():
        minimal = next(iter(row["minimal"].values()))
        cells = []
        for request in TIMED:
            microseconds = [app["cpu_microseconds"][request] for app in (row["rendered"], minimal)]
            per_second = [app["requests_per_second"][request] for app in (row["rendered"], minimal)]
            cells.append(f"{_pair(microseconds)} us, {_pair(per_second)}/s")
        yield [name, *cells]


def _round_trips(results: Mapping[str, Any]) -> Iterator[list[str]]:
    for name, row in results.items():
        if row["rendered"]["round_trips"]:
            yield [name, *(str(trips) for trips in _in_order(row["rendered"]["round_trips"], COUNTED))]


def _delayed(results: Mapping[str, Any]) -> Iterator[list[str]]:
    for name, row in results.items():
        minimal = next(iter(row["minimal"].values()))
        if row["rendered"]["delayed_milliseconds"]:
            apps = (row["rendered"], minimal)
            yield [name, *(_pair([app["delayed_milliseconds"][request] for app in apps]) for request in TIMED)]


def _versions(results: Mapping[str, Any]) -> Iterator[str]:
    for name, row in results.items():
        packages = ", ".join(f"{package} {version}" for package, version in row["versions"].items())
        yield f"- {name}: {row['measured']}, {row['processors']} processors, {row['server']}, {packages}"


def _in_order(figures: Mapping[str, Any], requests: Iterable[str]) -> list[Any]:
    return [figures[request] for request in requests]


def _pair(figures: Iterable[float]) -> str:
    return " \\| ".join(str(figure) for figure in figures)


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
