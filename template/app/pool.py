"""The gate in front of the driver's pool: the same limits, waits and figures whatever the data-access library.

The gate has as many places as the pool has connections, so nobody ever waits inside the library's pool. It adds what
many of them lack: a bounded wait, a bounded number of waiters, and metrics.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

from app.errors import UnavailableError
from app.metrics import PoolMetrics


class PoolGate:
    """Lets `limit` requests hold a connection at once: each holds a place inside `async with gate:`.

    timeout_seconds: the longest wait for a place.
    max_waiting: how many may wait at once; further ones are refused without a wait, 0 refuses all that would wait.
    Raises UnavailableError.
    """

    def __init__(self, limit: int, timeout_seconds: float, max_waiting: int, metrics: PoolMetrics) -> None:
        self._places = asyncio.Semaphore(limit)
        self._limit = limit
        self._timeout_seconds = timeout_seconds
        self._max_waiting = max_waiting
        self._waiting = 0
        self._metrics = metrics
        self._next: asyncio.Future[None] | None = None  # who gets the next place that comes free, before all who wait
        metrics.limit.set(limit)

    async def __aenter__(self) -> None:
        """Take a place, waiting for it if need be."""
        if self._places.locked():
            await self._wait()
        else:
            await self._places.acquire()
            self._metrics.wait_seconds.observe(0)
        self._metrics.in_use.inc()

    async def __aexit__(self, *_: object) -> None:
        """Give the place to the next who waits."""
        self._metrics.in_use.dec()
        if self._next is not None and not self._next.done():
            self._next.set_result(None)
        else:
            self._places.release()

    @asynccontextmanager
    async def first_in_line(self) -> AsyncIterator[None]:
        """Hold the next place that comes free, however many wait and however long it takes; one caller at a time."""
        if self._places.locked():
            self._next = asyncio.get_running_loop().create_future()
            try:
                await self._next
            except asyncio.CancelledError:
                if not self._next.cancelled():  # the place had just come
                    self._places.release()
                raise
            finally:
                self._next = None
        else:
            await self._places.acquire()
        self._metrics.in_use.inc()
        try:
            yield
        finally:
            await self.__aexit__()

    async def _wait(self) -> None:
        if self._waiting >= self._max_waiting:
            self._metrics.refused.inc()
            raise UnavailableError(f"all {self._limit} database connections are busy and {self._waiting} requests wait")
        started = perf_counter()
        self._waiting += 1
        self._metrics.waiting.inc()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._places.acquire()
        except TimeoutError:
            self._metrics.refused.inc()
            raise UnavailableError(f"no database connection came free in {self._timeout_seconds:g} s") from None
        finally:
            self._waiting -= 1
            self._metrics.waiting.dec()
            self._metrics.wait_seconds.observe(perf_counter() - started)
