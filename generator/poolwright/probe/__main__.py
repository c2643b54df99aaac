"""Ask the servers of a generated project what `poolwright check` compares; print the facts as JSON.

It runs with the project's own Python, in the project's directory, and imports nothing but the project and its packages:
`python FOLDER_OF_THIS_FILE REQUEST`, where REQUEST is {"driver": "asyncpg", "port": 5432}. On stdout comes one object:

    {"settings": {...}, "database": FACTS, "replica": FACTS or null, "cache": FACTS or null}
    {"failed": "imports" or "settings", "reason": "..."}

FACTS are what a module `*_facts.py` says, or {"failed": "unreachable" or "refused", "reason": "..."}; both with the
server's `address`. No password is in them.
"""

import asyncio
import contextlib
import importlib
import importlib.util
import io
import json
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from places import Place, UnreadableUrlError  # a script's folder is where it imports from

SERVER_SECONDS = 20.0  # for one server, its connection included

Facts = dict[str, Any]


class UnusableProjectError(Exception):
    """Nothing can be asked; `kind` is "imports" or "settings"."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


async def inspect(driver: str, port: int) -> Facts:
    """The settings of the project in the current directory, and the facts of each of its servers."""
    try:
        plan: Any = importlib.import_module("app.plan")
        module: Any = importlib.import_module("app.settings")
        importlib.import_module("app.db")
        gather = importlib.import_module(f"{plan.URL_SCHEME}_facts").gather
    except ImportError as error:
        raise UnusableProjectError("imports", str(error)) from error
    settings = _read(module.read_settings)
    replica = settings.replica

    async def server(of: Any) -> Facts:
        return await _facts(_place("DATABASE_URL", of.url, port), lambda: gather(of, driver))

    return {
        "settings": {
            "pool_size": settings.pool_size,
            "max_overflow": settings.max_overflow,
            "pool_recycle_seconds": settings.pool_recycle_seconds,
            "statement_timeout_seconds": settings.statement_timeout_seconds,
            "command_timeout_seconds": settings.command_timeout_seconds,
            "ca_file": settings.database_ca_file is not None,
        },
        "database": await server(settings),
        "replica": None if replica is None else await server(replica),
        "cache": await _cache(),
    }


async def _cache() -> Facts | None:
    if importlib.util.find_spec("app.cache") is None:
        return None
    module: Any = importlib.import_module("app.cache.settings")
    url = _read(lambda: module.CacheSettings().url)
    if url is None:
        return None
    gather = importlib.import_module("cache_facts").gather
    return await _facts(_place("REDIS_URL", url, 6379), lambda: gather(url))


def _read(settings: Callable[[], Any]) -> Any:
    """The settings; what the project says where it ends the process names no values."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return settings()
    except SystemExit:
        raise UnusableProjectError("settings", said.getvalue().strip().removeprefix("settings: ")) from None
    except OSError as error:
        raise UnusableProjectError("settings", f"{error.filename}: {error.strerror}") from error
    except ValueError as error:
        raise UnusableProjectError("settings", type(error).__name__) from error


def _place(name: str, url: str, port: int) -> Place:
    try:
        return Place(url, port)
    except UnreadableUrlError as error:
        raise UnusableProjectError("settings", f"{name} {error}") from error


async def _facts(place: Place, gather: Callable[[], Awaitable[Facts]]) -> Facts:
    try:
        async with asyncio.timeout(SERVER_SECONDS):
            facts = await gather()
    except Exception as error:
        facts = place.failure(error)
    return {"address": place.address, "local": place.local, **facts}


def main() -> None:
    """Print the object."""
    out, sys.stdout = sys.stdout, sys.stderr  # what the project prints must not come between
    sys.path.insert(0, os.getcwd())
    request = json.loads(sys.argv[1])
    try:
        found = asyncio.run(inspect(request["driver"], request["port"]))
    except UnusableProjectError as error:
        found = {"failed": error.kind, "reason": str(error)}
    print(json.dumps(found), file=out, flush=True)


if __name__ == "__main__":
    main()
