"""The end of statements that MySQL would let go on: its own time limit, max_execution_time, holds for SELECT only.

MariaDB's holds for all statements: there this does nothing. Behind a pooler it cannot: a connection there does not know
which of the server's threads it has.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from app import plan
from app.db.connecting import Connection, Error
from app.db.error_numbers import number
from app.errors import UnavailableError

T = TypeVar("T")

_GRACE_SECONDS = 0.5  # for the server's own limit, which ends a SELECT in time
_RETRY_SECONDS = 1.0  # where the server has no connection to spare
_TRIES = 60
_OUT_OF_REACH = (1094, 1095)  # the thread has ended; it is in a trigger or procedure that runs as another user
# A host's name can lead to several servers, and each numbers its threads.
_WHERE = "SELECT CONCAT(@@server_uuid, ' ', @@hostname), CONNECTION_ID()"


class TimeLimit:
    """Ends statements, also those of connections that were closed while they ran, by KILL QUERY.

    It is sent by one more connection of this process at the most, which closes then; the plan's reserve carries it.
    """

    def __init__(self, seconds: float, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._seconds = seconds
        self._connect = connect
        self._overdue: set[tuple[str, int]] = set()  # a server and one of its threads
        self._killer: asyncio.Task[None] | None = None
        self._killing = asyncio.Lock()

    async def connect(self) -> Connection:
        """Open a connection whose statements end at the limit; UnavailableError."""
        connection = await self._connect()
        if plan.TRANSACTION_POOLING or "MariaDB" in connection.get_server_info():
            return connection
        try:
            async with asyncio.timeout(plan.CONNECT_TIMEOUT_SECONDS):
                server, thread = await _where(connection)
        except (Error, OSError, RuntimeError) as error:  # TimeoutError is an OSError; RuntimeError: see connecting.py
            connection.close()
            raise UnavailableError(f"the database does not answer: {error}") from error
        except BaseException:
            connection.close()
            raise
        if thread == connection.thread_id():  # else somebody between has given it a number of its own
            connection.run_limited = lambda statement: self._run((server, thread), statement)
        return connection

    async def _run(self, thread: tuple[str, int], statement: Awaitable[T]) -> T:
        """Await a statement that the server runs in this thread; cancelled or not, it ends at the limit."""
        timer = asyncio.get_running_loop().call_later(self._seconds + _GRACE_SECONDS, self._expire, thread)
        try:
            result = await statement
        except Exception:
            await self._end(thread, timer)
            raise
        await self._end(thread, timer)
        return result

    async def _end(self, thread: tuple[str, int], timer: asyncio.TimerHandle) -> None:
        timer.cancel()
        self._overdue.discard(thread)
        if self._killing.locked():  # it must not hit what this thread runs next
            async with self._killing:
                pass

    def _expire(self, thread: tuple[str, int]) -> None:
        self._overdue.add(thread)
        if self._killer is None or self._killer.done():
            self._killer = asyncio.create_task(self._kill())

    async def _kill(self) -> None:
        for _ in range(_TRIES):
            with suppress(UnavailableError, Error, OSError):
                async with asyncio.timeout(plan.CONNECT_TIMEOUT_SECONDS):
                    await self._kill_overdue()
            if not self._overdue:
                return
            await asyncio.sleep(_RETRY_SECONDS)
        self._overdue.clear()

    async def _kill_overdue(self) -> None:
        connection = await self._connect()
        try:
            server, _ = await _where(connection)
            async with self._killing:
                for thread in sorted(self._overdue):
                    if thread[0] == server:
                        await _kill_query(connection, thread[1])
                        self._overdue.discard(thread)
        finally:
            connection.close()


async def _where(connection: Connection) -> tuple[str, int]:
    async with connection.cursor() as cursor:
        await cursor.execute(_WHERE)
        server, thread = await cursor.fetchone()
    return server, thread


async def _kill_query(connection: Any, thread: int) -> None:
    try:
        await connection.query(f"KILL QUERY {thread}")
    except Error as error:
        if number(error) not in _OUT_OF_REACH:
            raise
