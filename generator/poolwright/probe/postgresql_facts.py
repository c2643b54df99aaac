"""What a PostgreSQL server says, by asyncpg or psycopg."""

import importlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

Facts = dict[str, Any]
Ask = Callable[[str], Awaitable[Any]]

# M PgBouncer 1.18 refuses what a project whose plan knows of no pooler sends when it connects.
_REFUSED_BY_POOLER = "unsupported startup parameter"

_QUESTION = """
SELECT json_build_object(
    'version', current_setting('server_version'),
    'user', session_user,
    'process', pg_backend_pid(),
    'limit', current_setting('max_connections')::int,
    'server_reserve', current_setting('superuser_reserved_connections')::int
        + coalesce(current_setting('reserved_connections', true), '0')::int,
    'role_limit', (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = session_user),
    'database_limit', (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database()),
    'times', (
        SELECT json_object_agg(name, setting::float / CASE unit WHEN 'ms' THEN 1000 ELSE 1 END)
        FROM pg_settings
        WHERE name IN (
            'statement_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout',
            'client_connection_check_interval'
        )
    ),
    'present', (
        SELECT json_object_agg(application, connections)
        FROM (
            SELECT
                CASE
                    WHEN application_name ~ '^app-[0-9]+$' AND usename = session_user AND datname = current_database()
                    THEN ''
                    ELSE coalesce(nullif(application_name, ''), usename)
                END AS application,
                count(*) AS connections
            FROM pg_stat_activity
            -- Who may not see a session gets no backend_type of it; the server's own have no user or no database.
            WHERE usesysid IS NOT NULL AND datid IS NOT NULL
                AND coalesce(backend_type, 'client backend') = 'client backend'
                AND pid <> pg_backend_pid()
            GROUP BY 1
        ) AS seen
    ),
    'privileges', (
        SELECT json_agg(name)
        FROM pg_roles, LATERAL (
            VALUES
                ('superuser', rolsuper),
                ('CREATEROLE', rolcreaterole AND NOT rolsuper),
                ('CREATEDB', rolcreatedb AND NOT rolsuper),
                ('CREATE in the schema', NOT rolsuper AND has_schema_privilege(current_schema(), 'CREATE')),
                ('owner of tables', NOT rolsuper AND EXISTS (
                    SELECT FROM pg_class
                    WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace
                        AND pg_has_role(relowner, 'USAGE')
                ))
        ) AS held (name, is_held)
        WHERE rolname = current_user AND is_held
    )
)::text
"""


async def gather(settings: Any, driver: str) -> Facts:
    """The facts of the server of DATABASE_URL; raises what the driver and the network raise."""
    connecting: Any = importlib.import_module("app.db.connecting")
    options = connecting.connection_options(settings, time_limits=True)
    connected = _CONNECTED[driver]
    try:
        return await _ask(connected(options))
    except Exception as error:
        if _REFUSED_BY_POOLER not in str(error):
            raise
    return await _ask(connected(_BEHIND_POOLER[driver](options))) | {"statement_timeout_seconds": None}


async def _ask(connected: Any) -> Facts:
    async with connected as (ask, facts):
        found: Facts = json.loads(await ask(_QUESTION))
    times = found.pop("times")
    present: dict[str, int] = found.pop("present") or {}
    return {
        "product": "PostgreSQL",
        **found,
        "privileges": found["privileges"] or [],
        "present": {"own": present.pop("", 0), "others": present},
        "statement_timeout_seconds": times["statement_timeout"],
        "idle_in_transaction_seconds": times["idle_in_transaction_session_timeout"],
        "idle_timeout_seconds": times.get("idle_session_timeout", 0),
        "idle_timeout_name": "idle_session_timeout",
        "crash_check_seconds": times.get("client_connection_check_interval"),  # 14 and newer have it
        # What the handshake called the server's process is invented by a pooler, which has many processes behind it.
        "pooled": facts.pop("process") != found.pop("process"),
        **facts,
    }


@asynccontextmanager
async def _by_asyncpg(options: dict[str, Any]) -> AsyncIterator[tuple[Ask, Facts]]:
    asyncpg: Any = importlib.import_module("asyncpg")

    # Behind a pooler the next statement may be on another connection, but for one transaction.
    connection = await asyncpg.connect(**options | {"statement_cache_size": 0})
    try:
        tls = connection._transport.get_extra_info("ssl_object")
        facts = {
            "process": connection.get_server_pid(),
            "encrypted": tls is not None,
            "verified": tls is not None and bool(tls.context.verify_mode),
        }
        async with connection.transaction(readonly=True):
            yield connection.fetchval, facts
    finally:
        await connection.close(timeout=1)


@asynccontextmanager
async def _by_psycopg(options: dict[str, Any]) -> AsyncIterator[tuple[Ask, Facts]]:
    import psycopg

    async def ask(question: str) -> Any:
        row = await (await connection.execute(question)).fetchone()
        return row[0] if row else None

    connection = await psycopg.AsyncConnection.connect(**options | {"prepare_threshold": None})
    async with connection:
        mode = next((option.val for option in connection.pgconn.info if option.keyword == b"sslmode"), None)
        facts = {
            "process": connection.info.backend_pid,
            "encrypted": bool(connection.pgconn.ssl_in_use),
            "verified": bool(connection.pgconn.ssl_in_use) and mode in (b"verify-ca", b"verify-full"),
        }
        yield ask, facts


_CONNECTED: dict[str, Callable[[dict[str, Any]], Any]] = {"asyncpg": _by_asyncpg, "psycopg": _by_psycopg}

_BEHIND_POOLER: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "asyncpg": lambda options: (
        options | {"server_settings": {"application_name": options["server_settings"]["application_name"]}}
    ),
    "psycopg": lambda options: {name: value for name, value in options.items() if name != "options"},
}
