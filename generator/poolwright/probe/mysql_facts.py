"""What a MySQL or MariaDB server says, by asyncmy or aiomysql."""

import importlib
import re
from typing import Any

Facts = dict[str, Any]

_BY_THE_SERVER = ("system user", "event_scheduler")
_CHANGES_MORE_THAN_ROWS = ("ALL PRIVILEGES", "SUPER", "GRANT OPTION", "CREATE USER", "CREATE", "ALTER", "DROP")
_GRANT = re.compile(r"GRANT (?P<privileges>[A-Z ,()`\w]+?) ON .* TO ")


async def gather(settings: Any, driver: str) -> Facts:
    """The facts of the server of DATABASE_URL; raises what the driver and the network raise."""
    connecting: Any = importlib.import_module("app.db.connecting")
    options: Any = importlib.import_module("app.db.options")
    arguments = options.connection_options(settings, time_limits=True)
    context = arguments.get("ssl")
    connection = await connecting.connect(arguments)
    try:
        async with connection.cursor() as cursor:
            facts = await _ask(cursor, connection.thread_id())
        return {**facts, "verified": facts["encrypted"] and context is not None and bool(context.verify_mode)}
    finally:
        connection.close()


async def _ask(cursor: Any, handshake: int) -> Facts:
    async def rows(question: str) -> list[Any]:
        await cursor.execute(question)
        return list(await cursor.fetchall())

    ((version, limit, role_limit, idle_timeout, connection, user, database),) = await rows(
        "SELECT @@version, @@max_connections, @@max_user_connections, @@wait_timeout, CONNECTION_ID(),"
        " SUBSTRING_INDEX(USER(), '@', 1), DATABASE()"
    )
    is_mariadb = "MariaDB" in version
    # MariaDB's in seconds, MySQL's in milliseconds.
    limit_name, in_a_second = ("max_statement_time", 1) if is_mariadb else ("max_execution_time", 1000)
    ((statement_timeout,),) = await rows(f"SELECT @@{limit_name}")
    ((_, open_connections),) = await rows("SHOW GLOBAL STATUS LIKE 'Threads_connected'")
    ((_, cipher),) = await rows("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
    listed = [row for row in await rows("SHOW PROCESSLIST") if row[0] != connection and row[1] not in _BY_THE_SERVER]
    others: dict[str, int] = {}
    for row in listed:
        if (row[1], row[3]) != (user, database):
            others[row[1]] = others.get(row[1], 0) + 1
    # Without the privilege PROCESS a user sees its own connections only.
    unseen = int(open_connections) - 1 - len(listed)
    if unseen > 0:
        others["other users"] = unseen
    return {
        "product": "MariaDB" if is_mariadb else "MySQL",
        "version": version.partition("-")[0],
        "user": user,
        "limit": int(limit),
        "server_reserve": 0,
        "role_limit": int(role_limit) or None,
        "present": {"own": sum((row[1], row[3]) == (user, database) for row in listed), "others": others},
        "statement_timeout_seconds": float(statement_timeout) / in_a_second,
        "idle_timeout_seconds": int(idle_timeout),
        "idle_timeout_name": "wait_timeout",
        "encrypted": bool(cipher),
        "privileges": _privileges([str(row[0]) for row in await rows("SHOW GRANTS")]),
        "pooled": handshake != connection,
    }


def _privileges(grants: list[str]) -> list[str]:
    """Those that let a user change more than rows; a grant's line may hold a password's hash, which stays here."""
    held: set[str] = set()
    for line in grants:
        if found := _GRANT.match(line):
            held |= {name.strip() for name in found["privileges"].split(",")}
        if line.endswith("WITH GRANT OPTION"):
            held.add("GRANT OPTION")
    return [name for name in _CHANGES_MORE_THAN_ROWS if name in held]
