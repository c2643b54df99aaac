"""The pool plan as a document: what `plan --json` prints and what the reports draw."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from poolwright.questions import Evaluation

SCHEMA_VERSION = 1

_NUMBERS = ("processes", "connections_per_process", "planned_total", "headroom")


@dataclass(frozen=True)
class Part:
    """A part of a side's connections: its name, how many, what they are for, and a letter to draw it with."""

    name: str
    connections: int
    purpose: str
    letter: str


@dataclass(frozen=True)
class Side:
    """What one limit is shared between, from the first connection to the last; the parts' sum is the limit."""

    title: str
    parts: list[Part]


def document(evaluation: Evaluation) -> dict[str, Any]:
    """The plan in the shape of `plan --json`; numbers are integers, times in seconds."""
    values = evaluation.values
    plan: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "answers": evaluation.answers,
        "fits": values["fits"],
        "limit": values["limit"],
        "reserved": values["reserved"],
        "capacity": values["capacity"],
        **{name: values[name] for name in _NUMBERS},
        "settings": values["settings"],
        "why": values["why"],
    }
    if values["pooled"]:
        plan["pooler"] = {
            "limit": values["server_limit"],
            "reserved": values["server_reserved"],
            "capacity": values["server_capacity"],
            "connections": values["pooler_connections"],
            "headroom": values["server_capacity"] - values["pooler_connections"],
        }
    if values.get("pooler_answered"):  # not in the values of a release before it
        plan["pooler"] |= {"pool_size": values["pooler_pool_size"], "mode": values["pooler_mode"]}
    if evaluation.answers.get("read_replica"):
        plan["replica"] = {name: values[name] for name in ("limit", "capacity", "planned_total", "headroom")}
    if cache := values["cache_plan"]:
        plan["cache"] = cache
    for name in ("managed_server", "load"):
        if name in values:
            plan[name] = values[name]
    return plan if evaluation.fits else plan | {"message": values["misfit"], "remedies": values["remedies"]}


def sides(evaluation: Evaluation) -> list[Side]:
    """The connections to the server, and before them, where a pooler stands between, those of the app to the pooler.

    Where the plan does not fit the last part is what is missing, beyond the limit, and only that side is there.
    """
    values = evaluation.values
    server = f"{values['server_limit']} connections of the server"
    if not values["pooled"]:
        return [Side(server, _app_parts(evaluation))]
    row = values["catalog"]["poolers"][evaluation.answers["pooler"]]
    label = row.get("named", row["label"])
    app = Side(f"{values['limit']} connections of {label}", _app_parts(evaluation))
    pooler = Side(server, _pooler_parts(evaluation, label))
    if values["pool_fits"]:
        return [app, pooler]
    return [app if values["pooler_fits"] else pooler]


def _app_parts(evaluation: Evaluation) -> list[Part]:
    values = evaluation.values
    each = values["connections_per_process"] if values["pool_fits"] else values["least_per_process"]
    demand = f"{values['processes']} processes x {each}"
    found = _kept(values["reserved"])
    if values["pool_fits"]:
        return [
            *found,
            Part("app", values["planned_total"], demand, "A"),
            Part("headroom", values["headroom"], "free", "."),
        ]
    missing = values["processes"] * values["least_per_process"] - values["capacity"]
    return [
        *found,
        Part("app", values["capacity"], "all that is left", "A"),
        Part("missing", missing, f"of {demand}", "!"),
    ]


def _pooler_parts(evaluation: Evaluation, label: str) -> list[Part]:
    values = evaluation.values
    found = _kept(values["server_reserved"])
    if not values["pooler_fits"]:
        left, least = values["server_capacity"], values.get("pooler_least", 1)  # as above
        missing = Part("missing", least - left, f"of at least {least} for {label}", "!")
        return [*found, Part("app", left, "all that is left", "A"), missing]
    free = values["server_capacity"] - values["pooler_connections"]
    return [
        *found,
        Part("app", values["pooler_connections"], f"through {label}", "A"),
        Part("headroom", free, "free", "."),
    ]


def _kept(reserved: Mapping[str, int]) -> list[Part]:
    return [
        Part("server", reserved["server"], "kept by the server", "S"),
        Part("reserve", reserved["operations"] + reserved["migrations"], "people, tools, migrations", "R"),
    ]
