"""Where the tests have their files: in memory, where there is room for them.

They make and remove some hundred thousand files. A file system on a disk looks for free places among those that were
just removed: on ext4 that took half of the time of an update's tests.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")
NEEDED_BYTES = 4 << 30  # a whole run takes less at once
DISK = "POOLWRIGHT_TESTS_DISK"  # the variable with the folder for temporary files as it was before


def use_memory() -> None:
    """Make MEMORY the folder for temporary files of this process and its children, unless TMPDIR is set."""
    os.environ.setdefault(DISK, tempfile.gettempdir())
    if "TMPDIR" not in os.environ and _has_room():
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None


def _has_room() -> bool:
    """Whether programs may lie there, which many containers forbid, and as much memory as a run takes is left."""
    try:
        found = os.statvfs(MEMORY)
        meminfo = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return False
    available = next(int(line.split()[1]) * 1024 for line in meminfo if line.startswith("MemAvailable:"))
    free = found.f_bavail * found.f_frsize
    return not found.f_flag & os.ST_NOEXEC and free >= NEEDED_BYTES and available >= 2 * NEEDED_BYTES


@contextmanager
def folder_for_packages() -> Iterator[Path]:
    """A folder on the disk, where uv's cache is: packages are links into it, and would be gigabytes elsewhere."""
    with tempfile.TemporaryDirectory(prefix="poolwright-packages-", dir=os.environ[DISK]) as folder:
        yield Path(folder)
