"""How psycopg connects."""

import math
import os
import re
from typing import Any

import psycopg

from app import plan
from app.database_url import SYSTEM, DatabaseUrl, Tls
from app.errors import RefusedError
from app.settings import Settings


def connection_options(settings: Settings, *, time_limits: bool) -> dict[str, Any]:
    """What AsyncConnection.connect is called with for a new connection; UnavailableError.

    time_limits: whether the server stops statements after the statement timeout.
    """
    url = settings.database
    statement_timeout = settings.statement_timeout_seconds if time_limits else 0
    given: dict[str, Any] = {
        "host": ",".join(host.name for host in url.hosts),
        "port": ",".join(str(host.port) for host in url.hosts),
        "hostaddr": ",".join(url.addresses),
        "user": url.user,
        "password": url.password,
        "dbname": url.database,
        **_tls(url),
        **url.parameters,
    }
    options: dict[str, Any] = {
        **{name: value for name, value in given.items() if value},
        "connect_timeout": math.ceil(url.connect_seconds(plan.CONNECT_TIMEOUT_SECONDS)),
        "application_name": f"app-{os.getpid()}",
    }
    if plan.TRANSACTION_POOLING or url.transaction_pooling:
        options["prepare_threshold"] = None  # the next transaction may be on a connection that lacks the statement
    else:
        own = f"-c statement_timeout={statement_timeout * 1000:.0f} -c TimeZone=UTC"  # ms, 0 is none
        options["options"] = f"{url.parameters.get('options', '')} {own}".strip()
    return options


def _tls(url: DatabaseUrl) -> dict[str, str | None]:
    verified = url.tls in (Tls.VERIFY_CA, Tls.VERIFY_FULL)
    return {
        "sslmode": url.tls,
        "sslrootcert": url.ca_file or SYSTEM if verified else None,  # libpq would use it with `prefer` too
        "sslcert": url.client_certificate,
        "sslkey": url.client_key,
    }


def refused(error: psycopg.Error) -> RefusedError | None:
    """What the server lacks where it lets nobody in; psycopg 3.3 gives no SQLSTATE of that, and only its words."""
    text = str(error)
    if re.search(r'FATAL: +database ".*" does not exist', text):
        return RefusedError("the server has no such database", "database")
    if re.search(r'FATAL: +(role ".*" does not exist|password authentication failed|no pg_hba.conf entry)', text):
        return RefusedError("the server refuses the role or its password", "role")
    return None
