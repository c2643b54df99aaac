"""MySQL's own server, which no Debian release has."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from tests.servers import unstable
from tests.servers.base import ServerMissing

# It obeys as root if it is told that this is meant, and heeds no such option as somebody else.
OPTIONS = ("--no-defaults", "--user=root", "--mysqlx=OFF", "--secure-file-priv=", "--skip-log-bin")


@dataclass(frozen=True)
class Mysqld:
    """A server's program: the command that starts it, without options of one's own, and its version."""

    command: tuple[str, ...]
    version: str


@cache
def mysqld() -> Mysqld:
    """MySQL's server: that of PATH, or of Debian unstable; ServerMissing."""
    installed = shutil.which("mysqld") or shutil.which("mysqld", path="/usr/sbin")
    if installed is not None and (version := _version([installed])):
        return Mysqld((installed, *OPTIONS), version)
    command = unstable.command("usr/sbin/mysqld")
    if version := _version(command):
        return Mysqld((*command, *OPTIONS, f"--basedir={unstable.unpacked() / 'usr'}"), version)
    raise ServerMissing(f"{command[-1]} does not start: remove {unstable.CACHE}, or put MySQL's mysqld in PATH")


def _version(command: Sequence[str]) -> str:
    """ "" for MariaDB's server, which Debian installs under both names, and for one that does not start."""
    done = subprocess.run([*command, "--version"], capture_output=True, text=True)
    said = done.stdout.partition(" Ver ")[2]
    return "" if done.returncode or "MariaDB" in said else said.split("-")[0].split()[0]
