"""Where the tests have their files: in memory, where there is room for them.

They make and remove some hundred thousand files. A file system on a disk looks for free places among those that were
just removed: on ext4 that took half of the time of an update's tests.
"""

import os
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
NEEDED_BYTES = 4 << 30  # a whole run takes less than 3 GB at once


def use_memory() -> None:
    """Make MEMORY the folder for temporary files of this process and its children, unless TMPDIR is set."""
    if "TMPDIR" not in os.environ and _has_room():
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None


def _has_room() -> bool:
    """Whether programs can lie there, as they cannot in many containers, and a run leaves the machine half its memory."""
    try:
        found = os.statvfs(MEMORY)
        meminfo = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return False
    available = next(int(line.split()[1]) * 1024 for line in meminfo if line.startswith("MemAvailable:"))
    free = found.f_bavail * found.f_frsize
    return not found.f_flag & os.ST_NOEXEC and free >= NEEDED_BYTES and available >= 2 * NEEDED_BYTES
