"""How asyncpg connects."""

import asyncio
import os
import socket
from dataclasses import replace
from typing import Any

import asyncpg

from app import plan
from app.database_url import DatabaseUrl, Tls
from app.settings import Settings

_SOCKET_OPTIONS = {
    "keepalives_idle": "TCP_KEEPIDLE",
    "keepalives_interval": "TCP_KEEPINTVL",
    "keepalives_count": "TCP_KEEPCNT",
    "tcp_user_timeout": "TCP_USER_TIMEOUT",
}


def connection_options(settings: Settings, *, time_limits: bool) -> dict[str, Any]:
    """What asyncpg.connect is called with for a new connection; UnavailableError.

    time_limits: whether statements are stopped, by the server after the statement timeout and here a little later.
    """
    return _options(settings, settings.database, time_limits)


def _options(settings: Settings, url: DatabaseUrl, time_limits: bool) -> dict[str, Any]:
    statement_timeout = settings.statement_timeout_seconds if time_limits else 0
    server_settings = {"application_name": f"app-{os.getpid()}"}
    options: dict[str, Any] = {
        **_address(url),
        "user": url.user or None,
        "password": url.password or None,
        "database": url.database or None,
        "timeout": url.connect_seconds(plan.CONNECT_TIMEOUT_SECONDS),
        "command_timeout": settings.command_timeout_seconds if time_limits else None,
        "target_session_attrs": url.parameters.get("target_session_attrs"),
        "server_settings": server_settings,
        **_tls(url),
    }
    if "options" in url.parameters:
        server_settings["options"] = url.parameters["options"]
    if is_pooled(url):
        options["statement_cache_size"] = 0  # the next transaction may be on a connection that lacks the statement
    else:
        server_settings["statement_timeout"] = f"{statement_timeout * 1000:.0f}"  # ms, 0 is none
    return options


def is_pooled(url: DatabaseUrl) -> bool:
    """Whether a pooler stands between that lends a connection for one transaction only."""
    return plan.TRANSACTION_POOLING or url.transaction_pooling


async def connect(settings: Settings, *, time_limits: bool, **others: Any) -> Any:
    """Open a connection with what the URL says now; raises what asyncpg and the network raise, UnavailableError.

    others: further arguments of asyncpg.connect.
    """
    url = settings.database
    opening = asyncio.ensure_future(asyncpg.connect(**_options(settings, url, time_limits), **others))
    try:
        connection = await asyncio.shield(opening)
    except asyncio.CancelledError:
        # It goes on and is closed then: cancelled before TLS is agreed, asyncpg 0.32 leaves an error in the event loop
        # that nobody reads ("Future exception was never retrieved").
        opening.add_done_callback(_close)
        raise
    _keep_alive(connection, url)
    return connection


def _close(opening: "asyncio.Future[Any]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().terminate()


def _address(url: DatabaseUrl) -> dict[str, Any]:
    if not url.hosts and not url.addresses:
        return {}
    names = [host.name for host in url.hosts]
    if url.addresses and not (names and url.tls is Tls.VERIFY_FULL):  # asyncpg verifies the name that it connects to
        names = list(url.addresses)
    return {"host": names, "port": [host.port for host in url.hosts] or 5432}


def _tls(url: DatabaseUrl) -> dict[str, Any]:
    parameters = url.parameters
    if parameters.get("channel_binding") == "require" and url.leads_away:
        # It proves that nobody stands between. asyncpg 0.32 does not have it; the server's certificate proves the same.
        url = replace(url, tls=Tls.VERIFY_FULL)
    if url.tls in (Tls.OFF, Tls.ALLOW, Tls.PREFER):
        return {"ssl": url.tls.value}
    options: dict[str, Any] = {"ssl": url.tls_context()}
    if parameters.get("sslnegotiation") == "direct":
        options["direct_tls"] = True
    return options


def _keep_alive(connection: Any, url: DatabaseUrl) -> None:
    """Set what libpq sets on the connection's socket by these parameters of the URL, where it has any."""
    asked = {name: int(url.parameters[name]) for name in _SOCKET_OPTIONS if name in url.parameters}
    if url.parameters.get("keepalives") == "0" or not asked.keys() | {"keepalives"} & url.parameters.keys():
        return
    with socket.socket(fileno=os.dup(connection._transport.get_extra_info("socket").fileno())) as opened:
        if opened.family is socket.AF_UNIX:
            return
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in asked.items():
            if (option := getattr(socket, _SOCKET_OPTIONS[name], None)) is not None:  # not every system has all
                opened.setsockopt(socket.IPPROTO_TCP, option, value)
