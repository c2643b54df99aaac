"""What to type after a project is made: its first commands, and the one that makes it again."""

import shlex
import shutil
from pathlib import Path
from typing import Any

from poolwright.questions import Evaluation, choices, evaluate, type_of


def steps(target: Path) -> list[str]:
    """At most three shell commands that start the project in `target`, as its README has them."""
    enter = f"cd {shlex.quote(str(target))} && cp .env.example .env"
    if shutil.which("uv"):
        return [enter, "uv run python -m app.migrate", "uv run uvicorn app.main:app"]
    return [
        f"{enter} && python3 -m venv .venv && .venv/bin/pip install .",
        ".venv/bin/python -m app.migrate",
        ".venv/bin/uvicorn app.main:app",
    ]


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
