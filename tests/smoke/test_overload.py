"""Far more clients than connections: the pool goes on serving what it can, and the rest know at once."""

import asyncio
import random
import re
import time
from dataclasses import dataclass
from statistics import median

import pytest

from tests.servers import Server
from tests.smoke.small_pool import POOL_LIMIT, small_pool
from tests.smoke.traffic import StartService, new_item
from tests.wire import Proxy

CLIENTS = 512
DELAY_SECONDS = 0.1  # in each direction: a read holds its connection for twice as long, whatever the machine does
WARM_UP = 5 * POOL_LIMIT
MEASURED = 20 * POOL_LIMIT
LEAST_EFFICIENCY = 0.9
ATTEMPTS = 3  # a machine that is busy with something else only ever lowers the efficiency


@dataclass(frozen=True)
class Answer:
    status: int
    retry_after: int
    started: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.started


class Crowd:
    """Clients that ask for the same thing again and again, in one event loop, without the cost of a library."""

    def __init__(self, port: int, path: str) -> None:
        self.answers: list[Answer] = []
        self._port = port
        self._request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        self._enough = asyncio.Event()
        self._served = 0
        self._chance = random.Random(CLIENTS)

    async def ask(self, clients: int, served: int) -> None:
        """Until so many answers are 200."""
        async with asyncio.timeout(120), asyncio.TaskGroup() as crowd:
            for _ in range(clients):
                crowd.create_task(self._ask(served))

    async def _ask(self, served: int) -> None:
        while not self._enough.is_set():
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                await self._ask_on(reader, writer, served)
            except (asyncio.IncompleteReadError, ConnectionError):
                continue  # uvicorn closes connections that were idle for 5 seconds
            finally:
                writer.close()

    async def _ask_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, served: int) -> None:
        while not self._enough.is_set():
            started = time.monotonic()
            writer.write(self._request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            await reader.readexactly(_number("content-length", head))
            answer = Answer(int(head.split()[1]), _number("retry-after", head), started, time.monotonic())
            self.answers.append(answer)
            self._served += answer.status == 200
            if self._served >= served:
                self._enough.set()
            elif answer.status == 503:
                await self._pause(answer.retry_after * self._chance.uniform(1, 4))

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._enough.wait()
        except TimeoutError:
            return

    def served(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.status == 200]

    def refused(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.status == 503]


def _number(header: str, head: str) -> int:
    found = re.search(rf"^{header}: (\d+)", head, re.MULTILINE)
    return int(found[1]) if found else 0


async def measure(port: int, path: str) -> tuple[float, float]:
    """The goodput as a part of the pool's capacity, and the time to a refusal as a part of the time of an answer."""
    few = Crowd(port, path)
    await few.ask(POOL_LIMIT, served=5 * POOL_LIMIT)
    held_seconds = median(answer.seconds for answer in few.served())
    assert held_seconds > 2 * DELAY_SECONDS
    many = Crowd(port, path)
    await many.ask(CLIENTS, served=WARM_UP + MEASURED)
    assert len(many.served()) + len(many.refused()) == len(many.answers)
    assert len(many.refused()) > CLIENTS / 2
    assert min(answer.retry_after for answer in many.refused()) >= 1
    ends = sorted(answer.ended for answer in many.served())
    measured_seconds = ends[WARM_UP + MEASURED - 1] - ends[WARM_UP - 1]
    capacity = POOL_LIMIT / held_seconds
    steady = [answer.seconds for answer in many.refused() if answer.started > ends[WARM_UP - 1]]
    return MEASURED / measured_seconds / capacity, median(steady) / held_seconds


@pytest.mark.fault("512 clients")
@pytest.mark.databases("postgresql", "mysql", "mongodb")
@pytest.mark.each_driver
def test_512_clients_get_what_3_connections_can_serve_and_the_rest_are_refused_fast(
    server: Server, database: str, start_service: StartService
) -> None:
    with Proxy(server.port, server.conversation) as proxy:
        url = server.url(database, port=proxy.port)
        limits = {"POOL_TIMEOUT_SECONDS": 5, "POOL_MAX_WAITING": 2 * POOL_LIMIT}
        with small_pool(start_service, server, database, url=url, **limits) as (service, client):
            path = f"/items/{new_item(client)['id']}"
            proxy.delay_seconds = DELAY_SECONDS
            for _ in range(ATTEMPTS):
                efficiency, refusal = asyncio.run(measure(service.port, path))
                if efficiency >= LEAST_EFFICIENCY and refusal < 1:
                    break
            proxy.delay_seconds = 0
        assert efficiency >= LEAST_EFFICIENCY
        assert refusal < 1, "a refusal takes longer than a request that is served"
