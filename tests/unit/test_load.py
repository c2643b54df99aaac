"""The verdict on a plan under a load: figures checked by hand, and every remedy tried."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from poolwright.errors import UsageError
from poolwright.load import assess, demand
from poolwright.load_advice import TOGETHER
from poolwright.load_model import (
    KEEPS_UP,
    POOL_EXCEEDS_CORES,
    POOL_TOO_SMALL,
    SERVER_TOO_SMALL,
    Demand,
    Model,
)
from poolwright.plan import document
from poolwright.questions import Evaluation, evaluate
from poolwright.queueing import Queue, lost_share, waiting_share
from tests.unit.test_invariants import answer_sets


def assessed(answers: Mapping[str, Any], load: Demand) -> Evaluation:
    return assess(evaluate(answers), load, lambda changes: evaluate({**answers, **changes}))


def load_of(answers: Mapping[str, Any], rps: float, hold_ms: float, cores: int | None = None) -> dict[str, Any]:
    found: dict[str, Any] = assessed(answers, Demand(rps, hold_ms, cores)).values["load"]
    return found


# answers, rps, hold_ms -> processes, pool, busy, utilisation
FIGURES: list[tuple[dict[str, Any], float, float, tuple[int, int, float, float]]] = [
    # 1 x 4, without the one more of a reload; 2100 x 0.02 = 42 of 4 x 12
    ({}, 2100, 20, (4, 12, 42, 0.875)),
    # 2 x 4 with 8 each
    ({"instances": 2}, 320, 100, (8, 8, 32, 0.5)),
    # two monitors stand beside MongoDB's pool of 12 and carry no request
    ({"database": "mongodb"}, 240, 100, (4, 12, 24, 0.5)),
    ({"database": "sqlite", "workers": 1, "surge": 0}, 10, 60, (1, 6, 0.6, 0.1)),
]


@pytest.mark.parametrize(("answers", "rps", "hold_ms", "figures"), FIGURES)
def test_the_steady_state_is_that_of_hand_made_rows(
    answers: dict[str, Any], rps: float, hold_ms: float, figures: tuple[int, int, float, float]
) -> None:
    load = load_of(answers, rps, hold_ms)
    assert (load["processes"], load["pool"], load["busy"], load["utilisation"]) == pytest.approx(figures)
    processes, pool, busy, _ = figures
    each = Queue(rps / processes, hold_ms / 1000, pool)
    assert load["wait_probability"] == pytest.approx(waiting_share(pool, busy / processes), rel=1e-5)
    assert load["mean_wait_ms"] == pytest.approx(1000 * each.mean_wait, rel=1e-5)
    assert load["p95_wait_ms"] == pytest.approx(1000 * each.wait_quantile(0.95), rel=1e-5)
    assert load["p99_wait_ms"] == pytest.approx(1000 * each.wait_quantile(0.99), rel=1e-5)
    assert load["refused_share"] == pytest.approx(each.refused_share(8 * pool, 2), rel=1e-5)
    assert load["pooler"] is None


VERDICTS: list[tuple[dict[str, Any], float, float, int | None, str]] = [
    ({}, 2100, 20, None, KEEPS_UP),
    # 12 of 12 busy in each process
    ({}, 2400, 20, None, POOL_TOO_SMALL),
    # one connection each: 80 % busy, and one in ten finds the 8 places before it taken
    ({"deployment": "compose", "max_connections": 19}, 40, 80, None, POOL_TOO_SMALL),
    # 42 busy, 10 cores do their best work with 40: more connections would be of no use
    ({}, 2100, 20, 10, SERVER_TOO_SMALL),
    ({}, 2400, 20, 11, SERVER_TOO_SMALL),
    # 4 processes x 12 = 48 connections, 11 cores x 4 = 44
    ({}, 500, 20, 11, POOL_EXCEEDS_CORES),
    ({}, 500, 20, 12, KEEPS_UP),
    # PgBouncer opens 40
    ({"pooler": "pgbouncer"}, 500, 20, 10, KEEPS_UP),
    ({"pooler": "pgbouncer"}, 500, 20, 9, POOL_EXCEEDS_CORES),
    ({"pooler": "pgbouncer", "instances": 10}, 2100, 20, None, POOL_TOO_SMALL),
]


@pytest.mark.parametrize(("answers", "rps", "hold_ms", "cores", "verdict"), VERDICTS)
def test_verdict(answers: dict[str, Any], rps: float, hold_ms: float, cores: int | None, verdict: str) -> None:
    load = load_of(answers, rps, hold_ms, cores)
    assert load["verdict"] == verdict, load
    assert bool(load["advice"]) == (verdict != KEEPS_UP)


def test_whoever_waits_for_the_pooler_holds_a_connection_of_the_app() -> None:
    answers = {"pooler": "pgbouncer", "instances": 2}  # 8 processes x 12, and 40 connections to the server
    load = load_of(answers, 1900, 20)
    shared = Queue(1900, 0.02, 40)
    assert load["pooler"]["connections"] == 40
    assert load["pooler"]["utilisation"] == pytest.approx(1900 * 0.02 / 40)
    assert load["pooler"]["mean_wait_ms"] == pytest.approx(1000 * shared.mean_wait, rel=1e-5)
    assert load["utilisation"] == pytest.approx(1900 / 8 * (0.02 + shared.mean_wait) / 12, rel=1e-5)


def test_in_session_mode_nobody_waits_for_the_pooler() -> None:
    answers = {"pooler": "managed", "pooler_pool_size": 80}
    session = load_of(answers | {"pooler_mode": "session"}, 1000, 20)
    alone = load_of({"max_connections": 83, "reserve": 10}, 1000, 20)
    assert session["pooler"] is None
    assert session["mean_wait_ms"] == alone["mean_wait_ms"]
    transaction = load_of(answers, 1000, 20)
    assert transaction["pooler"]["connections"] == 60
    # 1000/s x 20 ms = 20 busy, and the pooler opens 15
    assert load_of({"pooler": "managed"}, 1000, 20)["verdict"] == POOL_TOO_SMALL


def test_a_pooler_that_cannot_keep_up_refuses_what_it_cannot_serve() -> None:
    load = load_of({"pooler": "pgbouncer", "instances": 2}, 2500, 20)
    assert load["pooler"]["utilisation"] == 1.25
    assert load["pooler"]["mean_wait_ms"] is None
    # all of the app's connections are held: it is as full as the pooler
    assert load["utilisation"] == pytest.approx(1.25)
    assert load["refused_share"] == pytest.approx(1 - 1 / 1.25, abs=1e-4)


@pytest.mark.parametrize(("rps", "verdict"), [(300, KEEPS_UP), (400, POOL_TOO_SMALL)])
def test_a_function_that_serves_one_request_at_a_time_refuses_instead_of_waiting(rps: int, verdict: str) -> None:
    plain = evaluate({})
    values = plain.values | {"deployment": "lambda", "instances": 50, "workers": 1}
    values["settings"] = {**values["settings"], "pool_size": 1, "max_overflow": 0}
    function = replace(plain, values=values)
    told = document(assess(function, Demand(rps, 100, None), lambda changes: function))
    load = told["load"]  # 30 or 40 of 50 environments busy
    assert load["refused_share"] == pytest.approx(lost_share(50, rps / 10), rel=1e-5)
    assert [load[name] for name in ("wait_probability", "mean_wait_ms", "p95_wait_ms", "p99_wait_ms")] == [0, 0, 0, 0]
    assert load["verdict"] == verdict
    assert load["message"].endswith("of the requests are refused by the platform.")
    arithmetic = {row["value"]: row["arithmetic"] for row in told["why"]}
    assert arithmetic["load.refused_share"].startswith(f"Erlang B(50, {rps // 10}) = ")


def test_beyond_full_load_the_waits_are_null_and_the_rest_is_refused() -> None:
    load = load_of({}, 3000, 20)
    assert load["utilisation"] == 1.25
    assert [load[name] for name in ("mean_wait_ms", "p95_wait_ms", "p99_wait_ms")] == [None, None, None]
    assert load["refused_share"] == pytest.approx(0.2, abs=1e-4)
    assert load["message"].endswith("keep 60 connections busy, 4 processes have 48.")


def test_a_plan_that_does_not_fit_has_no_load() -> None:
    evaluation = assessed({"workers": 100}, Demand(10, 10, None))
    assert "load" not in document(evaluation)


def test_the_arithmetic_is_that_of_the_figures() -> None:
    told = document(assessed({}, Demand(2100, 20, None)))
    arithmetic = {row["value"]: row["arithmetic"] for row in told["why"]}
    assert arithmetic["load.busy"] == "2100/s x 20 ms = 42"
    assert arithmetic["load.processes"] == "1 x 4 = 4"
    assert arithmetic["load.utilisation"] == "42 / (4 x 12) = 87.5 %"
    # each process: 12 connections serve 12 / 0.02 = 600 per second, 2100 / 4 = 525 come
    waiting = f"{100 * waiting_share(12, 10.5):.1f}"
    assert arithmetic["load.wait_probability"] == f"Erlang C(12, 10.5) = {waiting} %"
    assert arithmetic["load.mean_wait_ms"].startswith(f"{waiting} % / (600 - 525)/s = ")
    assert arithmetic["load.p99_wait_ms"].startswith(f"ln({waiting} / 1) / (600 - 525)/s = ")
    assert all(row["source"] for row in told["why"])


@given(answer_sets(), st.floats(0.1, 1e5), st.floats(0.1, 60_000), st.none() | st.integers(1, 128))
def test_every_remedy_is_enough(answers: dict[str, Any], rps: float, hold_ms: float, cores: int | None) -> None:
    load = Demand(rps, hold_ms, cores)
    evaluation = assessed(answers, load)
    assume(evaluation.fits)
    told = evaluation.values["load"]
    for remedy in told["advice"]:
        if remedy.startswith("set POOL_SIZE="):
            size = int(re.findall(r"\d+", remedy)[0])
            each = replace(Model(evaluation.values, load).each, servers=size)
            assert each.utilisation < 1
            assert size * told["processes"] <= 4 * (cores or 0)
        elif remedy.startswith("let the pooler open"):
            values = {**evaluation.values, "pooler_connections": 4 * (cores or 0)}
            assert Model(values, load).verdict == KEEPS_UP
        elif remedy == TOGETHER:
            assert told["advice"] == [TOGETHER]
        else:
            assert followed(remedy, answers, load)["verdict"] in (KEEPS_UP, POOL_EXCEEDS_CORES), (told, remedy)
    if told["verdict"] in (POOL_TOO_SMALL, SERVER_TOO_SMALL):
        assert told["advice"]


def test_where_nothing_alone_is_enough_it_says_so() -> None:
    answers = {"deployment": "lambda", "pooler": "pgbouncer", "instances": 1, "reserve": 0}
    assert load_of(answers, 187, 213)["advice"] == [TOGETHER]


def followed(remedy: str, answers: Mapping[str, Any], load: Demand) -> dict[str, Any]:
    number = re.findall(r"\d+(?:\.\d+)?", remedy)[0]
    if remedy.startswith("hold each connection"):
        load = replace(load, hold_ms=float(number))
    elif remedy.startswith("give the server"):
        load = replace(load, cores=int(number))
    elif remedy.startswith("run"):
        answers = {**answers, remedy.split()[2]: int(number)}
    else:
        assert remedy.startswith("raise max_connections to ")
        answers = {**answers, "max_connections": int(number)}
    found: dict[str, Any] = assessed(answers, load).values["load"]
    return found


@given(answer_sets(), st.floats(0.1, 1e4), st.floats(0.1, 1e4))
def test_more_requests_never_wait_less(answers: dict[str, Any], rps: float, hold_ms: float) -> None:
    evaluation = evaluate(answers)
    assume(evaluation.fits)
    less, more = (Model(evaluation.values, Demand(rate, hold_ms, None)) for rate in (rps, rps * 1.5))
    assert less.refused <= more.refused * (1 + 1e-9)
    assert less.each.mean_wait <= more.each.mean_wait or (more.pooler and more.pooler.utilisation >= 1)


def test_the_least_remedies_are_named() -> None:
    # 60 busy: 2 x 4 processes have 64; one instance would need 60 / 48 of the hold: below 16 ms
    assert load_of({}, 3000, 20)["advice"] == ["run 2 instances", "hold each connection for at most 15 ms"]
    # 19 - 15 = 4 connections for 4 processes: with 2 each the limit is 8 + 15
    few = {"deployment": "compose", "max_connections": 19}
    assert "raise max_connections to 23" in load_of(few, 40, 80)["advice"]
    assert load_of({}, 500, 20, 4)["advice"][0].startswith("set POOL_SIZE=4 and MAX_OVERFLOW=0")


@pytest.mark.parametrize(
    ("rps", "hold_ms", "cores", "words"),
    [
        (5.0, None, None, "both --rps and --hold-ms"),
        (None, 5.0, None, "both --rps and --hold-ms"),
        (None, None, 4, "both --rps and --hold-ms"),
        (0.0, 5.0, None, "--rps is a number above 0"),
        (-1.0, 5.0, None, "not -1."),
        (float("nan"), 5.0, None, "not nan"),
        (float("inf"), 5.0, None, "not inf"),
        (5.0, 0.0, None, "--hold-ms is a number above 0"),
        (5.0, 5.0, 0, "--cores is a number above 0"),
    ],
)
def test_a_load_that_is_none_is_refused(
    rps: float | None, hold_ms: float | None, cores: int | None, words: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        demand(rps, hold_ms, cores)


def test_no_load_is_none() -> None:
    assert demand(None, None, None) is None
