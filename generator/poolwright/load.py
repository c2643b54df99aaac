"""Whether the planned pool keeps up with a load, in figures and in words."""

from dataclasses import replace
from typing import Any

from poolwright.errors import UsageError
from poolwright.figures import milliseconds, percent, rounded, short
from poolwright.load_advice import Replan, advise
from poolwright.load_model import POOL_EXCEEDS_CORES, POOL_TOO_SMALL, SERVER_TOO_SMALL, Demand, Model
from poolwright.questions import Evaluation
from poolwright.queueing import Queue

_OURS = "docs/decisions/0020-load.md"
_LITTLE = "J. D. C. Little, A proof for the queuing formula L = lambda W, Operations Research 9(3), 1961"
_ERLANG = "L. Kleinrock, Queueing Systems, volume 1, Wiley 1975, chapter 3"
_IMPATIENT = "N. K. Boots and H. Tijms, Management Science 45(3), 1999"


def demand(rps: float | None, hold_ms: float | None, cores: int | None) -> Demand | None:
    """The load of the flags, None where none is given; UsageError where one is missing or out of its range."""
    if rps is None and hold_ms is None and cores is None:
        return None
    if rps is None or hold_ms is None:
        raise UsageError("A load needs both --rps and --hold-ms.\nGive both: --rps 200 --hold-ms 20, for example.")
    ranges = {"--rps": (rps, 1e9, "200"), "--hold-ms": (hold_ms, 3_600_000, "20"), "--cores": (cores, 10_000, "4")}
    for flag, (value, most, example) in ranges.items():
        if value is not None and not 0 < value <= most:
            raise UsageError(
                f"{flag} is a number above 0 and at most {most:,.0f}, not {value:g}.\n"
                f"Give what is measured or expected: {flag} {example}, for example."
            )
    return Demand(rps, hold_ms, cores)


def assess(evaluation: Evaluation, load: Demand, replan: Replan) -> Evaluation:
    """The evaluation with `load` among its values, and with its arithmetic; as it is where the plan does not fit."""
    if not evaluation.fits:
        return evaluation
    model = Model(evaluation.values, load)
    document = {
        "rps": load.rps,
        "hold_ms": load.hold_ms,
        "cores": load.cores,
        "processes": model.processes,
        "busy": rounded(load.busy),
        "pool": model.each.servers,
        **_waits(model.each, never=model.loses),
        "refused_share": rounded(model.refused),
        "pooler": None if model.pooler is None else {"connections": model.pooler.servers, **_waits(model.pooler)},
        "verdict": model.verdict,
        "message": _message(model, load),
        "advice": advise(evaluation, model, load, replan),
    }
    why = [*evaluation.values["why"], *_why(model, load)]
    return replace(evaluation, values=evaluation.values | {"load": document, "why": why})


def load_figures(load: dict[str, Any]) -> dict[str, str]:
    """The figures of a load as a table shows them, by the names of their arithmetic."""
    shown = {"busy": short(load["busy"]), "processes": str(load["processes"])}
    shares = ("utilisation", "wait_probability", "refused_share")
    waits = ("mean_wait_ms", "p95_wait_ms", "p99_wait_ms")
    sides = {"": load} | ({"pooler.": load["pooler"]} if load["pooler"] else {})
    for side, figures in sides.items():
        for name in (*shares[:2], *waits, *shares[2:]):
            if name in figures:
                value = figures[name]
                text = "no end" if value is None else percent(value) if name in shares else short(value)
                shown[side + name] = text
    return shown


def _waits(queue: Queue, *, never: bool = False) -> dict[str, Any]:
    """The figures of a queue, None where the line grows without end; zeros where nobody `never` waits."""
    waits = [0.0] * 4 if never else [queue.waiting_share, *(1000 * wait for wait in _seconds(queue))]
    names = ("wait_probability", "mean_wait_ms", "p95_wait_ms", "p99_wait_ms")
    return {
        "utilisation": rounded(queue.utilisation),
        **{name: rounded(wait) for name, wait in zip(names, waits, strict=True)},
    }


def _seconds(queue: Queue) -> tuple[float, float, float]:
    return queue.mean_wait, queue.wait_quantile(0.95), queue.wait_quantile(0.99)


def _message(model: Model, load: Demand) -> str:
    busy = f"{short(load.rps)} requests per second that hold a connection for {short(load.hold_ms)} ms"
    busy += f" keep {short(load.busy)} connections busy"
    if model.verdict == SERVER_TOO_SMALL:
        return (
            f"The server is too small: {busy}, and {load.cores} cores do their best work with at most"
            f" {short(model.useful)}. More connections would only wait inside the server."
        )
    if model.verdict == POOL_TOO_SMALL:
        if model.pooler and model.pooler.utilisation >= 1:
            return f"The pool is too small: {busy}, the pooler may open {model.pooler.servers}."
        if model.each.utilisation >= 1:
            return f"The pool is too small: {busy}, {model.processes} processes have {model.total}."
        who = " by the platform" if model.loses else " (503)"
        return f"The pool is too small: {percent(model.refused)} of the requests are refused{who}."
    if model.verdict == POOL_EXCEEDS_CORES:
        return (
            f"The pool keeps up, and is larger than the cores can use: {model.to_server} connections, and"
            f" {load.cores} cores do their best work with at most {short(model.useful)}."
            " A burst that fills the pool would wait inside the server."
        )
    if model.loses:
        return f"The pool keeps up: {percent(model.refused)} of the requests are refused by the platform."
    waits = f"{percent(model.each.waiting_share)} of the requests wait for a connection"
    if model.pooler:
        return f"The pool keeps up: {waits}, and {percent(model.pooler.waiting_share)} for one of the pooler's."
    longest = model.each.wait_quantile(0.99)
    return f"The pool keeps up: {waits}{f', and 1 % for more than {milliseconds(longest)}' if longest else ''}."


def _why(model: Model, load: Demand) -> list[dict[str, str]]:
    each, pooler = model.each, model.pooler
    held = milliseconds(each.hold)
    busy = f"{short(load.rps)}/s x {short(load.hold_ms)} ms"
    used = f"{short(load.rps)}/s x {held}" if pooler else short(load.busy)
    rows = [
        (
            "busy",
            f"{busy} = {short(load.busy)}",
            "Little's law: the connections that requests hold on average",
            _LITTLE,
        ),
        (
            "processes",
            f"{model.instances} x {model.workers} = {model.processes}",
            "instances x workers share the requests; those of a rollout come on top and are not counted",
            _OURS,
        ),
        (
            "utilisation",
            f"{used} / ({model.processes} x {each.servers}) = {percent(each.utilisation)}",
            "the busy share of each process's pool"
            + (f"; with the wait for the pooler a request holds its connection for {held}" if pooler else ""),
            _OURS,
        ),
    ]
    if model.loses:
        arithmetic = f"Erlang B({model.total}, {short(load.busy)}) = {percent(model.refused)}"
        reason = "nothing waits: what finds every process busy is refused by the platform"
        return _rows([*rows, ("refused_share", arithmetic, reason, _ERLANG)])
    rows += _why_waits(each)
    places = f"{model.places} wait at most, {model.patience} s at most"
    reason = "answered 503: pool_max_waiting already wait, or pool_timeout_seconds have passed"
    rows.append(("refused_share", places, reason, f"{_OURS}; {_IMPATIENT}"))
    if pooler:
        share = f"{busy} / {pooler.servers} = {percent(pooler.utilisation)}"
        reason = "all processes share the pooler's connections to the server"
        rows.append(("pooler.utilisation", share, reason, _OURS))
        rows += _why_waits(pooler, "pooler.")
    return _rows(rows)


def _why_waits(queue: Queue, side: str = "") -> list[tuple[str, str, str, str]]:
    if queue.utilisation >= 1:
        return []
    waiting = 100 * queue.waiting_share
    spare = f"({short(queue.servers / queue.hold)} - {short(queue.arrivals)})/s"
    mean = "over all requests, those without a wait too; about half of it where all hold a connection equally long"
    rows = [
        (
            "wait_probability",
            f"Erlang C({queue.servers}, {short(queue.busy)}) = {short(waiting)} %",
            "the share of requests that find every connection busy",
        ),
        ("mean_wait_ms", f"{short(waiting)} % / {spare} = {short(1000 * queue.mean_wait)}", mean),
    ]
    for share in (95, 99):
        late = 100 - share
        wait = f"ln({short(waiting)} / {late}) / {spare} = {short(1000 * queue.wait_quantile(share / 100))}"
        arithmetic = wait if waiting > late else f"{short(waiting)} % wait, not {late} %"
        rows.append((f"p{share}_wait_ms", arithmetic, f"{share} % of the requests wait at most this long"))
    return [(side + name, arithmetic, reason, _ERLANG) for name, arithmetic, reason in rows]


def _rows(rows: list[tuple[str, str, str, str]]) -> list[dict[str, str]]:
    names = ("value", "arithmetic", "reason", "source")
    return [dict(zip(names, (f"load.{row[0]}", *row[1:]), strict=True)) for row in rows]
