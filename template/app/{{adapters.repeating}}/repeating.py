"""Writes that a deadlock undid: the database asks to run them again."""

import asyncio
from collections.abc import Awaitable, Callable
from random import uniform
from typing import TypeVar

T = TypeVar("T")

_ATTEMPTS = 5
_PAUSE_SECONDS = 0.01


async def repeat(write: Callable[[], Awaitable[T]], may_repeat: Callable[[Exception], bool]) -> T:
    """Run a write from its start, a few times where `may_repeat` says so of its error; return what it returns."""
    for attempt in range(_ATTEMPTS - 1):
        try:
            return await write()
        except Exception as error:
            if not may_repeat(error):
                raise
        # Those who met should not meet again.
        await asyncio.sleep(uniform(0, _PAUSE_SECONDS * 2**attempt))  # noqa: S311
    return await write()
