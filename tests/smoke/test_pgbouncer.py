"""PostgreSQL through PgBouncer in transaction mode: transactions change the server's connection."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.processes import wait_until
from tests.servers import PgBouncer, PostgreSQL
from tests.servers.base import with_user
from tests.service import Service, migrate
from tests.smoke.layers import Layer, render
from tests.smoke.traffic import PATIENT, Json, assert_unavailable, item_fields, new_item, parallel, sold

pytestmark = [pytest.mark.fault("PgBouncer"), pytest.mark.databases("postgresql")]

SERVER_CONNECTIONS = 3
APP_CONNECTIONS = 8


@pytest.fixture(scope="module")
def pooled_project(layer: Layer, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layer's project with PgBouncer answered; it needs the same packages."""
    directory = tmp_path_factory.mktemp("pooled") / "project"
    render(layer, directory, pooler="pgbouncer")
    (directory / ".venv").symlink_to(project / ".venv")
    return directory


@pytest.fixture(scope="module")
def roles_server(pooled_project: Path) -> Iterator[PostgreSQL]:
    """A server whose role has the rendered time limits."""
    with PostgreSQL() as server:
        server.run_file(pooled_project / "deploy" / "roles.sql", "postgres")
        yield server


@pytest.fixture(scope="module")
def pgbouncer(pooled_project: Path, roles_server: PostgreSQL) -> Iterator[PgBouncer]:
    # As patient as the service: a machine that halts for two seconds refuses nobody.
    settings = {"query_wait_timeout": PATIENT["POOL_TIMEOUT_SECONDS"]}
    made = PgBouncer(pooled_project / "deploy" / "pgbouncer.ini", roles_server, SERVER_CONNECTIONS, **settings)
    yield made
    made.close()


@pytest.fixture(scope="module")
def pooled_database(pooled_project: Path, roles_server: PostgreSQL, pgbouncer: PgBouncer) -> str:
    """Migrated, twice and through PgBouncer."""
    name = roles_server.create_database()
    for _ in range(2):
        migrate(pooled_project, roles_server.url(name, pgbouncer.port))
    return name


@pytest.fixture(scope="module")
def pooled_service(
    pooled_project: Path, roles_server: PostgreSQL, pgbouncer: PgBouncer, pooled_database: str
) -> Iterator[Service]:
    url = roles_server.url(pooled_database, pgbouncer.port)
    service = Service(pooled_project, url, POOL_SIZE=APP_CONNECTIONS, MAX_OVERFLOW=0, **PATIENT)
    yield service
    service.stop()
    assert "Traceback" not in service.process.log(), service.process.log()[-4000:]


def test_no_request_fails_though_transactions_change_their_connections(
    pooled_service: Service, roles_server: PostgreSQL, pooled_database: str
) -> None:
    with pooled_service.client() as client, parallel(pooled_service, connections=32) as send:
        item = new_item(client, price_cents=1, stock=100_000)
        before = sold(client)
        bulk: list[Json] = [item_fields() for _ in range(20)]
        order = {"item_id": item["id"], "quantity": 1}
        answers = []
        for number in range(100):
            answers.append(send("GET", f"/items/{item['id']}"))
            answers.append(send("GET", "/items", params={"limit": 1 + number % 20}))
            answers.append(send("POST", "/items", json=item_fields()))
            answers.append(send("POST", "/orders", json=order))
            answers.append(send("PATCH", f"/items/{item['id']}", json={"price_cents": 1}))
            answers.append(send("PUT", "/items", json=bulk))
            answers.append(send("GET", "/orders/revenue"))
        failed = [answer.result().response.text for answer in answers if not answer.result().response.is_success]
        assert failed == []
        assert sold(client) - before == 100
        assert client.get(f"/items/{item['id']}").json()["stock"] == 100_000 - 100
    assert roles_server.connections(pooled_database) <= SERVER_CONNECTIONS
    assert roles_server.idle_in_transaction(pooled_database) == 0


def test_a_migration_that_changes_a_type_fails_no_request(
    pooled_service: Service, roles_server: PostgreSQL, pgbouncer: PgBouncer, pooled_database: str
) -> None:
    """With prepared statements every client would fail from then on, until PgBouncer connects anew (decision 14)."""
    with pooled_service.client() as client:
        item = new_item(client)
        for length in range(201, 204):
            # More often than a driver takes to prepare a statement.
            assert {client.get(f"/items/{item['id']}").status_code for _ in range(10)} == {200}
            alter = f"ALTER TABLE items ALTER COLUMN name TYPE varchar({length})"
            with psycopg.connect(with_user(roles_server.url(pooled_database), "postgres")) as administrator:
                administrator.execute(alter.encode())
        assert client.get("/items").status_code == 200


def test_the_role_s_time_limit_holds_where_a_session_cannot_set_one(
    pooled_project: Path, roles_server: PostgreSQL, pgbouncer: PgBouncer
) -> None:
    name = roles_server.create_database()
    url = roles_server.url(name, pgbouncer.port)
    migrate(pooled_project, url)
    roles_server.run(f"ALTER ROLE app IN DATABASE {name} SET statement_timeout = '1s'")
    roles_server.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    service = Service(pooled_project, url)
    try:
        with service.client() as client:
            item = new_item(client)
            with roles_server.blocked(name, seconds=2):
                assert client.get(f"/items/{item['id']}").status_code == 504
            assert client.get(f"/items/{item['id']}").json() == item
    finally:
        service.stop()


def test_a_pooler_without_a_server_answers_503_and_recovers(
    pooled_project: Path,
    roles_server: PostgreSQL,
    pgbouncer: PgBouncer,
    pooled_database: str,
) -> None:
    url = roles_server.url(pooled_database, pgbouncer.port)
    service = Service(pooled_project, url, POOL_SIZE=APP_CONNECTIONS, MAX_OVERFLOW=0)
    try:
        with service.client() as client, parallel(service) as send:
            new_item(client)
            roles_server.run("ALTER ROLE app CONNECTION LIMIT 0")
            roles_server.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
            assert_unavailable(send("GET", "/items").result().response)
            roles_server.run("ALTER ROLE app CONNECTION LIMIT -1")
            wait_until(lambda: client.get("/items").status_code == 200, 15, "the pooler connects again")
    finally:
        service.stop()
