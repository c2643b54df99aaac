"""A project's plan beside what its servers say: what is planned, what was found, and the verdict."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from poolwright import circumstances, comparisons
from poolwright.comparisons import PROBLEM, WARNING, Row, Server
from poolwright.errors import Unreachable
from poolwright.plan import SCHEMA_VERSION
from poolwright.questions import Evaluation
from poolwright.rendered import PLAN_FILE, Difference

Facts = Mapping[str, Any]


def problems(rows: Sequence[Row]) -> list[str]:
    """What the rows with a problem are about."""
    return [row.what for row in rows if row.verdict == PROBLEM]


def title(found: Facts) -> str:
    """The server in one line."""
    facts = found["database"]
    user = f", as {facts['user']}" if facts.get("user") else ""
    return f"{facts.get('product', 'The server')} at {facts['address']}{user}"


def compare(evaluation: Evaluation, found: Facts) -> list[Row]:
    """The rows for what the probe found (see probe/__main__.py); those of a replica and a cache are named so.

    Raises Unreachable where the database's server is.
    """
    settings = found["settings"]
    server = Server(found["database"], settings, evaluation)
    if server.facts.get("failed") == "unreachable":
        label = evaluation.values["catalog"]["databases"][evaluation.answers["database"]]["label"]
        raise Unreachable(
            f"The {label} server at {server.facts['address']} cannot be reached: {server.facts['reason']}.\n"
            "Start it, or correct DATABASE_URL in the environment or in the project's .env."
        )
    rows = _rows(server, _REFUSED if "failed" in server.facts else _DATABASE)
    if evaluation.answers.get("read_replica"):
        rows += _prefixed("replica", _replica(evaluation, settings, found["replica"]))
    if evaluation.values["cache_plan"]:
        rows += _prefixed("cache", _cache(evaluation, found["cache"]))
    return rows


def rendered(differing: Sequence[Difference]) -> list[Row]:
    """Whether the numbers in the project's files are those of its answers: no row where they are."""
    if not differing:
        return []
    answered, found = (", ".join(f"{row.name} {row[side]}" for row in differing) for side in (2, 1))
    return [Row(PLAN_FILE, answered, found, WARNING, "poolwright update makes them what the answers give.")]


def document(evaluation: Evaluation, found: Facts, rows: list[Row]) -> dict[str, Any]:
    """The comparison in the shape of `check --json`."""
    facts = found["database"]
    known = {name: facts[name] for name in ("address", "product", "version", "user") if name in facts}
    return {
        "schema_version": SCHEMA_VERSION,
        "answers": evaluation.answers,
        "server": known,
        "ok": not problems(rows),
        "rows": [asdict(row) for row in rows],
    }


def _rows(server: Server, kinds: "list[_Comparison]") -> list[Row]:
    return [row for kind in kinds if (row := kind(server))]


def _prefixed(name: str, rows: list[Row]) -> list[Row]:
    return [replace(row, what=f"{name} {row.what}") for row in rows]


def _replica(evaluation: Evaluation, settings: Facts, facts: Facts | None) -> list[Row]:
    if facts is None:
        advice = "Its reads go to the primary. Set REPLICADATABASE_URL, or answer read_replica=false."
        return [Row("connection", "a server", "no URL", WARNING, advice)]
    return _rows(Server(facts, settings, evaluation), _REFUSED if "failed" in facts else _REPLICA)


def _cache(evaluation: Evaluation, facts: Facts | None) -> list[Row]:
    if facts is None:
        return [Row("connection", "a server", "no URL", WARNING, "Nothing is cached. Set REDIS_URL.")]
    if "failed" in facts:
        advice = f"{facts['address']} cannot be used: items are read from the database. Correct REDIS_URL."
        return [Row("connection", "accepted", facts["reason"], PROBLEM, advice)]
    plan = evaluation.values["cache_plan"]
    if facts["limit"] is None:
        return [Row("limit", plan["limit"], "not told", WARNING, "Ask for maxclients yourself.")]
    least = plan["planned_total"] + plan["limit"] - plan["capacity"]
    row = Row("limit", plan["limit"], facts["limit"])
    if facts["limit"] < least:
        return [replace(row, verdict=PROBLEM, advice=f"The plan needs {least}: set maxclients to that or more.")]
    return [row]


_Comparison = Callable[[Server], Row | None]
_REFUSED: list[_Comparison] = [circumstances.refused]
_REPLICA: list[_Comparison] = [
    comparisons.limit,
    comparisons.server_reserve,
    comparisons.role_limit,
    comparisons.present,
    circumstances.tls,
]
_DATABASE: list[_Comparison] = [
    circumstances.version,
    circumstances.pooler,
    comparisons.limit,
    comparisons.server_reserve,
    comparisons.role_limit,
    comparisons.pool,
    comparisons.present,
    circumstances.replica_set,
    circumstances.file,
    circumstances.journal,
    circumstances.functions,
    circumstances.statement_timeout,
    circumstances.idle_in_transaction,
    circumstances.crash,
    circumstances.transaction_lifetime,
    circumstances.idle_timeout,
    circumstances.tls,
    circumstances.privileges,
]
