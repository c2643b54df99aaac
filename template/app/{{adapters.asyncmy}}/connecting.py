"""How asyncmy connects."""

import asyncio
from typing import Any

import asyncmy
from asyncmy.errors import Error, IntegrityError

from app import plan
from app.db.error_numbers import error_for_number, number
from app.db.transactional import Transactional
from app.errors import RefusedError, UnavailableError

__all__ = ["NAME", "Connection", "Error", "IntegrityError", "connect"]

NAME = "asyncmy"


class Connection(Transactional, asyncmy.Connection):
    """A connection with transactions."""

    def is_broken(self) -> bool:
        """Whether the connection is known to be closed, from here or from the server."""
        return bool(self._stream_broken)  # type: ignore[attr-defined]


async def connect(options: dict[str, Any]) -> Connection:
    """Open a connection within the connect timeout; UnavailableError.

    options: see connection_options.
    """
    connection = Connection(**options)  # type: ignore[no-untyped-call]
    try:
        # The driver's own timeout ends before the login begins.
        async with asyncio.timeout(plan.CONNECT_TIMEOUT_SECONDS):
            await connection.connect()
    except TimeoutError as error:
        raise UnavailableError("the database does not accept connections") from error
    except (Error, OSError, RuntimeError) as error:  # RuntimeError: asyncmy 0.2.18's where the server hangs up at once
        if isinstance(refused := error_for_number(number(error)), RefusedError):
            raise refused from error
        raise UnavailableError(f"cannot connect to the database: {error}") from error
    return connection
