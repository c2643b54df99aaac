"""The benchmark's requests, and a client that sends them over a few kept-alive connections.

The figure is the CPU time of the server's process, so the client may cost what it costs.
"""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

PLENTY = 1_000_000_000  # of stock: no benchmark sells out


def _new_item(_: str = "") -> dict[str, Any]:
    return {"name": uuid.uuid4().hex, "price_cents": 250, "stock": PLENTY}


_BODIES: dict[str, Callable[[str], Any]] = {
    "item": _new_item,
    "items": lambda item: [_new_item() for _ in range(100)],
    "changes": lambda item: {"price_cents": 260},
    "order": lambda item: {"item_id": item, "quantity": 1},
}


@dataclass(frozen=True)
class Request:
    """One kind of request; `{item}` in its path is an item's id."""

    method: str
    path: str
    body: str = ""  # a key of _BODIES

    def encode(self, item: str) -> bytes:
        """The request on the wire."""
        body = json.dumps(_BODIES[self.body](item)).encode() if self.body else b""
        lines = [
            f"{self.method} {self.path.format(item=item)} HTTP/1.1",
            "Host: localhost",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body


# What is timed, in rendered and minimal apps.
TIMED = {
    "get": Request("GET", "/items/{item}"),
    "list of 50": Request("GET", "/items?limit=50"),
    "insert": Request("POST", "/items", "item"),
    "order": Request("POST", "/orders", "order"),
}

# What else is counted on the wire, in rendered apps.
COUNTED = {
    **TIMED,
    "update": Request("PATCH", "/items/{item}", "changes"),
    "bulk upsert": Request("PUT", "/items", "items"),
}


@dataclass(frozen=True)
class Cost:
    """What a number of requests took."""

    requests: int
    seconds: float
    cpu_seconds: float  # of the server's process, user and system

    @property
    def cpu_microseconds(self) -> float:
        return self.cpu_seconds / self.requests * 1e6

    @property
    def requests_per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def milliseconds(self) -> float:
        """One after the other on a single connection."""
        return self.seconds / self.requests * 1e3


class Connection:
    """One HTTP/1.1 connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, request: Request, item: str = "") -> bytes:
        """The answer's body; RuntimeError where the status is no success."""
        self._writer.write(request.encode(item))
        head = await self._reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        body = await self._reader.readexactly(int(fields.get(b"content-length", b"0")))
        if head.split(b" ", 2)[1] not in (b"200", b"201"):
            raise RuntimeError(f"{request}: {head!r} {body!r}")
        return body


@asynccontextmanager
async def connect(port: int, connections: int) -> AsyncIterator[list[Connection]]:
    """Connections to a service on this machine."""
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(connections)]
    try:
        yield [Connection(*stream) for stream in streams]
    finally:
        for _, writer in streams:
            writer.close()


async def store_items(port: int, count: int) -> str:
    """Store items and return the id of the last one."""
    async with connect(port, 1) as (connection,):
        bodies = [await connection.send(TIMED["insert"]) for _ in range(count)]
    item: str = json.loads(bodies[-1])["id"]
    return item


async def send(port: int, request: Request, item: str, times: int) -> None:
    """Send the request so many times, one after the other."""
    async with connect(port, 1) as (connection,):
        for _ in range(times):
            await connection.send(request, item)


async def measure(port: int, pid: int, request: Request, item: str, *, seconds: float, connections: int) -> Cost:
    """Send the request again and again for that long, and say what it cost the process."""
    async with connect(port, connections) as opened:
        for connection in opened:
            await connection.send(request, item)
        started, cpu_started = time.perf_counter(), cpu_seconds(pid)

        async def repeat(connection: Connection) -> int:
            done = 0
            while time.perf_counter() - started < seconds:
                await connection.send(request, item)
                done += 1
            return done

        done = await asyncio.gather(*map(repeat, opened))
        return Cost(sum(done), time.perf_counter() - started, cpu_seconds(pid) - cpu_started)


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process: its CPU clock, as clock_getcpuclockid(3) makes it."""
    return time.clock_gettime((~pid << 3) | 2)
