"""roles.sql on managed servers, whose first user is no superuser."""

from pathlib import Path

import psycopg
import pymysql
import pytest

from poolwright.render import render_project
from tests.servers import MySQL, OracleMySQL, PostgreSQL
from tests.servers.base import with_user
from tests.service import install, migrate
from tests.smoke.test_roles import DENIED

pytestmark = pytest.mark.xdist_group("managed-roles")  # one process unpacks the other versions

DRIVERS = {"postgresql": "asyncpg", "mysql": "asyncmy"}
# What Amazon RDS gives its first user, without SUPER and what replaces it.
# D https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.MasterAccounts.html (2026-11)
MYSQL_PRIVILEGES = """
    SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER, SHOW DATABASES,
    CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, REPLICATION SLAVE, REPLICATION CLIENT, CREATE VIEW, SHOW VIEW,
    CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER
"""


@pytest.fixture
def project(request: pytest.FixtureRequest, tmp_path: Path, packages: Path) -> Path:
    """Of PostgreSQL, or of the database that a test names."""
    database = getattr(request, "param", "postgresql")
    answers = {"project_name": "managed", "database": database, "style": "raw", "driver": DRIVERS[database]}
    render_project(answers, tmp_path / "project")
    install(tmp_path / "project", packages / "plain")
    return tmp_path / "project"


@pytest.mark.parametrize(
    ("version", "is_superuser"),  # None: the version of this machine
    [(None, True), (None, False), (16, False), (18, False)],
    ids=["superuser", "first-user", "first-user-16", "first-user-18"],
)
def test_the_roles_are_made_and_can_do_their_work_and_no_more(
    version: int | None, is_superuser: bool, project: Path
) -> None:
    with PostgreSQL(version=version, has_roles=False) as server:
        user = "first" if not is_superuser else "postgres"
        server.run("CREATE ROLE first LOGIN CREATEROLE CREATEDB; CREATE ROLE bystander LOGIN")
        server.run(f"CREATE DATABASE app OWNER {user}")
        for _ in range(2):
            server.run_file(project / "deploy/roles.sql", "app", user)
        for _ in range(2):
            migrate(project, server.url("app"))
        server.run_file(project / "deploy/roles.sql", "app", user)  # once more, when there are tables

        def refuses(role: str, statement: str, database: str = "app") -> bool:
            try:
                with psycopg.connect(with_user(server.url(database), role), autocommit=True) as connection:
                    connection.execute(statement.encode())
            except DENIED:
                return True
            except psycopg.OperationalError as error:
                return "permission denied for database" in str(error)
            return False

        assert not refuses("app", "SELECT count(*) FROM items")
        assert not refuses("app_readonly", "SELECT count(*) FROM items")
        assert not refuses("app_migrator", "CREATE TABLE more (id int); DROP TABLE more; CREATE SCHEMA other")
        assert refuses("app", "CREATE TABLE more (id int)")
        assert refuses("app", "SET ROLE app_owner")
        assert refuses("app", "DELETE FROM schema_versions")
        assert refuses("app_readonly", "DELETE FROM items")
        assert refuses("app_migrator", "DROP DATABASE app", database="postgres")
        assert refuses("bystander", "SELECT 1")
        if not is_superuser:
            assert refuses("first", "SET ROLE app_owner")  # it was lent for as long as the script ran


def test_a_database_that_earlier_roles_own_is_taken_back(project: Path) -> None:
    """Who ran roles.sql of 0.4.0 and before has one that the migrator could drop."""
    with PostgreSQL(has_roles=False) as server:
        server.run("CREATE DATABASE app")
        server.run_file(project / "deploy/roles.sql", "app")
        server.run("ALTER DATABASE app OWNER TO app_owner")
        server.run_file(project / "deploy/roles.sql", "app")
        assert server.ask("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'app'") == [("postgres",)]


@pytest.mark.parametrize("project", ["mysql"], indirect=True)
@pytest.mark.parametrize("kind", [MySQL, OracleMySQL])
def test_mysql_s_users_are_made_by_who_is_not_super(kind: type[MySQL], project: Path) -> None:
    with kind() as server:
        for user in ("app", "app_migrator"):
            server.run(f"DROP USER {user}@'%'")
        server.run("CREATE USER first@'%'")
        server.run(f"GRANT {MYSQL_PRIVILEGES} ON *.* TO first@'%' WITH GRANT OPTION")
        for _ in range(2):
            server.run_file(project / "deploy/roles.sql", "first")
        for user in ("app", "app_migrator", "app_readonly"):
            server.run(f"ALTER USER {user}@'%%' IDENTIFIED BY %s ACCOUNT UNLOCK", "secret")
        for _ in range(2):
            migrate(project, server.url_as("app_migrator", "secret", "app"))
        with (
            pymysql.connect(
                host="127.0.0.1", port=server.port, user="app", password="secret", database="app"
            ) as session,
            session.cursor() as cursor,
        ):
            cursor.execute("SELECT count(*) FROM items")
            for statement in ("CREATE TABLE more (id int)", "DROP TABLE items"):
                with pytest.raises(pymysql.err.OperationalError, match="denied"):
                    cursor.execute(statement)
