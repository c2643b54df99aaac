"""URLs and credentials against real servers: what a URL says of the way holds, and a refused login is no crash."""

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

import psycopg
import pytest

from tests.processes import wait_until
from tests.servers import MongoDB, MySQL, PostgreSQL, Server
from tests.servers.base import owner_url, with_user
from tests.service import environment, migrate
from tests.smoke.layers import Layer
from tests.smoke.small_pool import POOL_LIMIT, SMALL_POOL
from tests.smoke.traffic import PATIENT, StartService, item_fields, new_item, parallel
from tests.wire import Proxy

PASSWORD, OTHER = "p@s:s/w?o#r%d%41", "another+one"
GROWING_POOL = {"POOL_SIZE": 1, "MAX_OVERFLOW": POOL_LIMIT - 1}

# Settings in, one word a line out: "ok" where the app connects and reads, else the error's class.
CONNECT = """
import asyncio, json, sys
from app.database import Database
from app.settings import read_settings

async def read(settings):
    async with Database(settings) as database, database.repository() as repository:
        await repository.list_items(1, None)

for given in json.load(sys.stdin):
    try:
        asyncio.run(read(read_settings(**given)))
        print("ok")
    except Exception as error:
        print(type(error).__name__)
"""

# The same for a migration.
MIGRATE = """
import asyncio, json, sys
from app.db import migrate
from app.settings import read_settings

for given in json.load(sys.stdin):
    try:
        asyncio.run(migrate(read_settings(**given)))
        print("ok")
    except Exception as error:
        print(type(error).__name__)
"""

# As the rendered tests begin: a database beside the one of the URL, migrated and dropped.
BESIDE = """
import asyncio, json, sys
from app.db import migrate
from app.db.temporary import temporary_database
from app.settings import read_settings

async def run(url):
    async with temporary_database(url) as own:
        await migrate(read_settings(database_url=own))
        print("ok")

for given in json.load(sys.stdin):
    asyncio.run(run(given["database_url"]))
"""

# What a request, the start and a migration meet with each URL.
REFUSED = """
import asyncio, json, os, sys
from uuid import uuid4
from app.database import Database
from app.migrate import main
from app.settings import read_settings

async def ask():
    async with Database(read_settings()) as database:
        try:
            async with database.repository() as repository:
                await repository.get_item(uuid4())
        except Exception as error:
            return getattr(error, "status", repr(error))

for given in json.load(sys.stdin):
    os.environ["DATABASE_URL"] = given["database_url"]
    status = asyncio.run(ask())
    try:
        main()
    except SystemExit as error:
        print(json.dumps([status, str(error.code)]))
"""


def run(project: Path, script: str, settings: Iterable[dict[str, str]]) -> tuple[list[str], str]:
    """The lines that a script prints, and what else the process says."""
    done = subprocess.run(
        [project / ".venv" / "bin" / "python", "-c", script],
        cwd=project,
        env=environment("", {"POOL_TIMEOUT_SECONDS": 1, **SMALL_POOL}),
        input=json.dumps(list(settings)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr


def parameters_and_ends(server: Server) -> list[tuple[str, dict[str, str], bool]]:
    """Parameters of a URL, settings beside it, and whether that connects to a server that asks for TLS.

    The server's certificate is for localhost; with "@" the URL names 127.0.0.1.
    """
    assert server.certificates is not None
    authority, stranger = str(server.certificates.authority), str(server.certificates.stranger)
    trusted, strange = {"database_ca_file": authority}, {"database_ca_file": stranger}
    if isinstance(server, PostgreSQL):
        return [
            ("sslmode=require", {}, True),
            ("sslmode=require&channel_binding=require", {}, True),
            ("sslmode=allow", {}, True),
            ("sslmode=prefer", strange, True),
            ("sslmode=disable", trusted, False),
            ("sslmode=require", strange, False),
            ("@sslmode=verify-ca", trusted, True),
            (f"@sslmode=verify-ca&sslrootcert={authority}", strange, True),
            ("sslmode=verify-ca", strange, False),
            ("@sslmode=verify-full", trusted, False),
            ("sslmode=verify-full", trusted, True),
            ("sslmode=verify-full&sslrootcert=system", {}, False),
            ("ssl=true", {}, False),
            ("ssl=true", trusted, True),
            ("keepalives=1&keepalives_idle=30&keepalives_count=2&tcp_user_timeout=9000", trusted, True),
        ]
    if isinstance(server, MySQL):
        return [
            ("ssl-mode=REQUIRED", {}, True),
            ("ssl-mode=REQUIRED", strange, False),
            ("ssl-mode=DISABLED", trusted, False),
            ("@ssl-mode=VERIFY_CA", trusted, True),
            (f"@ssl-mode=VERIFY_CA&ssl_ca={authority}", strange, True),
            ("@ssl-mode=VERIFY_IDENTITY", trusted, False),
            ("ssl-mode=VERIFY_IDENTITY", trusted, True),
            ("ssl=true", {}, False),
            ("ssl=true", trusted, True),
        ]
    return [
        ("tls=true", {}, False),
        ("ssl=true", trusted, True),
        (f"tls=true&tlsCAFile={authority}", strange, True),
        ("@tls=true", trusted, False),
        ("@tls=true&tlsAllowInvalidHostnames=true", trusted, True),
        ("tls=false", trusted, False),
        ("tlsInsecure=true&tls=true&maxPoolSize=500&minPoolSize=50", {}, True),
    ]


@pytest.mark.each_driver
@pytest.mark.databases("postgresql", "mysql", "mongodb")
def test_the_url_s_own_word_on_tls_holds(project: Path, secured_server: Server) -> None:
    assert secured_server.certificates is not None
    name = secured_server.create_database()
    migrate(project, secured_server.url(name), DATABASE_CA_FILE=secured_server.certificates.authority)
    url = secured_server.url_as(secured_server.create_user(PASSWORD), PASSWORD, name)
    url = url.replace("replicaSet=rs0", "directConnection=true")
    given, ends = [], {}
    for parameters, settings, connects in parameters_and_ends(secured_server):
        there = url.replace("@localhost:", "@127.0.0.1:") if parameters.startswith("@") else url
        there += ("&" if "?" in there else "?") + parameters.removeprefix("@")
        given.append({"database_url": there, **settings})
        ends[f"{parameters} {settings}"] = "ok" if connects else "UnavailableError"
    lines, _ = run(project, CONNECT, given)
    # Where the server asks for TLS, it refuses the login without.
    found = [line.replace("RefusedError", "UnavailableError") for line in lines]
    assert dict(zip(ends, found, strict=True)) == ends


@pytest.mark.each_driver
@pytest.mark.databases("postgresql")
def test_the_search_path_of_the_url_is_where_the_tables_are(project: Path, server: PostgreSQL) -> None:
    names = ["schema=shop", "options=-c search_path=shop", "options=-c%20search_path%3Dshop&pgbouncer=true"]
    databases = [server.create_database() for _ in names]
    for name in databases:
        with psycopg.connect(owner_url(server.url(name))) as connection:
            connection.execute("CREATE SCHEMA shop")
    urls = [f"{owner_url(server.url(name))}?{said}\n" for name, said in zip(databases, names, strict=True)]
    assert run(project, MIGRATE, [{"database_url": url} for url in urls])[0] == ["ok"] * len(names)
    for name in databases:
        with psycopg.connect(owner_url(server.url(name))) as connection:
            assert connection.execute("SELECT to_regclass('shop.items')::text").fetchone() == ("shop.items",)


@pytest.mark.each_driver
@pytest.mark.databases("postgresql", "mysql", "mongodb")
def test_the_tests_make_their_database_whatever_the_url_looks_like(
    project: Path, server: Server, secured_server: Server
) -> None:
    name = server.create_database()
    url = owner_url(server.url(name))
    if isinstance(server, PostgreSQL):
        where = f"host={server.socket_folder}&port={server.port}"
        urls = [f"postgres:///{name}?{where}&user=owner", f"postgresql+asyncpg://owner@/{name}?{where}&sslmode=require"]
        urls += [url + "?target_session_attrs=read-write&application_name=x"]
        urls += [f"postgresql://owner@127.0.0.1:1,127.0.0.1:{server.port}/{name}"]
    elif isinstance(server, MySQL):
        urls = [f"mysql+aiomysql://owner:secret@/{name}?unix_socket={server.socket}", f"{url}?charset=utf8"]
        urls += [url.replace("mysql://", "mariadb://") + "\n"]
    else:
        # Without authSource the user is of the database that the URL names: not of the one beside it.
        assert isinstance(secured_server, MongoDB)
        assert secured_server.certificates is not None
        secured = owner_url(secured_server.url("admin")).replace("&authSource=admin", "")
        secured += f"&tls=true&tlsCAFile={secured_server.certificates.authority}"
        urls = [secured, url + "&minPoolSize=10&readPreference=secondaryPreferred"]
    before = server.databases()
    assert run(project, BESIDE, [{"database_url": url} for url in urls])[0] == ["ok"] * len(urls)
    assert server.databases() == before


@pytest.mark.databases("postgresql", "mysql", "mongodb")
def test_a_refused_login_a_missing_database_or_privilege_is_503_and_one_line_with_the_remedy(
    layer: Layer, project: Path, server: Server, database: str
) -> None:
    user = server.create_user(PASSWORD)
    cases = {server.url_as(user, OTHER, database): {"mysql": "CREATE USER", "mongodb": "createUser"}}
    cases[server.url_as(user, PASSWORD, not_migrated := server.create_database())] = {
        "postgresql": "GRANT CREATE",
        "mysql": "GRANT ALL",
        "mongodb": "grantRolesToUser",
    }
    if not isinstance(server, MongoDB):
        cases[server.url_as(user, PASSWORD, "not_there")] = {"mysql": "CREATE DATABASE", "postgresql": "createdb"}
    lines, said = run(project, REFUSED, [{"database_url": url} for url in cases])
    assert "Traceback" not in said, said
    for line, (url, commands) in zip(lines, cases.items(), strict=True):
        status, message = json.loads(line)
        assert status == 503 or not_migrated in url, line
        assert message.startswith("migrate: "), message
        assert "\n" not in message
        assert commands.get(layer.database, "createuser") in message
        assert OTHER not in message
        assert PASSWORD not in message


@pytest.mark.each_database
@pytest.mark.databases("sqlite")
def test_a_file_that_cannot_be_is_503_and_one_line_and_blanks_are_fine(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "none"
    cases = {f"{folder}/app.db": f"make {folder}", f"{tmp_path}/app.db?mode=rw": "is not made with mode=rw"}
    lines, said = run(project, REFUSED, [{"database_url": f"sqlite:///{case}"} for case in cases])
    assert "Traceback" not in said, said
    for line, remedy in zip(lines, cases.values(), strict=True):
        status, message = json.loads(line)
        assert status == 503
        assert message.startswith("migrate: ")
        assert remedy in message
    file = f"sqlite+aiosqlite:///{tmp_path}/a%20b.db"
    modes = ["", "?mode=rw", "?mode=ro"]
    assert run(project, MIGRATE, [{"database_url": file + mode} for mode in modes])[0] == ["ok"] * len(modes)
    assert (tmp_path / "a b.db").exists()


def set_password(server: Server, user: str, password: str) -> None:
    if isinstance(server, PostgreSQL):
        server.run(f"ALTER ROLE {user} PASSWORD '{password}'")
    elif isinstance(server, MySQL):
        server.run(f"ALTER USER {user}@'%%' IDENTIFIED BY %s", password)
    else:
        assert isinstance(server, MongoDB)
        server.run("updateUser", user, pwd=password)


@pytest.mark.each_driver
@pytest.mark.databases("postgresql", "mysql", "mongodb")
def test_a_password_that_changes_under_load_needs_no_restart(
    server: Server, database: str, start_service: StartService, tmp_path: Path
) -> None:
    user = server.create_user(PASSWORD)
    file = tmp_path / "database_url"
    file.write_text(server.url_as(user, PASSWORD, database) + "\n")
    service = start_service("", DATABASE_URL_FILE=file, **GROWING_POOL, POOL_TIMEOUT_SECONDS=10)
    with service.client() as client, parallel(service, connections=POOL_LIMIT) as send:
        item = new_item(client)
        # On the connection that is open.
        under_way = [send("GET", f"/items/{item['id']}") for _ in range(20)]
        set_password(server, user, OTHER)
        assert {answer.result().status for answer in under_way} <= {200, 503}
        assert client.get(f"/items/{item['id']}").status_code == 200
        file.write_text(server.url_as(user, OTHER, database) + "\n")
        # All connections at once, of which all but one are new.
        with server.blocked(database, 1):
            writes = [send("POST", "/items", json=item_fields()) for _ in range(POOL_LIMIT)]
            wait_until(lambda: server.active(database) == POOL_LIMIT, 10, "all connections are used")
        assert [write.result().status for write in writes] == [201] * POOL_LIMIT
        log = service.process.log()
        assert "Traceback" not in log, log[-4000:]


@pytest.mark.each_driver
@pytest.mark.databases("postgresql")
def test_whoever_asks_after_a_new_password_is_not_refused_with_the_old_one(
    server: Server, database: str, start_service: StartService, tmp_path: Path
) -> None:
    """A pool that opens connections for whoever waits may be at it still with what it read before."""
    user = server.create_user(PASSWORD)
    file = tmp_path / "database_url"
    with Proxy(server.port) as proxy:

        def write(password: str) -> None:
            file.write_text(with_user(server.url(database, port=proxy.port), user, password))

        write(PASSWORD)
        service = start_service("", DATABASE_URL_FILE=file, **GROWING_POOL, **PATIENT)
        with service.client() as client, parallel(service, connections=POOL_LIMIT) as send:
            new_item(client)
            set_password(server, user, OTHER)
            with server.blocked(database, 1):
                on_the_open_one = send("POST", "/items", json=item_fields())
                wait_until(lambda: server.active(database) == 1, 10, "the open connection is used")
                opened, proxy.delay_seconds = proxy.opened, 0.2
                before = send("POST", "/items", json=item_fields())
                # psycopg's pool tries twice.
                wait_until(lambda: before.done() or proxy.opened == opened + 2, 10, "the last try goes on")
                write(OTHER)
                after = send("POST", "/items", json=item_fields())
                wait_until(lambda: server.active(database) == 2, 10, "a new connection is used")
            assert [one.result().status for one in (on_the_open_one, before, after)] == [201, 503, 201]
