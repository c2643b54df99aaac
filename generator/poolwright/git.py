"""Git's commands, run without the user's hooks; and a repository for a new project."""

import os
import shutil
import subprocess
from pathlib import Path

from poolwright.children import run
from poolwright.errors import PoolwrightError

_TIMEOUT_SECONDS = 20
_SETTINGS = ("core.hooksPath=/dev/null", "commit.gpgSign=false", "gc.auto=0", "advice.detachedHead=false")
_COMMAND = ["git", *(word for setting in _SETTINGS for word in ("-c", setting))]
_ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX")


def git(folder: Path, *arguments: str, given: str = "") -> str:
    """What a command of git writes; `given` is its input. Raises PoolwrightError with git's message where it fails."""
    done = run([*_COMMAND, *arguments], folder, environment(), given=given.encode("utf-8", "surrogateescape"))
    if done.code != 0:
        raise PoolwrightError(f"git {arguments[0]} failed: {done.err.decode(errors='replace').strip()}")
    return done.out.decode("utf-8", "surrogateescape")


def environment() -> dict[str, str]:
    """The environment in which git finds the repository of the folder it runs in, and no other."""
    return {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}


def start_repository(project: Path, target: Path) -> None:
    """Make `project` a repository with one commit of all files, where that is possible; it never fails.

    Not inside of another repository (looked for from `target`, where the project will lie), not without git, and no
    commit without a configured identity.
    """
    if shutil.which("git") is None or _inside_repository(target):
        return
    if not _succeeds(project, "init", "--quiet"):
        shutil.rmtree(project / ".git", ignore_errors=True)
        return
    if _succeeds(project, "config", "user.name") and _succeeds(project, "config", "user.email"):
        message = ["-m", "Initial commit"]
        _succeeds(project, "add", "--all") and _succeeds(project, "commit", "--quiet", "--no-verify", *message)


def _inside_repository(target: Path) -> bool:
    return any((folder / ".git").exists() for folder in [target, *target.parents])


def _succeeds(folder: Path, *arguments: str) -> bool:
    try:
        return run([*_COMMAND, *arguments], folder, environment(), timeout_seconds=_TIMEOUT_SECONDS).code == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
