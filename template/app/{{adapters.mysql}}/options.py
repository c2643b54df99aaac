"""How the drivers connect: DATABASE_URL and the settings as keyword arguments, and what each session sets.

The URL is taken apart here: each library reads it in its own way, and none reads all of it.
"""

import math
import os
import ssl
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from app import plan
from app.settings import Settings

FOUND_ROWS = 2  # an UPDATE counts the rows that it found, not only those that it changed


def connection_options(settings: Settings, *, time_limits: bool) -> dict[str, Any]:
    """What aiomysql.connect and asyncmy.connect are called with.

    time_limits: whether the server stops statements after the statement timeout.
    """
    options = {
        **_address(settings.url),
        "charset": "utf8mb4",
        "client_flag": FOUND_ROWS,
        "autocommit": True,  # without it each read would open a transaction, and go on reading its snapshot
        "connect_timeout": plan.CONNECT_TIMEOUT_SECONDS,
        "program_name": f"app-{os.getpid()}",
    }
    if not plan.TRANSACTION_POOLING:  # behind one, it is the pooler that begins a session with this
        options["init_command"] = session_statement(settings.statement_timeout_seconds if time_limits else None)
    if settings.requires_tls:
        options["ssl"] = ssl.create_default_context(cafile=settings.database_ca_file)
    return options


def _address(url: str) -> dict[str, Any]:
    """ValueError, without anything of the URL in it, where it cannot be read."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    socket = query.pop("unix_socket", None)
    try:
        port = parts.port or 3306
    except ValueError:
        raise ValueError("DATABASE_URL has no valid port; is its password percent-encoded?") from None
    if query or parts.fragment:
        raise ValueError("DATABASE_URL can have ?unix_socket=... and no other parameter; DATABASE_CA_FILE is for TLS")
    if not parts.path.strip("/"):
        raise ValueError("DATABASE_URL names no database")
    return {
        "host": parts.hostname or "localhost",
        "port": port,
        "unix_socket": socket,
        "user": unquote(parts.username or ""),
        # Both drivers encode a password as Latin-1, which has few letters; the server keeps it in UTF-8.
        "password": unquote(parts.password or "").encode().decode("latin-1"),
        "db": unquote(parts.path.removeprefix("/")),
    }


def session_statement(limit_seconds: float | None) -> str:
    """The statement that a new connection begins with, for MySQL 8 and MariaDB alike.

    READ COMMITTED, as PostgreSQL has it: the default, REPEATABLE READ, locks the gaps between rows too, so that bulk
    upserts meet in deadlocks. It needs the binary log's default format, ROW or MIXED.
    """
    values = "time_zone = '+00:00', sql_mode = 'TRADITIONAL,ONLY_FULL_GROUP_BY'"
    if limit_seconds is not None:
        # MySQL reads the first comment and MariaDB the second. MySQL's holds for SELECT only: what else takes long
        # there waits for locks, whose limits are whole seconds; the rest is left to the request's deadline.
        whole = math.ceil(limit_seconds)
        values += (
            f", innodb_lock_wait_timeout = {whole}, lock_wait_timeout = {whole}"
            f" /*!80000 , max_execution_time = {limit_seconds * 1000:.0f} */"
            f" /*M! , max_statement_time = {limit_seconds:f} */"
        )
    return f"SET {values}; SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
