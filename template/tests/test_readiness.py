"""Busy is not broken, and silent is not busy: what /readyz knows while requests hold the connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from app import readiness
from app.errors import UnavailableError
from app.metrics import PoolMetrics
from app.pool import PoolGate
from app.readiness import Readiness

pytestmark = pytest.mark.anyio


class Answers:
    """A database that answers while it is told to, and counts the questions."""

    def __init__(self) -> None:
        self.answering = asyncio.Event()
        self.answering.set()
        self.asked = 0

    async def ask(self) -> None:
        self.asked += 1
        await self.answering.wait()


@pytest.fixture
def gate() -> PoolGate:
    return PoolGate(3, timeout_seconds=5, max_waiting=4, metrics=PoolMetrics("primary"))


@pytest.fixture
def database() -> Answers:
    return Answers()


@pytest.fixture
async def ready(gate: PoolGate, database: Answers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Readiness]:
    for name in ("_PLACE_SECONDS", "_ANSWER_SECONDS", "_SILENCE_SECONDS"):
        monkeypatch.setattr(readiness, name, getattr(readiness, name) / 10)
    made = Readiness(gate, database.ask)
    yield made
    await made.close()


async def hold_all(gate: PoolGate, held: AsyncExitStack) -> None:
    for _ in range(3):
        await held.enter_async_context(gate)


async def test_the_longest_answer_takes_less_than_two_seconds() -> None:
    assert readiness._PLACE_SECONDS + readiness._ANSWER_SECONDS <= 1.5
    assert readiness._SILENCE_SECONDS < readiness._ANSWER_SECONDS


async def test_a_full_pool_is_ready_and_is_not_asked(gate: PoolGate, database: Answers, ready: Readiness) -> None:
    await ready.require()
    async with AsyncExitStack() as held:
        await hold_all(gate, held)
        await asyncio.gather(*(ready.require() for _ in range(20)))
        assert database.asked == 1


async def test_a_full_pool_whose_database_was_never_reached_is_not_ready(gate: PoolGate, ready: Readiness) -> None:
    async with AsyncExitStack() as held:
        await hold_all(gate, held)
        with pytest.raises(UnavailableError):
            await ready.require()


async def test_the_question_gets_the_next_connection_before_those_who_wait(
    gate: PoolGate, database: Answers, ready: Readiness
) -> None:
    await ready.require()

    async def wait() -> int:
        async with gate:
            return database.asked

    async with AsyncExitStack() as held:
        await hold_all(gate, held)
        waiting = asyncio.create_task(wait())
        await ready.require()
    assert await waiting == 2


async def test_a_silent_database_is_not_ready_even_when_the_pool_is_full_again(
    gate: PoolGate, database: Answers, ready: Readiness
) -> None:
    await ready.require()
    async with AsyncExitStack() as held:
        await hold_all(gate, held)
        database.answering.clear()
        await ready.require()
        await held.aclose()  # the time limit of those who hold a connection
        await held.enter_async_context(gate)
        await held.enter_async_context(gate)
        for _ in range(2):
            with pytest.raises(UnavailableError):
                await ready.require()
    assert database.asked == 2, "one question at a time"
    database.answering.set()
    await ready.require()


async def test_a_slow_answer_is_no_silence_while_others_are_answered(database: Answers, ready: Readiness) -> None:
    await ready.require()
    database.answering.clear()
    asking = asyncio.create_task(ready.require())
    await asyncio.sleep(0)
    while not asking.done():
        await asyncio.sleep(0.01)
        ready.note_answer()
    await asking


async def test_a_question_that_is_dropped_leaves_no_place_taken(gate: PoolGate, ready: Readiness) -> None:
    await ready.require()
    async with AsyncExitStack() as held:
        await hold_all(gate, held)
        await ready.require()
        await ready.close()
    async with AsyncExitStack() as held:
        await asyncio.wait_for(hold_all(gate, held), 1)


async def test_what_else_goes_wrong_is_not_ready_either(gate: PoolGate) -> None:
    async def fail() -> None:
        raise LookupError("permission denied")

    ready = Readiness(gate, fail)
    with pytest.raises(UnavailableError) as raised:
        await ready.require()
    assert isinstance(raised.value.__cause__, LookupError)
