"""Files moved to their places: all of them or none.

What comes is written beside the project first, so that a full disk is met before anything is touched; what goes is
kept there until all is done. In between files are only renamed.
"""

import os
import shutil
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from poolwright.errors import PoolwrightError
from poolwright.stages import stage

#: A path and what takes back the change of it; "" where it is of no interest to anybody.
Undo = tuple[str, Callable[[], object]]


class Entry(NamedTuple):
    """What lies at a path: a file's bytes and mode, or a link's target; a content of None is nothing."""

    content: bytes | None
    mode: int = 0


class Move(NamedTuple):
    """What shall lie at a path, relative to the project, in the place of what lies there."""

    path: str
    after: Entry


def entry(path: Path) -> Entry:
    """What lies at a path."""
    if path.is_symlink():
        return Entry(os.fsencode(os.readlink(path)), stat.S_IFLNK)
    return Entry(path.read_bytes(), path.stat().st_mode) if path.is_file() else Entry(None)


def move_all(project: Path, moves: Sequence[Move], finish: Callable[[], None]) -> None:
    """Make every path of the moves what it shall be, then call `finish`; where any of it fails nothing is changed.

    Raises PoolwrightError, which names the file that cannot be written and those that could not be put back.
    """
    # What goes goes first: a folder may take its place.
    ordered = sorted(moves, key=lambda move: move.after.content is not None)
    try:
        for move in ordered:
            _check(project, move)
        with stage(project, ".poolwright-") as kept:
            for number, move in enumerate(ordered):
                _write(kept / f"new-{number}", project / move.path, move.after)
            _move(project, kept, ordered, finish)
    except OSError as error:
        raise PoolwrightError(f"Cannot write {project}: {error.strerror or error}.\nNothing was changed.") from error


def undone(undos: Sequence[Undo]) -> list[str]:
    """Undo each step, the last first and whatever the others do; the paths of those that failed."""
    failed: set[str] = set()
    for path, undo in reversed(undos):
        try:
            undo()
            failed.discard(path)  # what was there before has replaced what could not be taken away
        except OSError:
            failed.add(path)
    return sorted(failed - {""})


def _check(project: Path, move: Move) -> None:
    """PoolwrightError where a path cannot be written, as far as that can be known before."""
    place = project / move.path
    for folder in place.relative_to(project).parents:
        if (project / folder).is_symlink():
            raise PoolwrightError(
                f"{folder} is a symbolic link: the update would write {move.path} beyond it.\n"
                "Make it a folder of the project. Nothing was changed."
            )
    holder = next(folder for folder in place.parents if os.path.lexists(folder))
    try:
        if place.is_file() and not place.is_symlink():
            os.close(os.open(place, os.O_WRONLY))
        effective = os.access in os.supports_effective_ids
        if holder.is_dir() and not os.access(holder, os.W_OK | os.X_OK, effective_ids=effective):
            raise PermissionError(0, f"its folder {os.path.relpath(holder, project)} takes no change")
    except OSError as error:
        raise _refused(move.path, error, []) from error


def _write(staged: Path, place: Path, after: Entry) -> None:
    """Write what comes to a place; it gets the owner and the permissions of the file that it replaces."""
    if after.content is None:
        return
    if stat.S_ISLNK(after.mode):
        staged.symlink_to(os.fsdecode(after.content))
        return
    staged.write_bytes(after.content)
    mode = stat.S_IMODE(after.mode)
    if place.is_file() and not place.is_symlink():
        before = place.stat()
        if bool(before.st_mode & stat.S_IXUSR) == bool(mode & stat.S_IXUSR):
            mode = stat.S_IMODE(before.st_mode)
        with suppress(OSError, AttributeError):  # only root can give files away, and Windows has no owners
            os.chown(staged, before.st_uid, before.st_gid)
    staged.chmod(mode)


def _move(project: Path, kept: Path, moves: Sequence[Move], finish: Callable[[], None]) -> None:
    undos: list[Undo] = []
    path = ""
    try:
        for number, (path, after) in enumerate(moves):
            place = project / path
            if os.path.lexists(place):
                _rename(place, kept / f"old-{number}", path, undos)
            if after.content is None:
                _remove_empty(place.parent, project, undos)
                continue
            _make_folders(place.parent, undos)
            _rename(kept / f"new-{number}", place, path, undos)
        path = ""
        finish()
    except BaseException as error:
        failed = undone(undos)
        if isinstance(error, OSError):
            raise _refused(path, error, failed) from error
        if failed:
            raise PoolwrightError(f"{error}\n{_not_put_back(failed)}") from error
        raise


def _rename(origin: Path, target: Path, path: str, undos: list[Undo]) -> None:
    """Rename, or copy where another file system begins in between."""
    for end in (origin, target):
        if end.is_dir() and not end.is_symlink():
            raise IsADirectoryError(0, "a folder that holds files is in its place")
    try:
        shutil.move(origin, target)
    except OSError:
        if os.path.lexists(origin):  # what was copied of it
            target.unlink(missing_ok=True)
        raise
    undos.append((path, partial(shutil.move, target, origin)))


def _make_folders(folder: Path, undos: list[Undo]) -> None:
    missing = [parent for parent in [folder, *folder.parents] if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir()
        undos.append(("", parent.rmdir))


def _remove_empty(folder: Path, project: Path, undos: list[Undo]) -> None:
    """Remove the folders that hold nothing any more, up to the project."""
    while folder != project:
        try:
            folder.rmdir()
        except OSError:
            return
        undos.append(("", folder.mkdir))
        folder = folder.parent


def _refused(path: str, error: OSError, failed: Sequence[str]) -> PoolwrightError:
    named = f"{path} cannot be written" if path else "The update cannot be finished"
    left = _not_put_back(failed) if failed else "Nothing was changed."
    return PoolwrightError(f"{named}: {error.strerror or error}.\n{left}")


def _not_put_back(failed: Sequence[str]) -> str:
    listed = "\n".join(f"  {path}" for path in failed)
    return f"These could not be put back; git checkout HEAD -- FILE brings each:\n{listed}"
