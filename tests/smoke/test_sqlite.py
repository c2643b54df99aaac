"""Several processes on one file: writers wait for their turn, and what was read stays true until the write."""

import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers import Database
from tests.service import environment
from tests.smoke.traffic import PATIENT, StartService, new_item, parallel, sold

pytestmark = pytest.mark.databases("sqlite")

PROCESSES = 4
AT_ONCE = 4  # in each process
TIMES = 5
WRITES = PROCESSES * AT_ONCE * TIMES
# Who waits for the lock may: SQLite gives it to anybody, not to the first, and the machine is busy with other tests.
PATIENCE = {**PATIENT, "STATEMENT_TIMEOUT_SECONDS": 50}

# What a route of a generated project's owner may do: with a plain BEGIN it loses updates or finds the database locked.
READ_THEN_WRITE = f"""
import asyncio, sys
from uuid import UUID
from app.database import Database
from app.settings import read_settings

async def take_one(database, item_id):
    for _ in range({TIMES}):
        async with database.repository() as repository, repository.transaction():
            item = await repository.get_item(item_id)
            await repository.update_item(item_id, {{"stock": item.stock - 1}})

async def main():
    database = Database(read_settings())
    await database.open()
    await asyncio.gather(*(take_one(database, UUID(sys.argv[1])) for _ in range({AT_ONCE})))
    await database.close()

asyncio.run(main())
"""


def test_four_services_on_one_file_lose_no_order_and_never_find_it_locked(
    server: Database, new_database: str, start_service: StartService
) -> None:
    services = [start_service(server.url(new_database), **PATIENCE) for _ in range(PROCESSES)]
    with services[0].client() as client:
        item = new_item(client, price_cents=1, stock=1000)
        body = {"item_id": item["id"], "quantity": 1}
        with ExitStack() as stack:
            sends = [stack.enter_context(parallel(service, AT_ONCE)) for service in services]
            answers = [send("POST", "/orders", json=body) for send in sends * (AT_ONCE * TIMES)]
            assert [answer.result().response.text for answer in answers if answer.result().status != 201] == []
        assert client.get(f"/items/{item['id']}").json()["stock"] == 1000 - WRITES
        assert sold(client) == WRITES


def test_transactions_that_read_and_then_write_lose_nothing_in_four_processes(
    project: Path, server: Database, new_database: str, start_service: StartService
) -> None:
    url = server.url(new_database)
    with start_service(url).client() as client:
        item = new_item(client, stock=1000)
        writers = [
            subprocess.Popen(
                [project / ".venv" / "bin" / "python", "-c", READ_THEN_WRITE, item["id"]],
                cwd=project,
                env=environment(url, PATIENCE),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for _ in range(PROCESSES)
        ]
        for writer in writers:
            output, _ = writer.communicate(timeout=120)
            assert writer.returncode == 0, output[-4000:]
        assert client.get(f"/items/{item['id']}").json()["stock"] == 1000 - WRITES
