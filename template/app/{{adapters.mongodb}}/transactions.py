"""The transactions of a repository."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, TypeVar

import pymongo

from app.db import driver
from app.db.leftovers import Leftovers
from app.errors import StatementTimeoutError

T = TypeVar("T")


class Transactional:
    """Has a transaction at a time; each operation names its session, for one without it happens outside of it."""

    def __init__(self, client: driver.Client, leftovers: Leftovers, time_limit_seconds: float) -> None:
        self._client = client
        self._leftovers = leftovers
        self._time_limit_seconds = time_limit_seconds
        self._session: driver.Session | None = None  # of the transaction that runs
        self._part_failed = False

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """One transaction; inside another one, a part of it: MongoDB has no savepoints.

        A part that fails undoes the whole: RuntimeError at its end where the caller went on after the failure.
        """
        if self._session is not None:
            try:
                yield
            except BaseException:
                self._part_failed = True
                raise
            return
        with self._leftovers.of_a_failure() as unfinished:
            async with driver.new_transaction(self._client) as session:
                unfinished.session_id = driver.session_id(session)
                self._session, self._part_failed = session, False
                try:
                    yield
                    if self._part_failed:
                        raise RuntimeError("a part of the transaction failed: MongoDB has no savepoints, all is undone")
                finally:
                    self._session = None

    async def _in_transaction(self, body: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run the body in a transaction, again from its start where it meets another transaction.

        Inside `transaction()` the body is a part of that one, which the caller repeats.
        """
        if self._session is not None:
            return await body()

        deadline = monotonic() + self._time_limit_seconds

        async def run(session: driver.Session) -> T:
            unfinished.session_id = driver.session_id(session)
            # The library would go on for two minutes; here the time limit of one operation holds for all tries.
            # It must not enclose the transaction itself: once it is over, PyMongo 4.20 sends no abort.
            remaining = deadline - monotonic()
            if remaining <= 0:
                raise StatementTimeoutError("the transaction met others for longer than the time limit")
            self._session = session
            try:
                with pymongo.timeout(remaining), unfinished.noting_breaks():
                    return await body()
            finally:
                self._session = None

        with self._leftovers.of_a_failure() as unfinished:
            return await driver.repeat_transaction(self._client, run)
