"""Asks the servers of a generated project, with that project's own Python, driver and settings."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from poolwright.children import run
from poolwright.errors import PoolwrightError, Unreachable, UsageError

_PROBE = Path(__file__).with_name("probe")
_TIMEOUT_SECONDS = 90  # above what the probe allows for a database, its replica and a cache
_OF_ANOTHER_PYTHON = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")


def inspect(project: Path, driver: str, port: int) -> dict[str, Any]:
    """What the servers of the project say, in the shape that probe/__main__.py describes; it holds no password.

    port: where servers of its database listen by default; 0 for a file. Raises UsageError where the project's packages
    or settings are missing, Unreachable where a server keeps the question waiting.
    """
    missing: list[str] = []
    for python in _interpreters(project):
        found = _ask(python, project, {"driver": driver, "port": port})
        if "failed" not in found:
            return found
        if found["failed"] == "settings":
            raise UsageError(
                f"The settings of the project cannot be used: {found['reason']}.\n"
                f"They are read from the environment and from {project / '.env'}."
            )
        missing.append(f"{python}: {found['reason']}.")
    raise UsageError(
        "\n".join(["The project's packages are not installed.", *missing])
        + f"\nRun uv sync in {project}, or activate the virtual environment that has them."
    )


def _interpreters(project: Path) -> Iterator[Path]:
    """The Pythons that may have the project's packages: of its own environment, the active one, and in PATH."""
    own = project / os.environ.get("UV_PROJECT_ENVIRONMENT", ".venv")
    active = os.environ.get("VIRTUAL_ENV")
    for folder in [own, *([Path(active)] if active else [])]:
        for name in ("bin/python", "Scripts/python.exe"):
            if (folder / name).exists():
                yield Path(os.path.abspath(folder / name))
    if found := shutil.which("python3") or shutil.which("python"):
        yield Path(found)


def _ask(python: Path, project: Path, request: dict[str, Any]) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_PYTHON}
    command = [str(python), str(_PROBE), json.dumps(request)]
    try:
        # What a library says on stderr could hold a secret: it is not read.
        done = run(command, project, environment, timeout_seconds=_TIMEOUT_SECONDS)
    except OSError as error:
        raise PoolwrightError(f"Cannot run {python}: {error.strerror}.") from error
    except subprocess.TimeoutExpired:
        raise Unreachable(
            f"The database server kept us waiting for {_TIMEOUT_SECONDS} s.\nLook whether it answers at all."
        ) from None
    try:
        found: dict[str, Any] = json.loads(done.out)
    except ValueError:
        raise PoolwrightError(
            f"{python} ended with {done.code} and said nothing of the server.\nLook whether the project itself starts."
        ) from None
    return found
