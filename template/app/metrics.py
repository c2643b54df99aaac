"""Prometheus metrics of the pool and of the requests.

With several workers, PROMETHEUS_MULTIPROC_DIR names a directory that they share: each scrape then shows the sum over
all of them, whichever answers it. Without it a scrape shows the one process that answers.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from time import perf_counter, time

from fastapi.concurrency import run_in_threadpool
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    generate_latest,
    multiprocess,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def _hold_lock() -> int | None:
    """Show the other workers that this process lives, by a lock that ends with it however it ends.

    A process id proves nothing: a later process can have that of one that was killed, above all in a container that
    starts again. What such a one left of its gauges is removed before the first of ours is made.
    """
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return None
    lock = _try_lock(os.getpid())
    multiprocess.mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]
    return lock


def _try_lock(pid: int) -> int | None:
    """The lock of a process as an open file, or None while that process holds it."""
    import fcntl  # not on Windows, where no workers share metrics

    file = os.open(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"], f"alive_{pid}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file


_LOCK = _hold_lock()
_SERVER = ["server"]  # primary, or replica
_POOL_LIMIT = Gauge("db_pool_limit", "Connections that the pool may open.", _SERVER, multiprocess_mode="livesum")
_POOL_OPEN = Gauge("db_pool_open", "Connections that are open.", _SERVER, multiprocess_mode="livesum")
_POOL_IN_USE = Gauge("db_pool_in_use", "Connections that requests hold.", _SERVER, multiprocess_mode="livesum")
_POOL_WAITING = Gauge("db_pool_waiting", "Requests that wait for a connection.", _SERVER, multiprocess_mode="livesum")
_POOL_REFUSED = Counter("db_pool_refused", "Requests that got no connection.", _SERVER)
_POOL_WAIT_SECONDS = Histogram(
    "db_pool_wait_seconds",
    "How long requests waited for a connection.",
    _SERVER,
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5),
)
_PROCESSES = Gauge(
    "app_processes", "Processes that serve, by the revision of their code.", ["revision"], multiprocess_mode="livesum"
)
_START = Gauge(
    "app_start_time_seconds",
    "When the process that has served longest began to, since 1970.",
    ["revision"],
    multiprocess_mode="livemin",
)
REQUEST_SECONDS = Histogram(
    "http_request_seconds",
    "How long requests took.",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15),
)


def count_process(revision: str) -> None:
    """Show that this process serves from now on, with a revision of the code; `forget_process` takes it back."""
    _PROCESSES.labels(revision).set(1)
    _START.labels(revision).set(time())


class PoolMetrics:
    """The metrics of the pool for one server: "primary" or "replica"."""

    def __init__(self, server: str) -> None:
        self.limit = _POOL_LIMIT.labels(server)
        self.open = _POOL_OPEN.labels(server)
        self.in_use = _POOL_IN_USE.labels(server)
        self.waiting = _POOL_WAITING.labels(server)
        self.refused = _POOL_REFUSED.labels(server)
        self.wait_seconds = _POOL_WAIT_SECONDS.labels(server)


async def render() -> bytes:
    """Return all metrics in Prometheus' text format."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest()
    # A thread does what blocks, while the event loop goes on with other requests.
    return await run_in_threadpool(_read_all_workers)


def _read_all_workers() -> bytes:
    """Read the files of all workers, also of those that ended: the more restarts, the longer it takes."""
    _forget_the_dead()
    registry = CollectorRegistry()
    _Workers(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


class _Workers(multiprocess.MultiProcessCollector):
    """Leaves out the files that a worker makes at this moment: prometheus_client 0.26 fails on those without a byte."""

    def collect(self) -> Iterable[Metric]:
        files = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).glob("*.db")
        metrics: Iterable[Metric] = self.merge(  # type: ignore[no-untyped-call]
            [str(file) for file in files if _has_bytes(file)], accumulate=True
        )
        return metrics


def _has_bytes(file: Path) -> bool:
    try:
        return file.stat().st_size > 0
    except FileNotFoundError:  # of a worker that ended
        return False


def _forget_the_dead() -> None:
    """Remove the gauges of processes that were killed, which could not call `forget_process`."""
    files = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).glob("gauge_live*_*.db")
    for pid in {int(file.stem.rpartition("_")[2]) for file in files}:
        lock = _try_lock(pid)
        if lock is not None:
            multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
            os.close(lock)


def forget_process() -> None:
    """Take this process's gauges out of the sum; call it when the process ends."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]


class RequestMetrics:
    """Pure ASGI middleware: BaseHTTPMiddleware would cost every request a task of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = "aborted"

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        started = perf_counter()
        try:
            await self._app(scope, receive, note_status)
        finally:
            # The route's template, not the path: one series for each route.
            route = getattr(scope.get("route"), "path", "none")
            REQUEST_SECONDS.labels(scope["method"], route, status).observe(perf_counter() - started)
