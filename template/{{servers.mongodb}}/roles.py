"""Make the users of this service, as an administrator; run it again to mend them, it changes no password.

    ADMIN_URL=mongodb://admin@HOST/app?authSource=admin uv run python deploy/roles.py

It asks for the administrator's password if the URL has none, and for one for each user that does not exist yet.

app           the service: reads and writes documents, makes and drops nothing
app_migrator  python -m app.migrate: collections, indexes, validators
app_readonly  people and reports

MongoDB cannot limit the connections of a user: the server's own limit (maxIncomingConnections) is the only one. The
server's too, and not a user's, is transactionLifetimeLimitSeconds: README.md says what to set.
"""

import os
from getpass import getpass
from typing import Any

from pymongo import MongoClient
from pymongo.uri_parser import parse_uri

TIMEOUT_SECONDS = 10

ROWS = ["find", "insert", "update", "remove"]
USERS = {"app": ["app_rows"], "app_migrator": ["readWrite", "dbAdmin"], "app_readonly": ["read"]}


def main() -> None:
    url = os.environ["ADMIN_URL"]
    parsed = parse_uri(url)
    given: dict[str, Any] = {"timeoutMS": 1000 * TIMEOUT_SECONDS}
    if parsed["username"] and not parsed["password"]:
        given["password"] = getpass(f"Password of {parsed['username']}: ")
    with MongoClient[dict[str, Any]](url, **given) as client:
        database = client[parsed["database"] or "app"]
        rows = {"resource": {"db": database.name, "collection": ""}, "actions": ROWS}
        exists = database.command("rolesInfo", "app_rows")["roles"]
        database.command(
            "updateRole" if exists else "createRole",
            "app_rows",
            privileges=[rows],
            roles=[],
        )
        for user, roles in USERS.items():
            if database.command("usersInfo", user)["users"]:
                database.command("updateUser", user, roles=roles)
            else:
                database.command("createUser", user, pwd=getpass(f"New password of {user}: "), roles=roles)
            print(f"{user}: {', '.join(roles)}")


if __name__ == "__main__":
    main()
