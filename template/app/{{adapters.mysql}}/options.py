"""How the drivers connect: the settings as keyword arguments, and what each session sets."""

import math
import os
from typing import Any

from app import plan
from app.database_url import DatabaseUrl
from app.settings import Settings

FOUND_ROWS = 2  # an UPDATE counts the rows that it found, not only those that it changed


def connection_options(settings: Settings, *, time_limits: bool) -> dict[str, Any]:
    """What aiomysql.connect and asyncmy.connect are called with for a new connection; UnavailableError.

    time_limits: whether the server stops statements after the statement timeout.
    """
    url = settings.database
    options = {
        **_address(url),
        "charset": "utf8mb4",
        "client_flag": FOUND_ROWS,
        "autocommit": True,  # without it each read would open a transaction, and go on reading its snapshot
        "connect_timeout": url.connect_seconds(plan.CONNECT_TIMEOUT_SECONDS),
        "program_name": f"app-{os.getpid()}",
    }
    if not plan.TRANSACTION_POOLING:  # behind one, it is the pooler that begins a session with this
        options["init_command"] = session_statement(settings.statement_timeout_seconds if time_limits else None)
    if (context := url.tls_context()) is not None:
        options["ssl"] = context
    return options


def _address(url: DatabaseUrl) -> dict[str, Any]:
    (host,) = url.hosts
    return {
        "host": "localhost" if host.is_socket else host.name,
        "port": host.port,
        "unix_socket": host.name if host.is_socket else None,
        "user": url.user,
        # Both drivers encode a password as Latin-1, which has few letters; the server keeps it in UTF-8.
        "password": url.password.encode().decode("latin-1"),
        "db": url.database,
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
