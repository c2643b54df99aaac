"""How psycopg connects."""

import os
from typing import Any

from app import plan
from app.settings import Settings


def connection_options(settings: Settings, *, time_limits: bool) -> dict[str, Any]:
    """What AsyncConnection.connect is called with; the URL is libpq's, so its parameters (sslmode, ...) work in it.

    time_limits: whether the server stops statements after the statement timeout.
    """
    statement_timeout = settings.statement_timeout_seconds if time_limits else 0
    options: dict[str, Any] = {
        "conninfo": settings.url,
        "connect_timeout": plan.CONNECT_TIMEOUT_SECONDS,
        "application_name": f"app-{os.getpid()}",
    }
    if plan.TRANSACTION_POOLING:
        options["prepare_threshold"] = None  # the next transaction may be on a connection that lacks the statement
    else:
        options["options"] = f"-c statement_timeout={statement_timeout * 1000:.0f} -c TimeZone=UTC"  # ms, 0 is none
    if settings.requires_tls:
        options |= {"sslmode": "verify-full", "sslrootcert": str(settings.database_ca_file or "system")}
    return options
