"""Temporary folders of a process, and those that a process left which was killed: the next one removes them."""

import os
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from poolwright.interrupts import cleaned_by

_LOCK = "lock"
_NAME = re.compile(r"\.?poolwright-[0-9a-f]{12}")


@contextmanager
def stage(parent: Path, prefix: str = "poolwright-") -> Iterator[Path]:
    """A new folder in `parent` for this process, removed at the end; OSError where there can be none."""
    folder = parent / f"{prefix}{secrets.token_hex(6)}"
    with cleaned_by(partial(shutil.rmtree, folder, ignore_errors=True)):
        folder.mkdir(mode=0o700)
        with (folder / _LOCK).open("w") as lock:  # released by the system, however this process ends
            _locked(lock.fileno())
            yield folder


@contextmanager
def temporary() -> Iterator[Path]:
    """A stage in the folder for temporary files; those that a killed process left there are removed first."""
    parent = Path(tempfile.gettempdir())
    sweep(parent)
    with stage(parent) as folder:
        yield folder


def sweep(parent: Path) -> None:
    """Remove the folders of processes that have ended; others, and what is not ours, stay."""
    if sys.platform == "win32":  # it has neither owners nor such locks
        return
    for folder in parent.iterdir():
        if not _NAME.fullmatch(folder.name) or folder.is_symlink():
            continue
        try:
            if folder.stat().st_uid != os.getuid():
                continue
            with (folder / _LOCK).open("r+") as lock:
                if _locked(lock.fileno()):
                    shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # none of ours, or gone meanwhile


def _locked(file: int) -> bool:
    """Whether this process holds the lock now."""
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
