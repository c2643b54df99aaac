"""What to change where the planned pool does not suit a load: each remedy alone is enough, tried on its own plan."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from poolwright.errors import InvalidAnswer
from poolwright.figures import short
from poolwright.load_model import KEEPS_UP, POOL_EXCEEDS_CORES, SERVER_TOO_SMALL, Demand, Model
from poolwright.questions import Evaluation

#: The plan for the answers given with these changes.
Replan = Callable[[Mapping[str, Any]], Evaluation]

#: What is left where nothing alone is enough.
TOGETHER = "several changes together: shorter holds, more processes, a larger server"

_MOST_TRIES = 24
_LEAST_HOLD_MS = 0.01  # below a round trip to the same machine


def advise(evaluation: Evaluation, model: Model, load: Demand, replan: Replan) -> list[str]:
    """What to change, each alone enough: tried on the plan that it leads to."""
    if model.verdict == KEEPS_UP:
        return []
    if model.verdict == POOL_EXCEEDS_CORES:
        return _smaller_pool(evaluation.values, model, load)

    def enough(values: Mapping[str, Any], load: Demand) -> bool:
        return Model(values, load).verdict in (KEEPS_UP, POOL_EXCEEDS_CORES)

    advice = []
    if model.verdict == SERVER_TOO_SMALL:
        per_core = evaluation.values["catalog"]["plan"]["connections_per_core"]
        bigger = replace(load, cores=math.ceil(load.busy / per_core))
        if enough(evaluation.values, bigger):
            advice.append(f"give the server {bigger.cores} cores")
    else:
        key = "instances" if "instances" in evaluation.answers else "workers"
        start = evaluation.values[key]
        more = _least(start, lambda count: _fits(replan, {key: count}, lambda values: enough(values, load)))
        if more is not None:
            advice.append(f"run {more} {key}")
        limit = _limit_for(evaluation, model)
        if limit and _fits(replan, {"max_connections": limit}, lambda values: enough(values, load)):
            advice.append(f"raise max_connections to {limit}")
    shorter = _longest_hold(load, lambda hold_ms: enough(evaluation.values, replace(load, hold_ms=hold_ms)))
    if shorter >= _LEAST_HOLD_MS:
        advice.append(f"hold each connection for at most {short(shorter)} ms")
    return advice or [TOGETHER]


def _smaller_pool(values: Mapping[str, Any], model: Model, load: Demand) -> list[str]:
    """The largest pool that the cores can use, where it keeps up."""
    if model.pooler:
        size = int(model.useful)
        keeps_up = Model({**values, "pooler_connections": size}, load).verdict == KEEPS_UP
        return [f"let the pooler open {size} connections to the server: that keeps up too"] if keeps_up else []
    size = int(model.useful) // model.processes
    if not size:
        return []
    smaller = replace(model.each, servers=size)
    if smaller.utilisation >= 1 or model.refused_with(smaller) > model.most_refused:
        return []
    return [f"set POOL_SIZE={size} and MAX_OVERFLOW=0 where the app runs: {size} for each process keep up too"]


def _fits(replan: Replan, changes: Mapping[str, Any], enough: Callable[[Mapping[str, Any]], bool]) -> bool:
    try:
        changed = replan(changes)
    except InvalidAnswer:  # beyond the question's range
        return False
    return changed.fits and enough(changed.values)


def _least(start: int, enough: Callable[[int], bool]) -> int | None:
    """The least count above `start` that is enough, or None where growing to it by quarters found none."""
    below, count = start, start
    for _ in range(_MOST_TRIES):
        count = max(count + 1, count * 5 // 4)
        if enough(count):
            break
        below = count
    else:
        return None
    while count - below > 1:
        middle = (below + count) // 2
        below, count = (below, middle) if enough(middle) else (middle, count)
    return count


def _limit_for(evaluation: Evaluation, model: Model) -> int | None:
    """The least limit of the server that gives each process a pool large enough; None where the cap is in the way."""
    values = evaluation.values
    if values["pooled"]:
        return None
    for size in range(model.each.servers + 1, values["pool_cap"] + 1):
        larger = replace(model.each, servers=size)
        if larger.utilisation < 1 and model.refused_with(larger) <= model.most_refused:
            needed = values["processes"] * (size + values["sockets_beside_pool"])
            return int(needed + sum(values["reserved"].values()))
    return None


def _longest_hold(load: Demand, enough: Callable[[float], bool]) -> float:
    """The longest mean hold in milliseconds, to two figures and not above the true one, that is enough."""
    low, high = 0.0, load.hold_ms
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if enough(middle) else (low, middle)
    step = 10.0 ** (math.floor(math.log10(high)) - 1)
    return float(f"{math.floor(low / step) * step:.3g}")
