"""What a MySQL or MariaDB server says, by asyncmy or aiomysql."""

import importlib
import importlib.util
import re
from typing import Any

Facts = dict[str, Any]

_BY_THE_SERVER = ("system user", "event_scheduler")
_CHANGES_MORE_THAN_ROWS = ("ALL PRIVILEGES", "SUPER", "GRANT OPTION", "CREATE USER", "CREATE", "ALTER", "DROP")
# Not there; or a function of that name in the database, which is not there either, may not be called.
_MISSING = {1064, 1305, 1370}
_FUNCTION = re.compile(r"(?:FUNCTION |routine ')(?:\w+\.)?(?P<name>\w+)")
_LOCK = re.compile(r"GET_LOCK\((?P<name>.+), \d+\)")
_JSON_TABLE = "SELECT number FROM JSON_TABLE('[1]', '$[*]' COLUMNS (number BIGINT PATH '$')) AS numbers"
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
            facts["verified"] = facts["encrypted"] and context is not None and bool(context.verify_mode)
            return {**facts, "missing": await _missing(cursor)}
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
    pooled = handshake != connection
    stops_all = is_mariadb or (not pooled and importlib.util.find_spec("app.db.time_limit") is not None)
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
        "statement_timeout_for": "" if stops_all else "SELECT",
        "idle_timeout_seconds": int(idle_timeout),
        "idle_timeout_name": "wait_timeout",
        "encrypted": bool(cipher),
        "privileges": _privileges([str(row[0]) for row in await rows("SHOW GRANTS")]),
        "pooled": pooled,
    }


async def _missing(cursor: Any) -> list[str]:
    """What the project calls and the server does not have: MySQL 9.6 has no MD5(), MariaDB 10.5 no JSON_TABLE."""
    lock: Any = importlib.import_module("app.db.migration_lock")
    missing = []
    for statement in (_LOCK.sub(r"\g<name>", lock.LOCK), _JSON_TABLE):
        try:
            await cursor.execute(statement)
            await cursor.fetchall()
        except Exception as error:
            if not error.args or error.args[0] not in _MISSING:
                raise
            found = _FUNCTION.search(str(error))
            missing.append(found["name"] if found else "JSON_TABLE")
    return missing


def _privileges(grants: list[str]) -> list[str]:
    """Those that let a user change more than rows; a grant's line may hold a password's hash, which stays here."""
    held: set[str] = set()
    for line in grants:
        if found := _GRANT.match(line):
            held |= {name.strip() for name in found["privileges"].split(",")}
        if line.endswith("WITH GRANT OPTION"):
            held.add("GRANT OPTION")
    return [name for name in _CHANGES_MORE_THAN_ROWS if name in held]
