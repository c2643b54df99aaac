"""What git has of a project: that all of it is committed, and the tree of its last commit."""

import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from poolwright.errors import PoolwrightError, TargetExists
from poolwright.git import environment, git, with_settings

_MOST_NAMED = 5
_OLD_WORKTREE = re.compile(r"poolwright-[a-z0-9_]{8}/tree")
_RUNNING_SECONDS = 3600  # such an update may be under way for as long
_PLAIN = {"LC_ALL": "C"}  # git's words are told apart below
_NO_REPOSITORY = "not a git repository"


class Blob(NamedTuple):
    """A file of a commit: its mode in git's notation ("100644", "120000" for a link), and the name of its content."""

    mode: str
    name: str


def require_clean(directory: Path, *, runs_filters: bool = True) -> None:
    """TargetExists where a project is not wholly committed in git, or where that cannot be known.

    Only the project's directory counts: the other services of a repository may be as they are. Where git may not run
    the repository's filters, which are programs, their files count as committed.
    """
    _require_repository(directory)
    lock = Path(directory, git(directory, "rev-parse", "--git-path", "index.lock").rstrip("\n"))
    if lock.exists():
        raise TargetExists(
            f"Another git process is at work on the repository of {directory}.\n"
            f"Try again when it has ended; where none runs, remove what it left: {lock}"
        )
    variables = environment() if runs_filters else _without_filters(directory)
    if found := _changed(directory, variables, runs_filters):
        raise TargetExists(f"{directory} has uncommitted changes: {_named(found)}.\nCommit or stash them, then update.")
    if hidden := _hidden(directory, variables, runs_filters):
        raise TargetExists(
            f"{directory} has changes that git was told not to see (skip-worktree, assume-unchanged):"
            f" {_named(hidden)}.\nLet git see them (git update-index --no-skip-worktree --no-assume-unchanged FILE),"
            " then commit them or take them back."
        )


def forget_worktrees(directory: Path) -> None:
    """Remove the worktrees that updates of releases before 0.3, which were killed, left registered."""
    for line in git(directory, "worktree", "list", "--porcelain").splitlines():
        tree = Path(line.removeprefix("worktree "))
        if line.startswith("worktree ") and _OLD_WORKTREE.fullmatch("/".join(tree.parts[-2:])):
            with suppress(OSError):  # it is gone already, and only registered
                if time.time() - tree.stat().st_mtime < _RUNNING_SECONDS:
                    continue
                shutil.rmtree(tree.parent)
            git(directory, "worktree", "prune")


def prefix(directory: Path) -> str:
    """Where the directory lies in its repository: "services/shop/", or "" at the top."""
    return git(directory, "rev-parse", "--show-prefix").rstrip("\n")


def listed(folder: Path, tree: str, variables: dict[str, str] | None = None) -> dict[str, Blob]:
    """The files of a tree or commit by their paths in it."""
    lines = git(folder, "ls-tree", "-r", "-z", "--full-tree", tree, variables=variables).split("\0")[:-1]
    rows = [(line.partition("\t")[2], line.split("\t", 1)[0].split()) for line in lines]
    return {path: Blob(mode, name) for path, (mode, _, name) in rows}


def _require_repository(directory: Path) -> None:
    if shutil.which("git") is None:
        raise PoolwrightError("An update needs git, and there is none in PATH.")
    plain = environment() | _PLAIN
    try:
        git(directory, "rev-parse", "--git-dir", variables=plain)
    except PoolwrightError as error:
        if _NO_REPOSITORY not in str(error):
            raise TargetExists(f"git refuses the repository of {directory}.\n{error}") from None
        raise _uncommitted(directory) from None
    try:
        git(directory, "rev-parse", "--verify", "--quiet", "HEAD:./", variables=plain)
    except PoolwrightError:
        raise _uncommitted(directory) from None


def _uncommitted(directory: Path) -> TargetExists:
    return TargetExists(
        f"{directory} is not committed in a git repository: an update is merged with the last commit.\n"
        "Run git init, git add --all and git commit there first."
    )


def _without_filters(directory: Path) -> dict[str, str]:
    """The environment in which git runs none of the filters that the repository's configuration names."""
    keys = git(directory, "config", "--list", "--name-only", "-z").split("\0")[:-1]
    drivers = sorted({key.rpartition(".")[0] for key in keys if key.startswith("filter.")})
    off = {"clean": "", "smudge": "", "process": "", "required": "false"}
    return with_settings(environment(), [(f"{driver}.{name}", off[name]) for driver in drivers for name in off])


def _filtered(directory: Path, paths: Sequence[str]) -> set[str]:
    """Those of the directory's files that a filter makes of what git has."""
    words = git(directory, "check-attr", "-z", "--stdin", "filter", given="".join(f"{path}\0" for path in paths))
    fields = words.split("\0")[:-1]
    return {path for path, name in zip(fields[::3], fields[2::3], strict=True) if name not in ("unspecified", "unset")}


def _changed(directory: Path, variables: Mapping[str, str], runs_filters: bool) -> list[str]:
    """What differs from the last commit, relative to the directory; a renamed file as "old -> new"."""
    status = ["status", "--porcelain", "-z", "--untracked-files=normal", "--renames", "--", "."]
    inside = prefix(directory)
    lines = git(directory, *status, variables=variables).split("\0")[:-1]
    modified = [os.path.relpath(line[3:], inside or ".") for line in lines if line[:2] == " M"]
    skipped = set() if runs_filters else _filtered(directory, modified)
    found, entries = [], iter(lines)
    for line in entries:
        letters, path = line[:2], os.path.relpath(line[3:], inside or ".")
        if letters == " M" and path in skipped:
            continue
        if letters == "??" and Path(path).name == "uv.lock":
            continue  # what the first `uv sync` makes, and no template has: an update cannot touch it
        if set(letters) & {"R", "C"}:
            path = f"{os.path.relpath(next(entries), inside or '.')} -> {path}"
        found.append(path)
    return found


def _hidden(directory: Path, variables: Mapping[str, str], runs_filters: bool) -> list[str]:
    """The files that git does not look at and that are not as the last commit has them."""
    lines = git(directory, "ls-files", "-v", "-z").split("\0")[:-1]
    flagged = [line[2:] for line in lines if line[0] == "S" or line[0].islower()]
    if not runs_filters:
        flagged = sorted(set(flagged) - _filtered(directory, flagged))
    if not flagged:
        return []
    committed = listed(directory, f"HEAD:{prefix(directory)}")
    return [path for path in flagged if not _same(directory, path, committed.get(path), variables)]


def _same(directory: Path, path: str, blob: Blob | None, variables: Mapping[str, str]) -> bool:
    place = directory / path
    if blob is None or not os.path.lexists(place):
        return False
    if place.is_symlink():
        name = git(directory, "hash-object", "--stdin", given=os.readlink(place))
    else:
        name = git(directory, "hash-object", f"--path={path}", "--", path, variables=variables)
    return name.strip() == blob.name


def _named(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
    return ", ".join(paths[:_MOST_NAMED]) + more
