"""Projects that were switched, on real servers: they serve, and on the same database the data is there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.servers import DATABASES, Database, PostgreSQL
from tests.servers.base import migrator_url, owner_url
from tests.service import Service, install, migrate
from tests.smoke.test_project import run_in
from tests.smoke.traffic import new_item
from tests.update.projects import HEAD, commit, edit, make
from tests.update.test_releases import updated

PAGE = Path(__file__).resolve().parents[2] / "docs/update.md"
RECORDED_BY = {"raw": "To raw or databases", "databases": "To raw or databases"}
RECORDED_BY |= {"sqlalchemy": "To SQLAlchemy", "tortoise": "To Tortoise"}

SWITCHES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"database": "postgresql", "style": "sqlalchemy"}, {"style": "raw", "driver": "psycopg"}),
    ({"database": "postgresql", "style": "raw"}, {"style": "tortoise"}),
    ({"database": "postgresql", "style": "tortoise"}, {"style": "databases", "deployment": "kubernetes"}),
    ({"database": "postgresql", "style": "databases"}, {"style": "sqlalchemy"}),
    ({"database": "postgresql", "style": "raw"}, {"database": "mysql"}),
    ({"database": "mysql", "style": "tortoise"}, {"style": "raw", "driver": "aiomysql"}),
    ({"database": "mongodb", "style": "raw"}, {"style": "beanie"}),
    ({"database": "sqlite", "style": "sqlalchemy"}, {"database": "mongodb", "deployment": "compose"}),
]


@pytest.fixture(scope="session")
def servers() -> Iterator[dict[str, Database]]:
    started: dict[str, Database] = {}
    yield started
    for server in started.values():
        server.close()


def server_for(database: str, servers: dict[str, Database]) -> Database:
    if database not in servers:
        servers[database] = DATABASES[database]()
        servers[database].start()
    return servers[database]


def recorded(style: str) -> str:
    """The statements of docs/update.md that tell a style that its first migration has run."""
    (found,) = re.findall(
        rf"^{RECORDED_BY[style]}.*?\n\n```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.M | re.S
    )
    return str(found)


@pytest.mark.parametrize(("before", "changes"), SWITCHES, ids=lambda answers: "-".join(answers.values()))
def test_a_switched_project_serves_and_its_data_stays(
    before: dict[str, Any],
    changes: dict[str, Any],
    servers: dict[str, Database],
    packages: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    project = tmp_path / "project"
    make(HEAD, before, project, tmp_path)
    edit(project)
    server = server_for(before["database"], servers)
    stays = isinstance(server, PostgreSQL) and "database" not in changes
    name = server.create_database()
    if stays:
        install(project, packages / "before")
        migrate(project, server.url(name))
        old = Service(project, server.url(name))
        with old.client() as client:
            item = new_item(client)
        old.stop()
        (project / ".venv").unlink()
        commit(project)
    assert updated(project, changes) == ([], [])
    new_server = server_for({**before, **changes}["database"], servers)
    url = new_server.url(name if stays else new_server.create_database())
    # Its files are those of a fresh render (test_switch.py), whose own tests pass on each layer: one is enough here.
    if before == SWITCHES[0][0] or request.config.getoption("--all-combinations"):
        run_in(project, packages, owner_url(url), "pytest", "-q")
    install(project, packages / "after")
    if stays:
        with psycopg.connect(migrator_url(url), autocommit=True) as connection:
            connection.execute(recorded(changes["style"]).encode())
    migrate(project, url)
    service = Service(project, url)
    with service.client() as client:
        if not stays:
            item = new_item(client)
        assert client.get(f"/items/{item['id']}").json() == item
        assert client.get("/own").json() == [item["name"]]
    service.stop()
