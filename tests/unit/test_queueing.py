"""The queue's formulas: against a published table, against themselves at their limits, and against a simulation."""

import heapq
import math
import random
from collections.abc import Callable, Iterator
from itertools import pairwise
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolwright.queueing import Queue, lost_share, waiting_share

# Erlang B as tabulated: at this offered load the servers lose 1 % (ITU-D Study Group 2, Teletraffic Engineering
# Handbook, 2001, and any table of the formula).
ONE_PERCENT_LOST = {1: 0.0101, 2: 0.153, 3: 0.455, 4: 0.869, 5: 1.36, 10: 4.46, 20: 12.0, 50: 37.9, 100: 84.1}

# servers, offered -> Erlang C, by hand from C = (a^c / c! x c / (c - a)) / (sum of a^k / k! for k < c + the same)
BY_HAND = [
    (1, 0.5, 1 / 2),  # C(1, a) = a
    (2, 1.0, 1 / 3),  # (1/2 x 2) / (1 + 1 + 1)
    (3, 2.0, 4 / 9),  # (8/6 x 3) / (1 + 2 + 2 + 4)
    (4, 3.0, 27 / 53),  # (81/24 x 4) / (1 + 3 + 9/2 + 27/6 + 27/2) = 13.5 / 26.5
    (5, 4.0, 128 / 231),  # (1024/120 x 5) / (1 + 4 + 8 + 32/3 + 32/3 + 128/3) = (128/3) / 77
]

servers = st.integers(1, 300)
positive = st.floats(0.001, 1e6)


@pytest.mark.parametrize(("count", "offered"), ONE_PERCENT_LOST.items())
def test_erlang_b_agrees_with_the_table(count: int, offered: float) -> None:
    # The table has the load to three figures: 1 % lies between those of its last figure's neighbours.
    step = 10.0 ** (math.floor(math.log10(offered)) - 2)
    assert lost_share(count, offered - step) < 0.01 < lost_share(count, offered + step)


@pytest.mark.parametrize(("count", "offered", "share"), BY_HAND)
def test_erlang_c_agrees_with_hand_made_values(count: int, offered: float, share: float) -> None:
    assert waiting_share(count, offered) == pytest.approx(share, rel=1e-12)


def test_erlang_c_agrees_with_the_text_books_curve() -> None:
    # 120 calls an hour of 3 minutes on 10 lines: "the probability of waiting is about 0.10"
    assert waiting_share(10, 6) == pytest.approx(0.10, abs=0.005)


def test_one_connection_waits_as_the_m_m_1_queue_does() -> None:
    # 80 per second, 10 ms each: rho 0.8; mean wait rho / (mu - lambda) = 0.8 / 20 s; P(W > t) = 0.8 exp(-20 t)
    queue = Queue(80, 0.01, 1)
    assert queue.busy == queue.utilisation == pytest.approx(0.8)
    assert queue.mean_wait == pytest.approx(0.04)
    assert queue.wait_quantile(0.95) == pytest.approx(math.log(0.8 / 0.05) / 20)
    # M/M/1/K with K = 1 + 4 places: (1 - rho) rho^5 / (1 - rho^6)
    assert lost_share(1, 0.8, 4) == pytest.approx(0.2 * 0.8**5 / (1 - 0.8**6))
    # M/M/1 with patience T: rho u (1 - rho) / (1 - rho^2 u), u = exp(-20 T), at T = 0.1
    patient = 0.8 * math.exp(-2)
    assert queue.refused_share(10_000, 0.1) == pytest.approx((1 - 0.8) * patient / (1 - 0.8 * patient))


@given(servers, st.floats(0, 0.999), st.floats(0, 0.999))
def test_more_load_never_waits_less(count: int, one: float, other: float) -> None:
    less, more = (Queue(share * count, 1, count) for share in sorted((one, other)))
    assert less.waiting_share <= more.waiting_share + 1e-12
    assert less.mean_wait <= more.mean_wait * (1 + 1e-9)
    assert less.wait_quantile(0.99) <= more.wait_quantile(0.99) * (1 + 1e-9)
    assert less.refused_share(8 * count, 2) <= more.refused_share(8 * count, 2) * (1 + 1e-9)


@given(servers, st.floats(0, 0.999))
def test_one_more_connection_never_waits_more(count: int, load: float) -> None:
    few, many = Queue(load * count, 1, count), Queue(load * count, 1, count + 1)
    assert many.waiting_share <= few.waiting_share + 1e-12
    assert many.mean_wait <= few.mean_wait * (1 + 1e-9)
    assert many.refused_share(8 * count, 2) <= few.refused_share(8 * count, 2) * (1 + 1e-9)


@given(servers, positive, st.integers(0, 2000), st.floats(0, 1000))
def test_shares_are_shares_at_every_load(count: int, offered: float, places: int, patience: float) -> None:
    queue = Queue(offered, 1, count)
    for share in (queue.waiting_share, queue.refused_share(places, patience), lost_share(count, offered, places)):
        assert 0 <= share <= 1


@given(servers, st.floats(1.0, 1e6), st.integers(0, 2000), st.floats(0, 1000))
def test_beyond_full_load_the_line_has_no_end_and_what_cannot_be_served_is_refused(
    count: int, load: float, places: int, patience: float
) -> None:
    queue = Queue(load * count, 1, count)
    assert queue.waiting_share == 1
    assert queue.mean_wait == queue.wait_quantile(0.5) == math.inf
    assert queue.refused_share(places, patience) >= 1 - 1 / queue.utilisation - 1e-9


@given(servers, positive)
def test_without_requests_nobody_waits(count: int, hold: float) -> None:
    queue = Queue(0, hold, count)
    assert (queue.busy, queue.waiting_share, queue.mean_wait, queue.wait_quantile(0.99)) == (0, 0, 0, 0)
    assert queue.refused_share(0, 0) == 0


@given(st.integers(1, 40), st.floats(0.01, 0.99))
def test_a_line_without_places_is_erlang_b_and_one_without_an_end_refuses_nobody(count: int, load: float) -> None:
    queue = Queue(load * count, 1, count)
    assert queue.refused_share(0, 1e9) == pytest.approx(lost_share(count, load * count))
    # who would wait at all leaves at once: the same loss, by the other formula
    assert queue.refused_share(10**4, 0) == pytest.approx(lost_share(count, load * count))
    assert queue.refused_share(10**4, 1e9) == pytest.approx(0, abs=1e-9)


@given(servers, st.floats(0.01, 3))
def test_the_refused_share_has_no_jump_at_full_load(count: int, patience: float) -> None:
    shares = [Queue(count * load, 1, count).refused_share(8 * count, patience) for load in (1 - 1e-9, 1, 1 + 1e-9)]
    for one, other in pairwise(shares):
        assert one == pytest.approx(other, rel=1e-5)


def test_large_pools_and_loads_neither_overflow_nor_vanish() -> None:
    assert lost_share(100_000, 99_000) == pytest.approx(0, abs=1e-3)
    assert 0 < waiting_share(100_000, 99_900) < 1
    assert Queue(1e9, 3600, 1).refused_share(8, 2) == pytest.approx(1)
    assert Queue(1e-9, 0.001, 12).mean_wait == pytest.approx(0, abs=1e-12)


def waits(
    queue: Queue, requests: int, hold: Callable[[], float], places: float = math.inf, patience: float = math.inf
) -> Iterator[float]:
    """A simulated line, first come first served: the seconds that each request waits, inf for one that is refused."""
    arriving = random.Random(11)
    free_at = [0.0] * queue.servers  # a heap: when each connection comes free
    starts: list[float] = []  # a heap: when those that wait get theirs
    now = 0.0
    for _ in range(requests):
        now += arriving.expovariate(queue.arrivals)
        while starts and starts[0] <= now:
            heapq.heappop(starts)
        wait = max(free_at[0] - now, 0)
        if wait and (len(starts) >= places or wait > patience):
            yield math.inf
            continue
        heapq.heapreplace(free_at, now + wait + hold())
        if wait:
            heapq.heappush(starts, now + wait)
        yield wait


def agrees(seen: list[float], expected: float) -> bool:
    """Whether the mean is the expected one: within 4 standard errors of it, taken from 30 long batches.

    Waits of neighbours depend on each other, and those of batches hardly do. The seed is fixed: a wrong formula fails
    always, a right one never.
    """
    size = len(seen) // 31
    batches = [fmean(seen[start : start + size]) for start in range(size, 31 * size, size)]  # the first one warms up
    return abs(fmean(batches) - expected) <= 4 * stdev(batches) / math.sqrt(len(batches))


@pytest.mark.parametrize(("count", "load"), [(1, 0.7), (4, 0.8), (12, 0.9), (12, 0.5)])
def test_waits_agree_with_a_simulation(count: int, load: float) -> None:
    hold, serving = 0.02, random.Random(7)
    queue = Queue(load * count / hold, hold, count)
    seen = list(waits(queue, 310_000, lambda: serving.expovariate(1 / hold)))
    assert agrees([float(wait > 0) for wait in seen], queue.waiting_share)
    assert agrees(seen, queue.mean_wait)
    for share in (0.95, 0.99):
        at_most = queue.wait_quantile(share)
        assert agrees([float(wait > at_most) for wait in seen], min(1 - share, queue.waiting_share))


@pytest.mark.parametrize(
    ("load", "places", "patience"),
    [(0.95, 12, math.inf), (0.9, math.inf, 0.02), (1.2, 32, math.inf), (1.2, math.inf, 0.1), (1.2, 32, 2.0)],
)
def test_refusals_agree_with_a_simulation(load: float, places: float, patience: float) -> None:
    hold, count, serving = 0.02, 4, random.Random(7)
    queue = Queue(load * count / hold, hold, count)
    seen = list(waits(queue, 310_000, lambda: serving.expovariate(1 / hold), places, patience))
    shown = queue.refused_share(10_000 if places == math.inf else int(places), min(patience, 1e6))
    assert agrees([float(wait == math.inf) for wait in seen], shown)


def test_two_limits_that_bind_alike_refuse_little_more_than_the_stricter() -> None:
    # 32 waiting take 32 x 62.5 ms / 8 = 0.25 s, which is also the patience
    hold, count, serving = 0.0625, 8, random.Random(7)
    for load in (0.95, 1.1):
        queue = Queue(load * count / hold, hold, count)
        seen = list(waits(queue, 310_000, lambda: serving.expovariate(1 / hold), 32, 0.25))
        refused = fmean(float(wait == math.inf) for wait in seen)
        assert refused / 1.3 < queue.refused_share(32, 0.25) <= refused * 1.02


def test_constant_times_wait_about_half_as_long() -> None:
    # what the reports say of holds that are equally long: M/D/c waits tend to half of those of M/M/c under load
    queue = Queue(0.9 * 4 / 0.02, 0.02, 4)
    seen = list(waits(queue, 310_000, lambda: 0.02))
    assert queue.mean_wait * 0.4 < fmean(seen) < queue.mean_wait * 0.65
