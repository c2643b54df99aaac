"""What holds for every answer set, tried on many."""

import re
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from poolwright.bar import bar_lines, scaled
from poolwright.questions import Evaluation, combinations, evaluate

COUNTS = {
    "workers": st.integers(1, 512) | st.integers(1, 12),
    "surge": st.integers(0, 10000) | st.integers(0, 3),
    "max_connections": st.integers(0, 1_000_000) | st.integers(0, 500),
    "reserve": st.integers(-1, 1_000_000) | st.integers(-1, 30),
    "pooler_max_clients": st.integers(10, 100_000) | st.integers(10, 300),
    "pooler_pool_size": st.integers(1, 10_000) | st.integers(1, 60),
    "pooler_mode": st.sampled_from(["transaction", "session"]),
}


@st.composite
def answer_sets(draw: st.DrawFn) -> dict[str, Any]:
    """A valid combination with valid counts for the questions that it asks; each pooler is as likely."""
    pooler = draw(st.sampled_from(["none", "pgbouncer", "rds-proxy", "managed"]))
    chosen: dict[str, Any] = draw(st.sampled_from([row for row in combinations() if row["pooler"] == pooler]))
    evaluation = evaluate(chosen)
    most = evaluation.values["catalog"]["deployments"][chosen["deployment"]].get("instances_limit", 100_000)
    counts = COUNTS | {"instances": st.integers(1, most) | st.integers(1, 8)}
    counted = chosen | {key: draw(numbers) for key, numbers in counts.items() if key in evaluation.answers}
    return counted | ({"surge": max(counted["surge"], least_surge(counted))} if "surge" in counted else {})


def least_surge(answers: dict[str, Any]) -> int:
    least: int = evaluate(answers | {"surge": 10000}).values["least_surge"]
    return least


@given(answer_sets())
def test_a_plan_never_opens_more_than_the_capacity(answers: dict[str, Any]) -> None:
    values = evaluate(answers).values
    assert values["processes"] * values["connections_per_process"] <= values["capacity"]
    assert values["planned_total"] + values["headroom"] == values["capacity"]
    reserved = sum(values["reserved"].values())
    assert values["capacity"] == max(values["limit"] - reserved, 0)


@given(answer_sets())
def test_pool_overflow_and_what_stands_beside_are_the_connections_of_a_process(answers: dict[str, Any]) -> None:
    evaluation = evaluate(answers)
    assume(evaluation.values["pool_fits"])
    plan, beside = evaluation.values["settings"], evaluation.values["sockets_beside_pool"]
    each = evaluation.values["connections_per_process"]
    assert plan["pool_size"] + plan["max_overflow"] + beside == each
    assert plan["pool_size"] >= 1
    assert plan["max_overflow"] * 2 <= plan["pool_size"]
    assert plan["pool_max_waiting"] >= plan["pool_size"]


@given(answer_sets())
def test_a_plan_that_fits_could_not_give_more_below_the_cap(answers: dict[str, Any]) -> None:
    evaluation = evaluate(answers)
    values = evaluation.values
    if not values["pooler_fits"]:
        assert values["server_capacity"] < values["pooler_least"]
    elif not values["pool_fits"]:
        assert values["processes"] * values["least_per_process"] > values["capacity"]
    elif values["connections_per_process"] < values["pool_cap"] + values["sockets_beside_pool"]:
        assert values["processes"] * (values["connections_per_process"] + 1) > values["capacity"]


@given(answer_sets(), st.integers(1, 1000))
def test_a_higher_limit_never_gives_less(answers: dict[str, Any], more: int) -> None:
    before = evaluate(answers)
    limit = before.values["server_limit"] + more
    assume(limit <= 1_000_000)
    after = evaluate(answers | {"max_connections": limit})
    assert after.values["connections_per_process"] >= before.values["connections_per_process"]
    assert after.fits or not before.fits


@given(answer_sets())
def test_every_remedy_makes_the_plan_fit(answers: dict[str, Any]) -> None:
    evaluation = evaluate(answers)
    assume(not evaluation.fits)
    assert evaluation.values["remedies"]
    for remedy in evaluation.values["remedies"]:
        # Where Redis has too few connections too, the user hears of that next.
        after = followed(remedy, answers)
        assert after.fits or (after.values["pool_fits"] and not evaluation.values["pool_fits"]), remedy


def followed(remedy: str, answers: dict[str, Any]) -> Evaluation:
    number = int((re.findall(r"\d+", remedy) or ["0"])[0])
    first, together, second = remedy.partition(" and lower pooler_pool_size to ")
    if together:
        return followed(first, answers | {"pooler_pool_size": int(second)})
    if remedy.startswith("use at most"):
        # one process, and as many more workers as are allowed
        evaluation = evaluate(answers)
        fewer = {"instances": 1} if "instances" in evaluation.answers else {}
        if "surge" in evaluation.answers:
            fewer["surge"] = least_surge(answers | fewer)
        each = evaluation.values["least_processes"]
        if "workers" not in evaluation.answers:
            return evaluate(answers | fewer | {"instances": number // each})
        return evaluate(answers | fewer | {"workers": min(number // each, 512)})
    if remedy.startswith("lower reserve"):
        return evaluate(answers | {"reserve": number})
    if remedy.startswith("raise max_connections"):
        return evaluate(answers | {"max_connections": number})
    for key in ("pooler_max_clients", "pooler_pool_size"):
        if remedy.startswith((f"raise {key} to", f"lower {key} to")):
            return evaluate(answers | {key: number})
    if remedy.startswith("pool by transaction"):
        return evaluate(answers | {"pooler_mode": "transaction"})
    if remedy.startswith("put a pooler in front"):
        return evaluate(answers | {"pooler": "pgbouncer"})
    if remedy.startswith("cache nothing"):
        return evaluate(answers | {"cache": "none"})
    last_resorts = (
        "use fewer processes and raise max_connections",
        "use fewer processes and lower reserve",
        "use fewer processes, lower reserve and raise the limits of pooler and server",
    )
    assert remedy in last_resorts
    asked = evaluate(answers).answers
    changes = {"instances": 1, "surge": 1, "workers": 1, "pooler_max_clients": 100_000, "pooler_pool_size": 10_000}
    changes = {key: count for key, count in changes.items() if key in asked}
    return evaluate(answers | changes | {"max_connections": 1_000_000, "reserve": 0})


@given(answer_sets())
def test_a_pooler_never_opens_more_than_the_server_leaves_or_than_it_may(answers: dict[str, Any]) -> None:
    values = evaluate(answers).values
    assert values["pooler_connections"] <= min(values["server_capacity"], values["pooler_cap"])
    if values["fits"] and values["pooler_keeps"]:
        assert values["pooler_connections"] == values["planned_total"]
    if values["fits"] and values["pooler_answered"]:
        assert values["pooler_cap"] <= values["server_capacity"]


@given(st.lists(st.integers(0, 60000), min_size=1, max_size=4), st.integers(4, 200))
def test_a_bar_is_as_wide_as_asked_and_shows_every_part(counts: list[int], cells: int) -> None:
    drawn = scaled(counts, cells)
    if not any(counts):
        assert drawn == [0] * len(counts)
        return
    assert sum(drawn) == cells
    assert [cell > 0 for cell in drawn] == [count > 0 for count in counts]
    for count, cell in zip(counts, drawn, strict=True):
        assert abs(cell - count * cells / sum(counts)) < len(counts)


@given(answer_sets(), st.integers(20, 120))
def test_no_line_of_the_bar_is_wider_than_the_terminal(answers: dict[str, Any], width: int) -> None:
    lines = ["".join(text for _, text in line) for line in bar_lines(evaluate(answers), width)]
    assert all(len(line) <= width for line in lines)
    bars = [line for line in lines if line.startswith("[")]
    assert bars
    assert all(len(line) == width for line in bars)
