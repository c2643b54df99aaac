"""What `new` prints where nobody can type it in a test: Docker's commands, and another user's."""

import json
import os
import pwd
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from poolwright import next_steps
from poolwright.questions import Evaluation, evaluate

# Notes what it is asked, one list of words in a line; `exec` succeeds at the second time.
DOCKER = """#!/bin/sh
python3 -c 'import json, sys; print(json.dumps(sys.argv[1:]))' "$@" >> docker.log
[ "$1" != exec ] || [ "$(grep -c '"exec"' docker.log)" -ge 2 ]
"""


def chosen(database: str, **answers: object) -> Evaluation:
    return evaluate({"project_name": "shop", "database": database, **answers})


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with a Docker of the test's own, and no client of any server."""
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(DOCKER, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    return program


@pytest.mark.parametrize("database", ["postgresql", "mysql", "mongodb"])
def test_without_a_server_a_throwaway_one_is_started(database: str, docker: Path, tmp_path: Path) -> None:
    evaluation = chosen(database)
    row = evaluation.values["catalog"]["databases"][database]
    step = next_steps.steps(evaluation, Path("shop"))[1]
    (tmp_path / ".env.example").write_text(f"DATABASE_URL={row['url']}\n", encoding="utf-8")
    path = os.pathsep.join([str(docker.parent), str(Path(sys.executable).parent), "/usr/bin", "/bin"])
    subprocess.run(["sh", "-ec", step.replace("sleep 1", ":")], cwd=tmp_path, env={"PATH": path}, check=True)

    asked = [json.loads(line) for line in (tmp_path / "docker.log").read_text(encoding="utf-8").splitlines()]
    assert [words[0] for words in asked] == ["run", "exec", "exec"]  # asked again until it is up
    words = asked[0]
    assert words[words.index("--publish") + 1] == f"127.0.0.1:{row['port']}:{row['port']}"
    assert row["image"] in words
    assert words[words.index("--name") + 1] == asked[1][1] == "shop-database"
    url = (tmp_path / ".env").read_text(encoding="utf-8").removeprefix("DATABASE_URL=").strip()
    assert url.replace("localhost", "127.0.0.1") == row["tests"]["url"]


def test_with_compose_the_steps_are_its_own(docker: Path) -> None:
    steps = next_steps.steps(chosen("postgresql", deployment="compose"), Path("a shop"))
    assert steps[0].startswith("cd 'a shop' && ")
    assert steps[0].endswith(".venv/bin/uv lock")  # no uv in PATH
    assert steps[1:] == [
        "sh deploy/secrets.sh",
        "docker compose -f deploy/compose.yaml up --build --detach",
        "http://127.0.0.1:8000/docs",
    ]


def test_a_server_that_listens_is_used(tmp_path: Path, docker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (docker.parent / "psql").symlink_to(docker)
    evaluation = chosen("postgresql")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setitem(evaluation.values["catalog"]["databases"]["postgresql"], "port", listener.getsockname()[1])
        assert "psql --quiet" in next_steps.steps(evaluation, Path("shop"))[1]
    assert "docker run" in next_steps.steps(evaluation, Path("shop"))[1]


@pytest.mark.parametrize(
    ("who", "prefix"), [(0, "runuser -u nobody -- "), (pwd.getpwnam("nobody").pw_uid, ""), (4321, "sudo -u nobody ")]
)
def test_the_administrator_s_command_is_run_as_that_user(
    who: int, prefix: str, docker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker.rename(docker.with_name("psql"))
    evaluation = chosen("postgresql")
    monkeypatch.setitem(evaluation.values["catalog"]["databases"]["postgresql"]["local"], "user", "nobody")
    monkeypatch.setattr(os, "geteuid", lambda: who)
    step = next_steps.steps(evaluation, Path("shop"))[1]
    assert re.search(rf"^password=\S+ .* && {prefix}psql --quiet ", step)
