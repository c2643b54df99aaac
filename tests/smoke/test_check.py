"""`poolwright check` on real servers: what is as planned is fine, and each fault is told in its row."""

import contextlib
import io
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pymongo
import pymysql
import pytest

from poolwright.cli import run as run_command_line
from poolwright.questions import evaluate
from tests.processes import Process, free_port
from tests.servers import MongoDB, MySQL, PgBouncer, PostgreSQL, Redis, Server
from tests.servers.base import migrator_url
from tests.servers.mongodb import mongod
from tests.service import environment, install
from tests.smoke.layers import Layer, render

PASSWORD = "p@s:s/w?o#r%d%41"
SMALL_LIMIT = 25

Row = dict[str, Any]


@dataclass(frozen=True)
class Checked:
    """How `poolwright check --json` ended; `rows` by what they compare."""

    code: int
    rows: dict[str, Row]
    out: str
    err: str

    def problems(self) -> list[str]:
        return [what for what, row in self.rows.items() if row["verdict"] == "problem"]


def run(project: Path, url: str, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """The command in this process, which saves its start; the probe that asks the server has one of its own."""
    variables = environment(url, settings) | {"COLUMNS": "80"}
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in os.environ.keys() - variables.keys():
            patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value)
        code = run_command_line(["check", str(project), *arguments])
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def check(project: Path, url: str, **settings: object) -> Checked:
    done = run(project, url, "--json", **settings)
    told = json.loads(done.stdout)
    assert told["schema_version"] == 1, done.stderr
    return Checked(done.returncode, {row["what"]: row for row in told.get("rows", [])}, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def small_server(layer: Layer) -> Iterator[PostgreSQL | MySQL]:
    """A server with fewer connections than the plan has."""
    with PostgreSQL(SMALL_LIMIT) if layer.database == "postgresql" else MySQL(SMALL_LIMIT) as made:
        yield made


@pytest.fixture
def other_project(layer: Layer, project: Path, tmp_path: Path) -> Callable[..., Path]:
    """Renders the layer's project with other answers, which need the same packages."""

    def make(**answers: object) -> Path:
        directory = tmp_path / "other"
        render(layer, directory, **answers)
        (directory / ".venv").symlink_to(project / ".venv")
        return directory

    return make


@contextlib.contextmanager
def connections(server: PostgreSQL | MySQL, database: str, count: int, user: str, name: str) -> Iterator[None]:
    """That many connections of somebody."""
    with ExitStack() as stack:
        for _ in range(count):
            if isinstance(server, PostgreSQL):
                url = server.url(database).replace("app@", f"{user}@")
                stack.enter_context(psycopg.connect(url, application_name=name))
            else:
                password = "secret" if user == "app" else ""
                stack.enter_context(
                    pymysql.connect(host=server.host, port=server.port, user=user, password=password, database=database)
                )
        yield


ADMINISTRATOR = {PostgreSQL: "postgres", MySQL: "root"}


def test_a_server_as_planned_is_fine(layer: Layer, project: Path, server: Server, database: str) -> None:
    checked = check(project, server.url(database))
    assert (checked.code, checked.problems()) == (0, []), checked.out
    plan = evaluate(vars(layer)).values
    processes, each = plan["processes"], plan["connections_per_process"]
    assert checked.rows["pools"]["found"] == f"{processes} x {each} = {plan['planned_total']}"
    if layer.database in ("postgresql", "mysql"):
        assert checked.rows["limit"]["found"] == plan["server_limit"]
        assert checked.rows["pooler"]["found"] == "none"
        assert checked.rows["statement timeout"]["found"] == "15 s"
    if layer.database == "mongodb":
        assert checked.rows["replica set"]["found"] == "rs0"
    if layer.database == "sqlite":
        assert checked.rows["journal mode"]["found"] == "wal"
    if "privileges" in checked.rows:
        assert checked.rows["privileges"]["verdict"] == "ok"
    assert json.loads(checked.out)["ok"] is True
    assert json.loads(checked.out)["answers"]["driver"] == layer.driver


@pytest.mark.each_database
def test_the_table_says_what_the_json_says(project: Path, server: Server, database: str) -> None:
    done = run(project, server.url(database), POOL_SIZE=20_000)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in done.stdout
    assert any(line.startswith("pools ") and line.rstrip().endswith("problem") for line in lines)
    told = " ".join(done.stdout.split())
    for row in check(project, server.url(database), POOL_SIZE=20_000).rows.values():
        assert row["what"] in told
        if row["verdict"] != "ok":
            assert f"{row['verdict']}: {row['what']} {' '.join(row['advice'].split())}" in told
    assert lines[-1].startswith("1 problem")


@pytest.mark.each_database
@pytest.mark.databases("postgresql", "mysql")
def test_a_limit_below_the_plan_is_a_problem(layer: Layer, project: Path, small_server: PostgreSQL | MySQL) -> None:
    checked = check(project, small_server.url(small_server.create_database()))
    assert (checked.code, checked.problems()) == (1, ["limit"]), checked.out
    row = checked.rows["limit"]
    assert row["found"] == SMALL_LIMIT
    plan = evaluate({**vars(layer), "max_connections": SMALL_LIMIT}).values
    assert f"answer max_connections=25, which gives each process {plan['connections_per_process']}." in row["advice"]
    least = evaluate(vars(layer)).values["planned_total"] + sum(plan["server_reserved"].values())
    assert f"Raise it to {least} on the server" in row["advice"]


@pytest.mark.each_database
@pytest.mark.databases("postgresql", "mysql")
def test_a_role_limit_below_the_plan_is_a_problem(
    layer: Layer, project: Path, server: PostgreSQL | MySQL, database: str
) -> None:
    user = server.create_user("secret")
    server.limit_connections(user, 59)
    url = server.url_as(user, "secret", database)
    checked = check(project, url)
    assert (checked.code, checked.problems()) == (1, ["role limit"]), checked.out
    assert checked.rows["role limit"]["found"] == 59
    server.limit_connections(user, 60)
    assert check(project, url).code == 0


@pytest.mark.each_database
@pytest.mark.databases("postgresql")
def test_a_database_s_limit_counts_like_a_role_s(project: Path, server: PostgreSQL) -> None:
    name = server.create_database()
    server.run(f"ALTER DATABASE {name} CONNECTION LIMIT 10")
    assert check(project, server.url(name)).problems() == ["role limit"]


@pytest.mark.each_database
@pytest.mark.databases("postgresql")
def test_what_the_server_keeps_back_is_counted(project: Path, own_server: PostgreSQL) -> None:
    name = own_server.create_database()
    own_server.run("ALTER SYSTEM SET superuser_reserved_connections = 29")  # 100 - 29 - 12 = 59
    own_server.stop()
    own_server.start()
    checked = check(project, own_server.url(name))
    assert (checked.code, checked.problems()) == (1, ["server reserve"])
    assert (checked.rows["server reserve"]["planned"], checked.rows["server reserve"]["found"]) == (3, 29)


@pytest.mark.each_database
@pytest.mark.databases("postgresql", "mysql")
def test_connections_of_others_count(layer: Layer, project: Path, own_server: PostgreSQL | MySQL) -> None:
    database = own_server.create_database()
    plan = evaluate(vars(layer)).values
    spare = plan["server_limit"] - plan["server_reserved"]["server"] - plan["planned_total"]
    for count, verdict in ((12, "ok"), (13, "warning"), (spare, "warning"), (spare + 1, "problem")):
        with connections(own_server, database, count, ADMINISTRATOR[type(own_server)], "psql"):
            row = check(project, own_server.url(database)).rows["connections now"]
        assert row["verdict"] == verdict, row
        assert row["found"].startswith(f"0 app, {count} others (")
    assert row["advice"].endswith(f"Answer reserve={spare + 1}.")


@pytest.mark.each_database
@pytest.mark.databases("postgresql", "mysql")
def test_more_connections_of_the_app_than_planned_are_a_problem(project: Path, own_server: PostgreSQL | MySQL) -> None:
    database = own_server.create_database()
    with connections(own_server, database, 61, "app", "app-1"):
        checked = check(project, own_server.url(database))
    assert (checked.code, checked.problems()) == (1, ["connections now"])
    assert checked.rows["connections now"]["found"].startswith("61 app, 0 others")


@pytest.mark.each_database
def test_a_pool_that_the_environment_enlarges_is_a_problem(project: Path, server: Server, database: str) -> None:
    checked = check(project, server.url(database), POOL_SIZE=20_000)
    assert (checked.code, checked.problems()) == (1, ["pools"])
    checked = check(project, server.url(database), POOL_SIZE=1, MAX_OVERFLOW=0)
    assert (checked.code, checked.rows["pools"]["verdict"]) == (0, "warning")


@pytest.mark.each_database
@pytest.mark.databases("postgresql", "mysql", "mongodb")
def test_who_may_do_anything_is_warned(project: Path, server: Server, database: str) -> None:
    url = server.url(database)
    if isinstance(server, PostgreSQL):
        url = url.replace("app@", "postgres@")
    elif isinstance(server, MySQL):
        url = url.replace("app:secret@", "root@")
    else:
        url = server.url_as("root", "secret", database)
    checked = check(project, url)
    assert checked.code == 0
    row = checked.rows["privileges"]
    assert row["verdict"] == "warning"
    assert any(word in row["found"] for word in ("superuser", "ALL PRIVILEGES", "root"))


@pytest.mark.each_database
@pytest.mark.databases("postgresql")
def test_a_role_that_changes_rows_only_is_fine(project: Path, server: PostgreSQL, new_database: str) -> None:
    user = server.create_user("secret")
    server.run(f"REVOKE app FROM {user}")
    server.run(f"GRANT CONNECT ON DATABASE {new_database} TO {user}")
    with psycopg.connect(migrator_url(server.url(new_database))) as connection:
        connection.execute(f"GRANT USAGE ON SCHEMA public TO {user}".encode())
        connection.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {user}".encode())
    checked = check(project, server.url_as(user, "secret", new_database))
    assert (checked.rows["privileges"]["verdict"], checked.code) == ("ok", 0)


@pytest.mark.each_driver
@pytest.mark.databases("postgresql")
def test_a_server_that_does_not_notice_a_crash_is_warned(project: Path, server: PostgreSQL, database: str) -> None:
    user = server.create_user("secret")
    url = server.url_as(user, "secret", database)
    unaware = check(project, url).rows["crashed process"]
    assert (unaware["verdict"], unaware["found"]) == ("warning", "not noticed")
    server.run(unaware["advice"].splitlines()[1])
    aware = check(project, url).rows["crashed process"]
    assert (aware["verdict"], aware["found"]) == ("ok", "noticed in 1 s")


@pytest.mark.each_driver
@pytest.mark.databases("mongodb")
def test_transactions_that_outlive_their_process_are_warned(project: Path, server: MongoDB, database: str) -> None:
    assert check(project, server.url(database)).rows["transaction lifetime"]["found"] == "not shown"
    row = check(project, server.url_as("root", "secret", database)).rows["transaction lifetime"]
    assert (row["planned"], row["found"], row["verdict"]) == ("at most 20 s", "60 s", "warning")
    assert row["advice"].splitlines()[1] == "mongod --setParameter transactionLifetimeLimitSeconds=20"


@pytest.mark.each_database
@pytest.mark.databases("postgresql", "mysql")
def test_an_idle_timeout_below_the_recycle_time_is_a_problem(
    project: Path, server: PostgreSQL | MySQL, database: str
) -> None:
    url = server.url(database)
    with ExitStack() as stack:
        if isinstance(server, PostgreSQL):
            user = server.create_user("secret")
            server.run(f"ALTER ROLE {user} SET idle_session_timeout = '600s'")
            url = server.url_as(user, "secret", database)
        else:
            connection = stack.enter_context(pymysql.connect(host=server.host, port=server.port, user="root"))
            cursor = stack.enter_context(connection.cursor())
            cursor.execute("SET GLOBAL wait_timeout = 600")
            stack.callback(cursor.execute, "SET GLOBAL wait_timeout = 28800")
        checked = check(project, url)
        assert (checked.code, checked.problems()) == (1, ["idle timeout"])
        assert "POOL_RECYCLE_SECONDS=480" in checked.rows["idle timeout"]["advice"]
        assert check(project, url, POOL_RECYCLE_SECONDS=480).code == 0


@pytest.mark.each_driver
@pytest.mark.databases("postgresql", "mysql", "mongodb")
def test_tls_and_passwords(project: Path, secured_server: Server) -> None:
    certificates = secured_server.certificates
    assert certificates is not None
    name = secured_server.create_database()
    url = secured_server.url_as(secured_server.create_user(PASSWORD), PASSWORD, name)
    wrong = secured_server.url_as(secured_server.create_user("another"), PASSWORD, name)
    trusted = check(project, url, DATABASE_CA_FILE=certificates.authority)
    assert (trusted.code, trusted.rows["TLS"]["found"]) == (0, "verified"), trusted.out
    refused = {
        "strange": check(project, url, DATABASE_CA_FILE=certificates.stranger),
        "wrong password": check(project, wrong, DATABASE_CA_FILE=certificates.authority),
    }
    for checked in refused.values():
        assert (checked.code, checked.problems()) == (1, ["connection"]), checked.out
    assert refused["strange"].rows["connection"]["found"].startswith("TLS failed: ")
    verbose = run(project, wrong, "-v", DATABASE_CA_FILE=certificates.authority)
    unescaped = run(project, url.replace("p%40s%3As%2Fw%3Fo%23r%25d%2541", PASSWORD))
    assert unescaped.returncode == 2
    assert "percent-encode" in unescaped.stderr
    away = run(project, url.replace(str(secured_server.port), str(free_port())))
    assert away.returncode == 5
    for done in (trusted, *refused.values()):
        assert_no_password(done.out + done.err)
    for finished in (verbose, unescaped, away):
        assert_no_password(finished.stdout + finished.stderr)


def assert_no_password(text: str) -> None:
    for piece in (PASSWORD, "p%40s", "s/w?o", "w%3Fo", "r%d%41", "rdA", "p@s"):
        assert piece not in text


@pytest.mark.each_driver
@pytest.mark.databases("postgresql", "mysql", "mongodb")
def test_a_server_that_asks_for_tls_is_no_server_that_is_away(
    layer: Layer, project: Path, secured_server: Server
) -> None:
    url = secured_server.url_as(secured_server.create_user("secret"), "secret", secured_server.create_database())
    checked = check(project, url)
    if layer.database == "postgresql":  # whose drivers use TLS where the server asks for it, and verify nothing
        assert (checked.code, checked.rows["TLS"]["verdict"]) == (0, "warning")
    else:
        assert (checked.code, checked.problems()) == (1, ["connection"])
        assert "DATABASE_CA_FILE" in checked.rows["connection"]["advice"]


@pytest.mark.each_database
@pytest.mark.databases("postgresql", "mysql")
def test_it_reads_urls_as_the_project_does(project: Path, server: PostgreSQL | MySQL, secured_server: Server) -> None:
    name = server.create_database()
    if isinstance(server, PostgreSQL):
        url = f"postgres:///{name}?host={server.socket_folder}&port={server.port}&user=app&application_name=x\n"
        asked, local = ("sslmode=require", "sslmode=verify-ca"), f"{server.socket_folder}/.s.PGSQL.{server.port}"
    else:
        url, local = f"mariadb+asyncmy://app:secret@/{name}?socket={server.socket}&charset=utf8\n", str(server.socket)
        asked = ("ssl-mode=REQUIRED", "ssl-mode=VERIFY_CA")
    checked = check(project, url)
    assert (checked.code, json.loads(checked.out)["server"]["address"]) == (0, local), checked.out
    unknown = run(project, f"{server.url(name)}?pool_size=5")
    assert (unknown.returncode, "pool_size: set POOL_SIZE" in unknown.stderr) == (2, True)
    certificates = secured_server.certificates
    assert certificates is not None
    secured = secured_server.url(secured_server.create_database()).replace("@localhost:", "@127.0.0.1:")
    assert check(project, f"{secured}?{asked[0]}").rows["TLS"]["found"] == "not verified"
    verified = check(project, f"{secured}?{asked[1]}", DATABASE_CA_FILE=certificates.authority)
    assert verified.rows["TLS"]["found"] == "verified", verified.out


@pytest.mark.each_driver
@pytest.mark.databases("postgresql", "mysql", "mongodb")
def test_a_server_that_is_away_or_frozen_exits_5(project: Path, own_server: Server) -> None:
    url = own_server.url("app")
    own_server.freeze()
    try:
        frozen = run(project, url, "--json")
    finally:
        own_server.kill()
    for done in (frozen, run(project, url, "--json")):
        assert done.returncode == 5, done.stdout
        told = json.loads(done.stdout)
        assert told["exit_code"] == 5
        assert f":{own_server.port} cannot be reached" in told["error"]


@pytest.mark.each_database
@pytest.mark.databases("mysql")
def test_a_socket_is_on_this_machine_and_can_be_away_too(project: Path, own_server: MySQL) -> None:
    socket = own_server.socket
    url = own_server.url(own_server.create_database()) + f"?unix_socket={socket}"
    fine = check(project, url)
    assert (fine.code, fine.rows["TLS"]["planned"]) == (0, "not needed"), fine.out
    assert json.loads(fine.out)["server"]["address"] == str(socket)
    own_server.kill()
    away = run(project, url)
    assert (away.returncode, f"{socket} cannot be reached" in away.stderr) == (5, True)


@pytest.mark.each_driver
@pytest.mark.databases("postgresql")
def test_a_pooler_in_the_path(project: Path, own_server: PostgreSQL, other_project: Callable[..., Path]) -> None:
    pooled = other_project(pooler="pgbouncer")
    name = own_server.create_database()
    pgbouncer = PgBouncer(pooled / "deploy" / "pgbouncer.ini", own_server, 3)
    try:
        through = own_server.url(name, pgbouncer.port)
        assert check(project, through).problems() == ["pooler"]
        assert check(pooled, through).problems() == ["statement timeout"]
        own_server.run_file(pooled / "deploy" / "roles.sql", name)
        own_server.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
        assert check(pooled, own_server.url(name)).problems() == ["pooler"]
        fine = check(pooled, through)
        assert (fine.code, fine.rows["pooler"]["found"]) == (0, "a pooler"), fine.out
    finally:
        pgbouncer.close()
    session = PgBouncer(None, own_server, 3, pool_mode="session")
    try:
        assert check(pooled, own_server.url(name, session.port)).rows["pooler"]["found"] == "a pooler"
    finally:
        session.close()


@pytest.mark.each_database
@pytest.mark.databases("postgresql", "mysql")
def test_a_replica_has_rows_of_its_own(
    server: Server, database: str, small_server: Server, other_project: Callable[..., Path]
) -> None:
    replicated = other_project(read_replica=True)
    url = server.url(database)
    without = check(replicated, url)
    assert (without.code, without.rows["replica connection"]["verdict"]) == (0, "warning")
    assert check(replicated, url, REPLICA_DATABASE_URL=url).rows["replica limit"]["verdict"] == "ok"
    low = check(replicated, url, REPLICA_DATABASE_URL=small_server.url(small_server.create_database()))
    assert (low.code, low.problems()) == (1, ["replica limit"])
    away = check(replicated, url, REPLICA_DATABASE_URL=server.url(database, port=free_port()))
    assert (away.code, away.problems()) == (1, ["replica connection"])


@pytest.mark.each_database
@pytest.mark.databases("mongodb")
def test_mongodb_needs_the_replica_set_that_the_url_names(
    project: Path, server: Server, database: str, tmp_path: Path
) -> None:
    other = check(project, server.url(database).replace("rs0", "rs1"))
    assert (other.code, other.problems()) == (1, ["replica set"])
    port = free_port()
    command = [mongod(), "--dbpath", str(tmp_path), "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket"]
    standalone = Process([*command, "--maxConns", "60"], log=tmp_path / "log")
    try:
        standalone.wait_for(lambda: "Waiting for connections" in standalone.log(), seconds=30)
        for option in ("", "?replicaSet=rs0"):
            checked = check(project, f"mongodb://127.0.0.1:{port}/app{option}")
            assert (checked.code, checked.problems()) == (1, ["limit", "replica set"]), checked.out
        assert checked.rows["limit"]["found"] == 60
        assert "everything" in checked.rows["privileges"]["found"]
    finally:
        standalone.kill_tree()


@pytest.mark.each_driver
@pytest.mark.databases("mongodb")
def test_mongodb_counts_connections_by_application(project: Path, server: Server, database: str) -> None:
    clients: list[pymongo.MongoClient[dict[str, Any]]] = [
        pymongo.MongoClient(server.url(database), appname=name) for name in ("app-1", "shell")
    ]
    try:
        for client in clients:
            client.admin.command("ping")
        found = check(project, server.url_as("root", "secret", database)).rows["connections now"]["found"]
    finally:
        for client in clients:
            client.close()
    own, _, others = found.partition(" app, ")
    assert int(own) >= 1
    assert "shell " in others


@pytest.mark.each_database
@pytest.mark.databases("sqlite")
def test_a_file_that_is_missing_or_broken_is_a_problem_and_is_not_made(
    project: Path, server: Any, database: str, tmp_path: Path
) -> None:
    missing = tmp_path / "missing.db"
    for path in (missing, tmp_path / "none" / "missing.db"):
        assert check(project, f"sqlite:///{path}").problems() == ["file"]
    assert not missing.exists()
    missing.write_text("no database, and longer than a header of SQLite's: " + 100 * "-")
    broken = check(project, f"sqlite:///{missing}")
    assert (broken.code, broken.problems()) == (1, ["connection"])
    assert broken.rows["connection"]["found"] == "file is not a database"


@pytest.mark.each_database
@pytest.mark.databases("sqlite")
def test_the_url_is_the_one_that_the_app_would_read(
    server: Any, database: str, other_project: Callable[..., Path]
) -> None:
    project = other_project()
    for url, settings in (("", {}), ("mysql://a@b/c", {}), ("", {"DATABASE_URL_FILE": "/nowhere"})):
        done = run(project, url, **settings)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert "The settings of the project cannot be used: " in done.stderr
    (project / ".env").write_text(f"DATABASE_URL={server.url(database)}\n", encoding="utf-8")
    assert check(project, "").code == 0


@pytest.mark.each_database
@pytest.mark.databases("sqlite")
def test_redis_has_rows_of_its_own(layer: Layer, server: Any, database: str, packages: Path, tmp_path: Path) -> None:
    project = tmp_path / "cached"
    render(layer, project, cache="redis")
    install(project, packages / "cached")
    url = server.url(database)
    assert check(project, url).rows["cache connection"]["verdict"] == "warning"
    redis = Redis()
    try:
        redis.start()
        fine = check(project, url, REDIS_URL=redis.url)
        assert (fine.code, fine.rows["cache limit"]["found"]) == (0, 10_000), fine.out
        redis.run("CONFIG", "SET", "maxclients", "49")  # 5 x 8 and 10 for people
        assert check(project, url, REDIS_URL=redis.url).problems() == ["cache limit"]
        redis.kill()
        away = check(project, url, REDIS_URL=redis.url)
        assert (away.code, away.problems()) == (1, ["cache connection"])
    finally:
        redis.close()
