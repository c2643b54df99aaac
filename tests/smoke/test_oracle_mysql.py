"""What holds on MySQL itself too: the other tests of MySQL's layers run on MariaDB, which Debian has."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import wait_until
from tests.servers import OracleMySQL
from tests.service import migrate
from tests.smoke.small_pool import small_pool
from tests.smoke.test_check import check
from tests.smoke.traffic import StartService, item_fields, new_item, parallel, sold

pytestmark = pytest.mark.databases("mysql")

LIMIT_SECONDS = 1
SLOW_SECONDS = 30  # in the server, if nobody stops it


@pytest.fixture(scope="module")
def oracle_mysql() -> Iterator[OracleMySQL]:
    """Shared by all layers; its users are those of roles.sql."""
    with OracleMySQL() as server:
        yield server


@pytest.fixture(scope="module")
def migrated(project: Path, oracle_mysql: OracleMySQL) -> str:
    name = oracle_mysql.create_database()
    for _ in range(2):
        oracle_mysql.run_file(project / "deploy/roles.sql")
        migrate(project, oracle_mysql.url(name))
    return name


def make_updates_slow(server: OracleMySQL, database: str) -> None:
    """Not by a lock, for which there is a limit of its own. A trigger's statements run as who made it."""
    server.run(f"GRANT TRIGGER ON {database}.items TO app@'%'")
    slow = f"BEFORE UPDATE ON {database}.items FOR EACH ROW SET @slept = SLEEP({SLOW_SECONDS})"
    server.run(f"CREATE DEFINER = app@'%' TRIGGER {database}.slow {slow}")


@pytest.mark.fault("timeout")
def test_the_contract_and_the_time_limit_hold_on_mysql_itself(
    oracle_mysql: OracleMySQL, migrated: str, start_service: StartService
) -> None:
    pressed = small_pool(start_service, oracle_mysql, migrated, STATEMENT_TIMEOUT_SECONDS=LIMIT_SECONDS)
    with pressed as (service, client), parallel(service) as send:
        assert client.get("/readyz").status_code == 200
        item = new_item(client, price_cents=5, stock=3)
        path = f"/items/{item['id']}"
        assert client.post("/items", json=item_fields(name=item["name"])).status_code == 409
        assert client.patch(path, json={"stock": 2}).json() == {**item, "stock": 2}
        assert client.put("/items", json=[item_fields(), item_fields()]).json() == {"written": 2}
        before = sold(client)
        assert client.post("/orders", json={"item_id": item["id"], "quantity": 2}).status_code == 201
        assert client.post("/orders", json={"item_id": item["id"], "quantity": 1}).status_code == 409
        assert sold(client) == before + 10
        assert client.delete(path).status_code == 409
        others = [other for other in client.get("/items").json() if other["id"] != item["id"]]
        assert {client.delete(f"/items/{other['id']}").status_code for other in others} == {204}
        ordered = new_item(client)
        make_updates_slow(oracle_mysql, migrated)
        slow = [send("PATCH", path, json={"stock": 1}) for _ in range(2)]
        slow.append(send("POST", "/orders", json={"item_id": ordered["id"], "quantity": 1}))
        for answer in slow:
            assert answer.result().status == 504, answer.result().response.text
            assert LIMIT_SECONDS <= answer.result().seconds < LIMIT_SECONDS + 5, "the app gave up, the server did not"
        wait_until(lambda: oracle_mysql.active(migrated) == 0, 5, "the server stops the statements")
        oracle_mysql.run(f"DROP TRIGGER {migrated}.slow")
        stored = [client.get(f"/items/{one['id']}").json()["stock"] for one in (item, ordered)]
        assert stored == [0, ordered["stock"]], "a statement that was stopped has written"


@pytest.mark.each_database
def test_check_says_what_mysql_itself_lacks(
    project: Path, oracle_mysql: OracleMySQL, migrated: str, tmp_path: Path
) -> None:
    fine = check(project, oracle_mysql.url(migrated))
    assert (fine.code, fine.rows["functions"]["verdict"]) == (0, "ok"), fine.out
    assert fine.rows["statement timeout"]["found"] == "15 s"
    older = tmp_path / "older"
    shutil.copytree(project, older, symlinks=True)
    (older / "app/db/time_limit.py").unlink()
    lock = older / "app/db/migration_lock.py"
    lock.write_text(lock.read_text(encoding="utf-8").replace("SHA2(DATABASE(), 224)", "MD5(DATABASE())"))
    for name in ("pool.py", "driver.py"):  # as they were before
        if (path := older / "app/db" / name).exists():
            path.write_text(path.read_text(encoding="utf-8").replace("from app.db.time_limit import TimeLimit\n", ""))
    checked = check(older, oracle_mysql.url(migrated))
    assert (checked.code, checked.problems()) == (1, ["functions"]), checked.out
    assert checked.rows["functions"]["found"] == "no MD5"
    assert checked.rows["statement timeout"]["verdict"] == "warning"
