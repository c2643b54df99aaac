"""A project's last commit in a worktree of its own, and what was made of it there moved back as a whole."""

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from poolwright.errors import PoolwrightError, TargetExists
from poolwright.git import git
from poolwright.interrupts import cleaned_by, uninterrupted

_MOST_NAMED = 5
_NEW = {"??", "!!"}
_UNMERGED = {"DD", "AU", "UD", "UA", "DU", "AA", "UU"}


class Entry(NamedTuple):
    """What lies at a path: a file's bytes and mode, or a link's target; a content of None is nothing."""

    content: bytes | None
    mode: int = 0


@dataclass(frozen=True)
class Worktree:
    """A worktree at `tree` of the repository at `top`; paths in it are relative to that."""

    tree: Path
    top: Path

    @cached_property
    def status(self) -> dict[str, str]:
        """The files that differ from the commit, ignored ones too, and git's two letters for how; asked once."""
        listed = git(self.tree, "status", "--porcelain", "-z", "--untracked-files=all", "--ignored", "--no-renames")
        return {entry[3:]: entry[:2] for entry in listed.split("\0")[:-1]}

    @property
    def added(self) -> list[str]:
        """The files that the commit has not."""
        return [path for path, letters in self.status.items() if letters in _NEW]

    @property
    def deleted(self) -> list[str]:
        """The files that only the commit has."""
        return [path for path in self.status if not os.path.lexists(self.tree / path)]

    @property
    def conflicts(self) -> list[str]:
        """The files that are not merged."""
        return [path for path, letters in self.status.items() if letters in _UNMERGED]

    def diff(self) -> str:
        """How it differs from the commit, new files included; the index is another one then."""
        assert self.status is not None
        git(self.tree, "add", "--all", "--force")
        return git(self.tree, "diff", "--cached", "--no-color", "--no-ext-diff", "HEAD")

    def move(self, when_written: Callable[[], None]) -> None:
        """Make the repository's own files what they are here, conflicts in the index included.

        On an error all are put back. Raises TargetExists where a file came or changed there meanwhile.
        """
        require_clean(self.top)
        for path in self.added:
            if os.path.lexists(self.top / path):
                raise TargetExists(
                    f"{path} is in the way: git ignores it, and the update brings a file of that name.\nMove it away."
                )
        moves = [(self.top / path, entry(self.top / path), entry(self.tree / path)) for path in self.status]
        moves.sort(key=lambda move: move[2].content is not None)  # what goes goes first: a folder may take its place
        index = self._index()
        with uninterrupted():
            done: list[tuple[Path, Entry]] = []
            try:
                for place, before, after in moves:
                    done.append((place, before))
                    _put(place, after)
                if index:
                    git(self.top, "update-index", "-z", "--index-info", given=index)
            except BaseException:
                for place, before in reversed(done):
                    _put(place, before)
                raise
            when_written()

    def _index(self) -> str:
        """What `git update-index --index-info` needs to make the repository's index what it is here."""
        before, after = _staged(self.top), _staged(self.tree)
        changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
        return "".join(line + "\0" for path in changed for line in (f"0 {'0' * 40}\t{path}", *after.get(path, [])))


@contextmanager
def worktree(top: Path, tree: Path) -> Iterator[Worktree]:
    """A worktree of the last commit of the repository at `top`; it is gone at the end."""

    def remove() -> None:
        pointer = tree / ".git"
        if pointer.is_file():  # "gitdir: " and the folder that the repository keeps for this worktree
            kept = Path(pointer.read_text(encoding="utf-8").partition(" ")[2].rstrip("\n"))
            shutil.rmtree(kept, ignore_errors=True)
            with suppress(OSError):
                kept.parent.rmdir()  # where it was the only one
        shutil.rmtree(tree, ignore_errors=True)

    with cleaned_by(remove):
        git(top, "worktree", "add", "--quiet", "--detach", str(tree), "HEAD")
        yield Worktree(tree, top)


def require_clean(directory: Path) -> None:
    """TargetExists where the directory is not in a git repository with a commit and nothing uncommitted."""
    if shutil.which("git") is None:
        raise PoolwrightError("An update needs git, and there is none in PATH.")
    try:
        git(directory, "rev-parse", "--verify", "--quiet", "HEAD")
    except PoolwrightError:
        raise TargetExists(
            f"{directory} is not committed in a git repository: an update is merged with the last commit.\n"
            "Run git init, git add --all and git commit there first."
        ) from None
    found = git(directory, "status", "--porcelain", "-z", "--untracked-files=normal").split("\0")[:-1]
    # What the first `uv sync` makes, and no template has: an update cannot touch it.
    found = [line for line in found if not (line.startswith("?? ") and Path(line[3:]).name == "uv.lock")]
    if found:
        named = ", ".join(line[3:] for line in found[:_MOST_NAMED])
        more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
        raise TargetExists(f"{directory} has uncommitted changes: {named}{more}.\nCommit or stash them, then update.")


def entry(path: Path) -> Entry:
    """What lies at a path."""
    if path.is_symlink():
        return Entry(os.fsencode(os.readlink(path)), stat.S_IFLNK)
    return Entry(path.read_bytes(), path.stat().st_mode) if path.exists() else Entry(None)


def _put(path: Path, entry: Entry) -> None:
    """Make a path what the entry says; folders that this leaves empty go, too."""
    if entry.content is None:
        path.unlink(missing_ok=True)
        with suppress(OSError):
            for folder in path.parents:
                folder.rmdir()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if stat.S_ISLNK(entry.mode) or path.is_symlink():
        path.unlink(missing_ok=True)
    if stat.S_ISLNK(entry.mode):
        path.symlink_to(os.fsdecode(entry.content))
    else:
        path.write_bytes(entry.content)
        path.chmod(stat.S_IMODE(entry.mode))


def _staged(folder: Path) -> dict[str, list[str]]:
    """The lines of the index of a worktree by path."""
    found: dict[str, list[str]] = {}
    for line in git(folder, "ls-files", "--stage", "-z").split("\0")[:-1]:
        found.setdefault(line.partition("\t")[2], []).append(line)
    return found
