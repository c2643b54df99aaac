import asyncio
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.values import MultiProcessValue

from app import metrics
from app.database import Database
from tests.conftest import read_metrics

pytestmark = pytest.mark.anyio


async def test_the_metrics_show_the_pool(client: AsyncClient, database: Database) -> None:
    async with database.repository() as repository:
        await repository.list_items(1, None)
        samples = await read_metrics(client)
    assert samples["db_pool_limit"] == 3
    assert samples["db_pool_in_use"] == 1
    assert 1 <= samples["db_pool_open"] <= 3
    assert samples["db_pool_wait_seconds_count"] > 0


async def test_liveness_and_metrics_tell_the_revision(client: AsyncClient, app: FastAPI) -> None:
    assert (await client.get("/livez")).json() == {"status": "alive", "revision": app.state.revision}
    families = text_string_to_metric_families((await client.get("/metrics")).text)
    samples = {sample.name: sample for family in families for sample in family.samples}
    processes, start = samples["app_processes"], samples["app_start_time_seconds"]
    assert processes.labels == start.labels == {"revision": app.state.revision}
    assert processes.value == 1
    assert 0 < time.time() - start.value < 3600


async def test_the_event_loop_is_free_while_a_thread_reads_the_files_of_all_workers(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reads, may_end = threading.Event(), threading.Event()

    def read_until_told() -> bytes:
        reads.set()
        assert may_end.wait(10), "the event loop waits for the thread"
        return b"figures"

    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    monkeypatch.setattr(metrics, "_read_all_workers", read_until_told)
    scrape = asyncio.create_task(client.get("/metrics"))
    assert await asyncio.to_thread(reads.wait, 10)
    assert (await client.get("/livez")).status_code == 200
    may_end.set()
    assert (await scrape).content == b"figures"


async def test_a_scrape_shows_all_workers(client: AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    assert (await client.get("/metrics")).status_code == 200


def test_a_worker_that_was_killed_is_not_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    locks = [metrics._try_lock(pid) for pid in (1, 2)]
    for pid in (1, 2):
        make: Any = MultiProcessValue(lambda pid=pid: pid)  # type: ignore[no-untyped-call]
        name = "db_pool_limit"
        make("gauge", name, name, ["server"], ["primary"], "", multiprocess_mode="livesum").set(8)
    assert b'db_pool_limit{server="primary"} 16.0' in metrics._read_all_workers()
    for count, lock in enumerate(locks):
        assert lock is not None
        os.close(lock)  # as the death of the process does
        assert (b'db_pool_limit{server="primary"} 8.0' in metrics._read_all_workers()) is (count == 0)


def test_a_process_begins_anew_whose_id_one_had_that_was_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    left_behind = tmp_path / f"gauge_livesum_{os.getpid()}.db"
    left_behind.write_bytes(b"its figures")
    lock = metrics._hold_lock()
    assert lock is not None
    os.close(lock)
    assert not left_behind.exists()
