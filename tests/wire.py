"""A TCP proxy between an app and its database server that counts connections and round trips and can delay them."""

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import ClassVar, Protocol, Self

from tests.processes import free_port

QUIET_SECONDS = 0.05  # after the last answer; a late round trip is still counted


class Conversation(Protocol):
    """What one connection's client says."""

    def asks(self, data: bytes) -> bool:
        """Whether these bytes contain a request whose answer counts as a round trip."""
        ...


class AnyRequest:
    """All that the client sends counts: right for PostgreSQL on warm connections."""

    def asks(self, data: bytes) -> bool:
        return True


class MySQLCommand:
    """All commands (packets numbered 0) but the last of a connection, which has no answer; not the login."""

    QUIT = 1

    def __init__(self) -> None:
        self._unread = b""

    def asks(self, data: bytes) -> bool:
        self._unread += data
        found = False
        while len(self._unread) >= 4:
            # header: length in three bytes, sequence number in one
            length = int.from_bytes(self._unread[:3], "little")
            if len(self._unread) < 4 + length:
                break
            sequence, body, self._unread = self._unread[3], self._unread[4 : 4 + length], self._unread[4 + length :]
            found |= sequence == 0 and body[:1] != bytes([self.QUIT])
        return found


class MongoRequest:
    """All messages but handshakes and monitoring, told by the first key of an OP_MSG's body."""

    UNCOUNTED = frozenset({b"hello", b"isMaster", b"ismaster"})
    OP_MSG = 2013
    COMMAND_OFFSET = 16 + 4 + 1 + 4 + 1  # header, flags, section kind, document length, element type

    def __init__(self) -> None:
        self._unread = b""

    def asks(self, data: bytes) -> bool:
        self._unread += data
        found = False
        while len(self._unread) >= 16:
            length, _, _, operation = struct.unpack_from("<iiii", self._unread)
            if len(self._unread) < length:
                break
            message, self._unread = self._unread[:length], self._unread[length:]
            # A legacy OP_QUERY is only ever the first hello of a connection.
            if operation == self.OP_MSG:
                command = message[self.COMMAND_OFFSET :].split(b"\0", 1)[0]
                found |= command not in self.UNCOUNTED
        return found


class Count:
    """Round trips seen while counting; final once the `with` block is left."""

    value = 0


def _reset(connection: asyncio.StreamWriter) -> None:
    if connection.transport.is_closing():
        return
    linger = struct.pack("ii", 1, 0)  # for no time: the close is a reset
    connection.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    connection.transport.abort()


class Proxy:
    """Listens on `port`, forwards to `server_port`; one thread, ended by `close()` or at the end of a `with` block.

    While the server is away it resets each connection as soon as that is made.
    """

    servers: ClassVar[dict[int, int]] = {}  # the port of the server behind each proxy's port

    def __init__(
        self,
        server_port: int,
        conversation: type[Conversation] = AnyRequest,
        delay_seconds: float = 0,
    ) -> None:
        self.port = free_port()
        self.delay_seconds = delay_seconds  # added in each direction
        self._server_port = server_port
        self.servers[self.port] = server_port
        self._conversation = conversation
        self.open = 0  # connections now, as long as either side has not closed them
        self.opened = 0  # since the proxy listens
        self.peak = 0  # the most that were open at once
        self._answers = 0
        self._last_answer = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._to_apps: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    @contextlib.contextmanager
    def counting(self) -> Iterator[Count]:
        """Count the round trips answered from entering the block until the wire is quiet at its end."""
        count = Count()
        before = self._answers
        yield count
        left = time.monotonic()
        while time.monotonic() - max(left, self._last_answer) < QUIET_SECONDS:
            time.sleep(QUIET_SECONDS / 5)
        count.value = self._answers - before

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def reset(self) -> None:
        """Reset all connections, as seen from the app; the server sees them closed."""
        asyncio.run_coroutine_threadsafe(self._reset_all(), self._loop).result(10)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    async def _reset_all(self) -> None:
        while self._to_apps:
            _reset(self._to_apps.pop())

    async def _stop(self) -> None:
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, app: asyncio.StreamReader, to_app: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            server, to_server = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            _reset(to_app)
            return
        self._to_apps.add(to_app)
        conversation = self._conversation()
        awaiting = False

        def sent(data: bytes) -> None:
            nonlocal awaiting
            awaiting |= conversation.asks(data)

        def answered(data: bytes) -> None:
            nonlocal awaiting
            if awaiting:
                awaiting = False
                self._answers += 1
                self._last_answer = time.monotonic()

        self.open += 1
        self.opened += 1
        self.peak = max(self.peak, self.open)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._forward(app, to_server, sent))
                both.create_task(self._forward(server, to_app, answered))
        except* OSError:
            pass  # one side reset its connection; both are closed below
        finally:
            self.open -= 1
            self._to_apps.discard(to_app)
            to_app.close()
            to_server.close()

    async def _forward(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, seen: Callable[[bytes], None]
    ) -> None:
        while data := await source.read(65536):
            seen(data)
            if self.delay_seconds:
                await asyncio.sleep(self.delay_seconds)
            target.write(data)
            await target.drain()
        target.write_eof()
