"""The rendered roles: migrations as the migrator, the service as `app`, reports as `app_readonly`, none as owner."""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pymongo
import pymysql
import pytest

from tests.servers import DATABASES, MongoDB, MySQL, PostgreSQL, Server
from tests.service import Service, environment, migrate
from tests.smoke.layers import Layer
from tests.smoke.traffic import item_fields, new_item, sold

pytestmark = pytest.mark.databases("postgresql", "mysql", "mongodb")

PASSWORD = "secret"  # of each role; PostgreSQL's tests trust who comes from this machine

FORBIDDEN = [
    "CREATE TABLE more (id int)",
    "DROP TABLE items",
    "TRUNCATE TABLE orders",
    "ALTER TABLE items ADD more int",
]
DENIED = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)
INSERT = "INSERT INTO items SELECT * FROM items"


class Roles:
    """A server on which the rendered script was run, twice."""

    def __init__(self, server: Server, project: Path) -> None:
        self.server = server
        self._authority = None if server.certificates is None else str(server.certificates.authority)
        make: Callable[[Path], None] = {
            PostgreSQL: self._make_postgresql,
            MySQL: self._make_mysql,
            MongoDB: self._make_mongodb,
        }[type(server)]
        make(project)

    def _make_postgresql(self, project: Path) -> None:
        assert isinstance(self.server, PostgreSQL)
        self.server.run("CREATE DATABASE app TEMPLATE template0")  # the others' have the roles' privileges already
        for _ in range(2):
            self.server.run_file(project / "deploy/roles.sql", "app")

    def _make_mysql(self, project: Path) -> None:
        assert isinstance(self.server, MySQL)
        for user in ("app", "app_migrator"):
            self.server.run(f"DROP USER {user}@'%'")
        for _ in range(2):
            self.server.run_file(project / "deploy/roles.sql")
        for user in ("app", "app_migrator", "app_readonly"):
            self.server.run(f"ALTER USER {user}@'%%' IDENTIFIED BY %s ACCOUNT UNLOCK", PASSWORD)

    def _make_mongodb(self, project: Path) -> None:
        admin = self.server.url_as("root", PASSWORD, "app") + f"&tls=true&tlsCAFile={self._authority}"
        command = [str(project / ".venv/bin/python"), "deploy/roles.py"]
        given = {**environment("", {}), "ADMIN_URL": admin}
        for typed in (3 * f"{PASSWORD}\n", ""):  # at the second time nothing is asked
            subprocess.run(command, check=True, cwd=project, env=given, input=typed, text=True, start_new_session=True)

    def url(self, user: str) -> str:
        """The URL that a role uses."""
        return self.server.url_as(user, PASSWORD, "app").replace("authSource=admin", "authSource=app")

    @property
    def settings(self) -> dict[str, Any]:
        """What the project needs beside a URL."""
        return {} if self._authority is None else {"DATABASE_CA_FILE": self._authority}

    def most_connections(self, user: str) -> int:
        """The limit of a role on an SQL server."""
        if isinstance(self.server, PostgreSQL):
            ((limit,),) = self.server.ask(f"SELECT rolconnlimit FROM pg_roles WHERE rolname = '{user}'")
        else:
            assert isinstance(self.server, MySQL)
            ((limit,),) = self.server.run("SELECT max_user_connections FROM mysql.user WHERE user = %s", user)
        return int(limit)

    def refused(self, user: str, statement: str) -> bool:
        """Whether the server denies an SQL statement to a role, or for MongoDB a command of that name."""
        if isinstance(self.server, PostgreSQL):
            with psycopg.connect(self.url(user), connect_timeout=5) as connection:
                return raised(DENIED, lambda: connection.execute(statement.encode()))
        if isinstance(self.server, MySQL):
            with (
                pymysql.connect(
                    host="127.0.0.1", port=self.server.port, user=user, password=PASSWORD, database="app"
                ) as session,
                session.cursor() as cursor,
            ):
                return raised(pymysql.err.OperationalError, lambda: cursor.execute(statement), 1142)
        client: pymongo.MongoClient[Any]
        with pymongo.MongoClient(self.url(user), tls=True, tlsCAFile=self._authority, timeoutMS=5000) as client:
            return raised(pymongo.errors.OperationFailure, lambda: client.app.command(statement, "items"), 13)


def raised(
    kind: type[Exception] | tuple[type[Exception], ...], work: Callable[[], object], code: int | None = None
) -> bool:
    try:
        work()
    except kind as error:
        return code is None or code in (getattr(error, "code", None), error.args[0])
    return False


def capacity(project: Path) -> int:
    """The connections that the project's plan leaves for the service."""
    (found,) = re.findall(r"# capacity: .* = (\d+)", (project / "app/plan.py").read_text(encoding="utf-8"))
    return int(found)


@pytest.fixture
def roles(layer: Layer, project: Path) -> Iterator[Roles]:
    # Without passwords MongoDB has no roles.
    server = MongoDB(secured=True) if layer.database == "mongodb" else DATABASES[layer.database]()
    assert isinstance(server, Server)
    with server:
        yield Roles(server, project)


@pytest.mark.each_driver  # every test of a layer runs as these roles
def test_each_role_can_do_its_work_and_no_more(roles: Roles, project: Path) -> None:
    for _ in range(2):
        migrate(project, roles.url("app_migrator"), **roles.settings)
    service = Service(project, roles.url("app"), **roles.settings)
    try:
        with service.client() as client:
            assert client.get("/readyz").status_code == 200
            item = new_item(client, price_cents=5, stock=3)
            assert client.patch(f"/items/{item['id']}", json={"stock": 2}).status_code == 200
            assert client.put("/items", json=[item_fields(), item_fields()]).json() == {"written": 2}
            assert client.post("/orders", json={"item_id": item["id"], "quantity": 2}).status_code == 201
            assert sold(client) == 10
            others = [other for other in client.get("/items").json() if other["id"] != item["id"]]
            assert [client.delete(f"/items/{other['id']}").status_code for other in others] == [204, 204]
    finally:
        service.stop()
    if isinstance(roles.server, MongoDB):
        assert roles.refused("app", "drop")
        assert roles.refused("app", "collMod")
        assert roles.refused("app_readonly", "drop")
        assert not roles.refused("app_readonly", "count")
    else:
        assert [statement for statement in FORBIDDEN if not roles.refused("app", statement)] == []
        assert roles.refused("app_readonly", INSERT)
        assert not roles.refused("app_readonly", "SELECT count(*) FROM items")
        if isinstance(roles.server, PostgreSQL):
            versions = {"alembic_version", "schema_versions", "tortoise_migrations"}
            with psycopg.connect(roles.url("app")) as connection:
                tables = {name for (name,) in connection.execute("SELECT tablename FROM pg_tables").fetchall()}
            (table,) = versions & tables
            assert roles.refused("app", f"DELETE FROM {table}")
            assert not roles.refused("app", f"SELECT count(*) FROM {table}")
            ((settings,),) = roles.server.ask("SELECT rolconfig FROM pg_roles WHERE rolname = 'app'")
            assert "client_connection_check_interval=1s" in settings
        assert roles.most_connections("app") == capacity(project)  # what the plan reserves stays free
