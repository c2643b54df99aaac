"""What to type after a project is made: its first commands, and the one that makes it again."""

import errno
import os
import pwd
import shlex
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from poolwright.questions import Evaluation, choices, evaluate, type_of

DOCUMENTATION = "http://127.0.0.1:8000/docs"

_ENVIRONMENT = "python3 -m venv .venv"
# pip reads dependency groups from 25.1 on, and Python 3.11 brings an older one.
_INSTALL = f"{_ENVIRONMENT} && .venv/bin/pip install --upgrade pip && .venv/bin/pip install --editable . --group dev"
_PASSWORD = "password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \\n')"
_PROBE_SECONDS = 0.2


def steps(evaluation: Evaluation, target: Path) -> list[str]:
    """The shell commands that start the project in `target`, to be typed as they are; then what answers where."""
    enter = f"cd {shlex.quote(str(target))}"
    if evaluation.answers["deployment"] == "compose":
        lock = "uv lock" if shutil.which("uv") else f"{_ENVIRONMENT} && .venv/bin/pip install uv && .venv/bin/uv lock"
        return [
            f"{enter} && {lock}",
            "sh deploy/secrets.sh",
            "docker compose -f deploy/compose.yaml up --build --detach",
            DOCUMENTATION,
        ]
    install, run = ("uv sync", "uv run ") if shutil.which("uv") else (_INSTALL, ".venv/bin/")
    row = evaluation.values["catalog"]["databases"][evaluation.answers["database"]]
    # The environment first: MongoDB's command is one of its Python.
    return [
        f"{enter} && {install}",
        _database(row, evaluation.values["slug"], f"{run}python"),
        f"{run}python -m app.migrate",
        f"{run}uvicorn app.main:app",
        DOCUMENTATION,
    ]


def _database(row: Mapping[str, Any], slug: str, python: str) -> str:
    """What makes a database and .env: on the server of this machine, or a throwaway one where none listens."""
    env: str = row["tests"]["env"]
    if not row["image"]:
        return env
    local = row["local"]
    if shutil.which(local["client"]) and (_listens(row["port"]) or not shutil.which("docker")):
        made = _as_user(local["user"]) + local["command"].replace("{python}", python)
        password = f"{_PASSWORD} && " if "$password" in made else ""
        return f"{password}{made} && {local['env']}"
    name = f"{slug}-database"
    started = f"docker run --detach --name {name} {row['tests']['run'].replace('{image}', row['image'])}"
    return f"{started} && {env} && until docker exec {name} {row['tests']['ready']}; do sleep 1; done"


def _as_user(user: str) -> str:
    """What makes a command one of the operating system's `user`; nothing where it is that user's, or there is none."""
    try:
        number = pwd.getpwnam(user).pw_uid
    except KeyError:
        return ""
    if os.geteuid() in (number, 0):
        return "" if os.geteuid() == number else f"runuser -u {user} -- "
    return f"sudo -u {user} "


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(_PROBE_SECONDS)
        return probe.connect_ex(("127.0.0.1", port)) in (0, errno.ECONNRESET)  # hung up on: by somebody


def command(evaluation: Evaluation, target: Path) -> str:
    """The command that makes the same project again without a question; answers that are defaults are left out."""
    words = ["poolwright", "new", str(target), "--yes"]
    told: dict[str, Any] = {}
    for key, answer in evaluation.answers.items():
        usual = evaluate(told).answers.get(key)
        if answer != usual or (choices(key, told) and key in evaluation.given):
            told[key] = answer
            words += _flag(key, answer)
    return shlex.join(words)


def _flag(key: str, answer: Any) -> list[str]:
    flag = key.replace("_", "-")
    if type_of(key) == "bool":
        return [f"--{flag}" if answer else f"--no-{flag}"]
    return [f"--{flag}", str(answer)]
