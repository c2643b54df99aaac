"""Whether the database answers, within two seconds, without a connection beyond the plan, however full the pool is.

A question to the database needs one of the pool's connections. While requests hold all of them, it gets the next one
that comes free, before those who wait, and until then the last verdict holds: not for long, since no request holds a
connection for longer than the command timeout.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic

from app import plan
from app.errors import UnavailableError
from app.pool import PoolGate

# How long a caller waits: for the question to have a connection, which it soon has unless statements are long, and for
# the answer.
_PLACE_SECONDS = 0.25
_ANSWER_SECONDS = 1.25
_SILENCE_SECONDS = 1.0  # a database that is asked and says nothing for so long does not answer


class Readiness:
    """Asks one question at a time, whoever wants to know.

    ask: returns when the database answers and is migrated, else raises UnavailableError.
    """

    def __init__(self, gate: PoolGate, ask: Callable[[], Awaitable[None]]) -> None:
        self._gate = gate
        self._ask = ask
        self._question: asyncio.Task[None] | None = None
        self._asked: float | None = None  # when the present question had its connection
        self._heard = -1.0
        self._verdict: UnavailableError | None = UnavailableError("the database was not asked yet")

    def note_answer(self) -> None:
        """Tell that the database has just answered a request."""
        self._heard = monotonic()

    async def require(self) -> None:
        """Return when the database answers and its schema is up to date; UnavailableError."""
        if self._question is None or self._question.done():
            self._asked = None
            self._question = asyncio.create_task(self._put())
        await asyncio.wait({self._question}, timeout=_PLACE_SECONDS)
        if self._asked is not None:
            await asyncio.wait({self._question}, timeout=_ANSWER_SECONDS)
            if not self._question.done() and self._is_silent(self._asked):
                self._verdict = UnavailableError("the database does not answer")
        if self._verdict is not None:
            raise UnavailableError(str(self._verdict)) from self._verdict.__cause__

    async def close(self) -> None:
        """Drop the question that is not answered yet."""
        if self._question is not None:
            self._question.cancel()
            with suppress(asyncio.CancelledError):
                await self._question

    def _is_silent(self, since: float) -> bool:
        return monotonic() - max(since, self._heard) > _SILENCE_SECONDS

    async def _put(self) -> None:
        """Put the question and keep the verdict."""
        async with self._gate.first_in_line():
            self._asked = asked = monotonic()
            try:
                async with asyncio.timeout(plan.CONNECT_TIMEOUT_SECONDS):
                    await self._ask()
            except TimeoutError:
                if self._is_silent(asked):
                    self._verdict = UnavailableError("the database does not answer")
            except UnavailableError as error:
                self._verdict = error
            except Exception as error:
                self._verdict = UnavailableError("the database cannot be asked for its version")
                self._verdict.__cause__ = error
            else:
                self._verdict = None
