"""What `new` prints is typed as it stands: on a server that is there, with and without uv."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from poolwright import next_steps
from poolwright.questions import evaluate
from poolwright.render import render_project
from tests.processes import Process, free_port, uv
from tests.servers import DATABASES, Database, MongoDB, MySQL, PostgreSQL, Server
from tests.servers.mongodb import mongod
from tests.service import NO_TLS, START_SECONDS, environment

ITEM = {"name": "first", "price_cents": 1, "stock": 1}
UVICORN = "uvicorn app.main:app"
STARTED = "Uvicorn running on"  # only then it listens


class Unnamed(MongoDB):
    """A server that waits for the name of its replica set, and knows no users."""

    def __init__(self) -> None:
        super().__init__(open_to_all=True)

    def _is_primary(self) -> bool:
        return self._listens()


class WithoutRoles(PostgreSQL):
    """A server on which nobody ran roles.sql."""

    def _make_roles(self) -> None:
        pass


@pytest.fixture
def server(database: str) -> Iterator[Database]:
    """A server as it is after its installation: without the role `app`."""
    bare = {"mongodb": Unnamed, "postgresql": WithoutRoles}
    with bare.get(database, DATABASES[database])() as made:
        if isinstance(made, MySQL):
            made.run("DROP USER app@'%'")
        yield made


def variables(server: Database) -> dict[str, str]:
    """Where PostgreSQL's programs find the server, which is not in its usual place."""
    if not isinstance(server, PostgreSQL):
        return {}
    return {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "postgres"}


def programs(server: Database, folder: Path, *others: str) -> str:
    """A PATH with the system's programs and these, without Docker."""
    folder.mkdir()
    (folder / "python3").symlink_to(Path(sys.executable).resolve())
    for program in others:
        (folder / Path(program).name).symlink_to(program)
    if isinstance(server, MongoDB):
        (folder / "mongod").symlink_to(mongod())
    if isinstance(server, MySQL):
        # Whatever the machine's own configuration says: its server is none of the tests'.
        client = folder / "mysql"
        client.write_text(f'#!/bin/sh\nexec mariadb --no-defaults --socket={server.socket} --user=root "$@"\n')
        client.chmod(0o755)
    return os.pathsep.join([str(folder), "/usr/bin", "/bin", "/usr/sbin", "/sbin"])


@pytest.mark.parametrize(
    ("database", "installer"),
    [("postgresql", "uv"), ("mysql", "uv"), ("mongodb", "uv"), ("sqlite", "pip")],
)
def test_what_new_prints_starts_the_project(
    database: str, installer: str, server: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = programs(server, tmp_path / "bin", *([uv()] if installer == "uv" else []))
    monkeypatch.setenv("PATH", path)
    evaluation = evaluate({"project_name": "shop", "database": database, "read_replica": database != "sqlite"})
    render_project(evaluation.answers, tmp_path / "shop")
    *steps, url = next_steps.steps(evaluation, Path("shop"))
    assert url == "http://127.0.0.1:8000/docs"

    # Of all that is printed only the ports are others here.
    port = free_port()
    usual = evaluation.values["catalog"]["databases"][database]["port"]
    if isinstance(server, Server):
        example = tmp_path / "shop" / ".env.example"
        text = example.read_text(encoding="utf-8")
        example.write_text(text.replace(str(usual), str(server.port)), encoding="utf-8")
        steps = [step.replace(str(usual), str(server.port)) for step in steps]
    assert UVICORN in steps[-1]
    steps[-1] = f"exec {steps[-1]} --port {port}"
    own = environment("", {**variables(server), "PATH": path})
    del own["DATABASE_URL"]
    with ExitStack() as stack:
        typed = Process(["sh", "-ec", "\n".join(steps)], log=tmp_path / "log", cwd=tmp_path, env=own)
        stack.callback(typed.end)
        typed.wait_for(lambda: STARTED in typed.log(), seconds=10 * START_SECONDS)
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", verify=NO_TLS, timeout=20) as client:
            assert client.get("/docs").status_code == 200
            assert client.post("/items", json=ITEM).status_code == 201
            assert [item["name"] for item in client.get("/items").json()] == ["first"]
    # The tests' tools are there, and the role may make the tests' database.
    python = [uv(), "run", "--locked", "pytest"] if installer == "uv" else [".venv/bin/pytest"]
    done = subprocess.run(
        [*python, "-q", "tests/test_items.py"], cwd=tmp_path / "shop", env=own, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
