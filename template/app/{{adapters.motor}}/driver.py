"""Motor's API: what PyMongo's asynchronous one spells differently, and the threads in which Motor runs PyMongo.

Motor has no network code of its own. Each operation blocks a thread for as long as it holds a connection, so a client
has as many threads as its pool has connections, besides those of PyMongo: two monitors for each server and one that
tidies up. Waiting for a connection happens in front of the pool (app/pool.py) and needs no thread. The event loop is
never blocked; each operation costs two changes of thread.

An operation in a thread cannot be stopped. Motor 3.7.1 abandons it when the request is cancelled, which then rolls its
transaction back while the thread still works in it, and its connection is lent twice. Here a cancelled request waits
for the operation that it began, which ends within the statement timeout.
"""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar, cast

from motor.core import AgnosticClient
from motor.frameworks import asyncio as asyncio_framework
from motor.metaprogramming import create_class_with_framework
from motor.motor_asyncio import (
    AsyncIOMotorClient,
    AsyncIOMotorClientSession,
    AsyncIOMotorCollection,
    AsyncIOMotorCursor,
    AsyncIOMotorDatabase,
)
from pymongo import ReadPreference

from app.db.cancellation import Operation

T = TypeVar("T")

PRIMARY = ReadPreference.PRIMARY  # of what a transaction reads, whatever the URL says of other reads

Document = dict[str, Any]
Client = AsyncIOMotorClient[Document]
MongoDatabase = AsyncIOMotorDatabase[Document]
Session = AsyncIOMotorClientSession


class _Framework:
    """Motor's interface to asyncio, with threads of one client in place of 5 for each core of the machine."""

    def __init__(self, threads: int) -> None:
        self.executor = ThreadPoolExecutor(threads, thread_name_prefix="motor")

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio_framework, name)

    def run_on_executor(
        self, loop: asyncio.AbstractEventLoop, function: Callable[..., T], *args: Any, **kwargs: Any
    ) -> asyncio.Future[T]:
        # In a copy of the context: it holds the deadline of pymongo.timeout.
        call = partial(contextvars.copy_context().run, partial(function, *args, **kwargs))
        return Operation(loop.run_in_executor(self.executor, call))


def make_client(url: str, *, maxPoolSize: int, **options: Any) -> Client:  # noqa: N803
    """Make a client; it connects at its first operation and belongs to the event loop that runs that."""
    motor_client: Any = create_class_with_framework(AgnosticClient, _Framework(maxPoolSize), "motor.motor_asyncio")
    client: Client = motor_client(url, maxPoolSize=maxPoolSize, **options)
    return client


async def close_client(client: Client) -> None:
    """Close the client's connections and end its threads."""
    framework: _Framework = client._framework
    await framework.run_on_executor(asyncio.get_running_loop(), client.delegate.close)  # Motor's own close() blocks
    framework.executor.shutdown(wait=False)


def pymongo_client(client: Client) -> Any:
    """The client with PyMongo's pools and what it knows of the servers."""
    return client.delegate


@asynccontextmanager
async def new_transaction(client: Client) -> AsyncIterator[Session]:
    """Make the operations on this session one transaction."""
    async with (
        await client.start_session() as session,
        session.start_transaction(read_preference=PRIMARY),
    ):
        yield session


async def repeat_transaction(client: Client, body: Callable[[Session], Coroutine[Any, Any, T]]) -> T:
    """Run the body in a transaction, again from its start where it meets another transaction."""
    async with await client.start_session() as session:
        result: T = await session.with_transaction(body, read_preference=PRIMARY)
        return result


def session_id(session: Session) -> Mapping[str, Any]:
    """What the server knows a session by."""
    found: Any = session.session_id
    return cast(Mapping[str, Any], found)  # a property, which Motor's types call a method


async def fetch(cursor: AsyncIOMotorCursor[Document]) -> list[Document]:
    """Return all documents that were found."""
    return await Operation(cursor.to_list(None))


async def aggregate(
    collection: AsyncIOMotorCollection[Document], pipeline: list[Document], session: Session | None
) -> list[Document]:
    """Return all documents of an aggregation."""
    return await Operation(collection.aggregate(pipeline, session=session).to_list(None))
