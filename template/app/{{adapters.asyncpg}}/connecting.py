"""How asyncpg connects."""

import os
import ssl
from typing import Any

from app import plan
from app.settings import Settings


def connection_options(settings: Settings, *, time_limits: bool) -> dict[str, Any]:
    """What asyncpg.connect is called with; it reads the URL itself, so libpq's parameters (sslmode, ...) work in it.

    time_limits: whether statements are stopped, by the server after the statement timeout and here a little later.
    """
    statement_timeout = settings.statement_timeout_seconds if time_limits else 0
    server_settings = {"application_name": f"app-{os.getpid()}"}
    options: dict[str, Any] = {
        "dsn": settings.url,
        "timeout": plan.CONNECT_TIMEOUT_SECONDS,
        "command_timeout": settings.command_timeout_seconds if time_limits else None,
        "server_settings": server_settings,
    }
    if plan.TRANSACTION_POOLING:
        options["statement_cache_size"] = 0  # the next transaction may be on a connection that lacks the statement
    else:
        server_settings["statement_timeout"] = f"{statement_timeout * 1000:.0f}"  # ms, 0 is none
    if settings.requires_tls:
        options["ssl"] = ssl.create_default_context(cafile=settings.database_ca_file)
    return options
