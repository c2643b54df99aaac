"""Git's commands, run without hooks and monitors; a repository for a new project, and settings of temporary ones."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from poolwright.children import run
from poolwright.errors import PoolwrightError

_TIMEOUT_SECONDS = 20
_SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "commit.gpgSign": "false",
    "gc.auto": "0",
    "advice.detachedHead": "false",
}
_COMMAND = ["git", *(word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}"))]
_NO_FILES = {"core.excludesFile": "/dev/null", "core.attributesFile": "/dev/null"}  # else those of ~/.config/git
_ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX")
_NOBODY = {"NAME": "Poolwright", "EMAIL": "poolwright@localhost"}


def git(folder: Path, *arguments: str, given: str = "", variables: Mapping[str, str] | None = None) -> str:
    """What a command of git writes; `given` is its input. Raises PoolwrightError with git's message where it fails.

    variables: the environment; where None, that of the user's repositories.
    """
    environ = environment() if variables is None else variables
    done = run([*_COMMAND, *arguments], folder, environ, given=given.encode("utf-8", "surrogateescape"))
    if done.code != 0:
        raise PoolwrightError(f"git {arguments[0]} failed: {done.err.decode(errors='replace').strip()}")
    return done.out.decode("utf-8", "surrogateescape")


def environment() -> dict[str, str]:
    """The environment in which git finds the repository of the folder it runs in, and no other."""
    return {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}


def isolated(*settings: tuple[str, str]) -> dict[str, str]:
    """The environment of temporary repositories: no configuration of the user's or the machine's, and no hooks.

    settings: git's, by name, beside those that all of ours have; a name may come more than once.
    Whatever line endings, prefixes, filters or hooks somebody set for all repositories would reach what is rendered.
    """
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    variables |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TEMPLATE_DIR": ""}
    variables |= {"GIT_ATTR_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
    variables |= {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in _NOBODY.items()}
    return with_settings(variables, [*_SETTINGS.items(), *_NO_FILES.items(), *settings])


def with_settings(variables: Mapping[str, str], settings: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The environment with settings of git's by name, which win over those of files."""
    found, count = dict(variables), int(variables.get("GIT_CONFIG_COUNT") or 0)
    for key, value in settings:
        found |= {f"GIT_CONFIG_KEY_{count}": key, f"GIT_CONFIG_VALUE_{count}": value}
        count += 1
    return found | {"GIT_CONFIG_COUNT": str(count)}


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
