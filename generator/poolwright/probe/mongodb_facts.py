"""What a MongoDB server says, by PyMongo or Motor."""

import importlib
import os
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

Facts = dict[str, Any]

_LIFETIME = "transactionLifetimeLimitSeconds"
_REFUSED = {13, 59, 115, 8000}  # unauthorized, unknown, not supported, not on this tier of Atlas
_MILLISECONDS = 5000  # of an operation, finding a server included
# app_rows: of the project's deploy/roles.py
_WRITES_ROWS_ONLY = {"app_rows", "read", "readWrite", "readAnyDatabase", "readWriteAnyDatabase", "clusterMonitor"}
_UNVERIFIED = {"tlsInsecure", "tlsAllowInvalidCertificates", "tlsAllowInvalidHostnames"}


async def gather(settings: Any, driver: str) -> Facts:
    """The facts of the server of DATABASE_URL; raises what the driver and the network raise."""
    from pymongo.errors import ServerSelectionTimeoutError

    connection: Any = importlib.import_module("app.db.connection")
    options = connection.client_options(settings, time_limits=True)
    # Longer than requests wait: before the driver has tried once it says no more than that it found nobody.
    options |= {"timeoutMS": _MILLISECONDS, "serverSelectionTimeoutMS": _MILLISECONDS}
    url = urlsplit(settings.url)
    query = dict(parse_qsl(url.query))
    try:
        async with connection.short_lived_client(settings.url, **options) as client:
            facts = await _ask(client.admin)
    except ServerSelectionTimeoutError as error:
        if "replica set" not in str(error):
            raise
        # It is none, or another one, which the driver does not use.
        others = urlencode([pair for pair in parse_qsl(url.query) if pair[0] != "replicaSet"])
        async with connection.short_lived_client(url._replace(query=others).geturl(), **options) as client:
            facts = await _ask(client.admin)
    encrypted = bool(options.get("tls")) or "true" in (query.get("tls"), query.get("ssl"))
    verified = encrypted and not any(query.get(name) == "true" or options.get(name) for name in _UNVERIFIED)
    asked = query.get("replicaSet", "")
    return {**facts, "encrypted": encrypted, "verified": verified, "replica_set_asked": asked}


async def _ask(admin: Any) -> Facts:
    hello = await admin.command("hello")
    built = await admin.command("buildInfo")
    status = await admin.command("connectionStatus")
    users = status["authInfo"]["authenticatedUsers"]
    roles = {role["role"] for role in status["authInfo"]["authenticatedUserRoles"]}
    without_most = dict.fromkeys(("metrics", "repl", "wiredTiger", "locks", "opcounters"), 0)
    counted = (await _if_allowed(admin, {"serverStatus": 1, **without_most}) or {}).get("connections")
    facts: Facts = {
        "product": "MongoDB",
        "version": built["version"],
        "user": users[0]["user"] if users else "",
        "limit": counted and counted["current"] + counted["available"],
        "server_reserve": 0,
        "privileges": sorted(roles - _WRITES_ROWS_ONLY) if users else ["everything: access is not controlled"],
        "replica_set": hello.get("setName") or ("sharded cluster" if hello.get("msg") == "isdbgrid" else None),
    }
    if hello.get("msg") != "isdbgrid":  # the front of a sharded cluster has no such parameter
        lifetime = await _if_allowed(admin, {"getParameter": 1, _LIFETIME: 1})
        facts["transaction_lifetime_seconds"] = lifetime and lifetime[_LIFETIME]
    if counted:
        facts["present"] = await _present(admin, counted["current"])
    return facts


async def _present(admin: Any, current: int) -> Facts:
    pipeline = [
        {"$currentOp": {"allUsers": True, "idleConnections": True}},
        {"$match": {"connectionId": {"$exists": True}}},
        {"$group": {"_id": {"application": "$appName", "connection": "$connectionId"}}},
        {"$group": {"_id": "$_id.application", "connections": {"$sum": 1}}},
    ]
    seen = await _if_allowed(admin, {"aggregate": 1, "pipeline": pipeline, "cursor": {"batchSize": 10_000}})
    if seen is None:
        return {"own": None, "others": {"all": current}}
    others = {row["_id"] or "unnamed": row["connections"] for row in seen["cursor"]["firstBatch"]}
    others.pop(f"app-{os.getpid()}", None)  # this client
    own = sum(others.pop(name) for name in list(others) if re.fullmatch(r"app-[0-9]+", name))
    return {"own": own, "others": others}


async def _if_allowed(admin: Any, command: Facts) -> Facts | None:
    from pymongo.errors import OperationFailure

    try:
        answer: Facts = await admin.command(command)
    except OperationFailure as error:
        if error.code not in _REFUSED:
            raise
        return None
    return answer
