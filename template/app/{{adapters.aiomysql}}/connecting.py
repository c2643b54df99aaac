"""How aiomysql connects."""

import asyncio
from typing import Any

import aiomysql  # type: ignore[import-untyped]
from aiomysql import Error, IntegrityError
from pymysql.constants import CLIENT

from app import plan
from app.db.error_numbers import error_for_number, number
from app.db.transactional import Transactional
from app.errors import RefusedError, UnavailableError

__all__ = ["NAME", "Connection", "Error", "IntegrityError", "connect"]

NAME = "aiomysql"


class Connection(Transactional, aiomysql.Connection):  # type: ignore[misc]
    """A connection with transactions."""

    def is_broken(self) -> bool:
        """Whether the connection is known to be closed, from here or from the server."""
        reader = self._reader
        return bool(reader is None or reader.eof_received or reader.exception() is not None)

    async def ensure_closed(self) -> None:
        """Close the connection; the server is told, unless it is the one that has closed it."""
        if self.is_broken():
            self.close()
        else:
            await super().ensure_closed()

    def _write_bytes(self, data: bytes) -> None:
        try:
            super()._write_bytes(data)
        except RuntimeError as error:  # uvloop's; aiomysql 0.3.2 hands it on
            raise aiomysql.OperationalError(2006, "the server has closed the connection") from error

    async def _get_server_information(self) -> None:
        await super()._get_server_information()
        # aiomysql 0.3.2 goes on without TLS where the server offers none, or where somebody between says so.
        if self._ssl_context and not self.server_capabilities & CLIENT.SSL:
            raise aiomysql.OperationalError(2026, "the server offers no TLS")


async def connect(options: dict[str, Any]) -> Connection:
    """Open a connection within the connect timeout; UnavailableError.

    options: see connection_options.
    """
    connection = Connection(**options)
    try:
        # The driver's own timeout ends before the login begins.
        async with asyncio.timeout(plan.CONNECT_TIMEOUT_SECONDS):
            await connection._connect()
    except TimeoutError as error:
        raise UnavailableError("the database does not accept connections") from error
    except (Error, OSError, RuntimeError) as error:  # RuntimeError: aiomysql 0.3.2's where the server hangs up at once
        if isinstance(refused := error_for_number(number(error)), RefusedError):
            raise refused from error
        raise UnavailableError(f"cannot connect to the database: {error.__cause__ or error}") from error
    except BaseException:
        connection.close()  # aiomysql 0.3.2 leaves it open when it is cancelled
        raise
    return connection
