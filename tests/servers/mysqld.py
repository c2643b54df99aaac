"""MySQL's own server, which no Debian release has: unpacked from packages of Debian unstable.

None is installed. They come by apt-get, which checks their signatures, with lists and a status of its own: nothing of
the machine changes. They are of another release than it, so the server runs on their C library, by their loader.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.servers.base import ServerMissing

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "mysqld"
PACKAGE = "mysql-server-core"  # 9.7.4 in November 2026; 50 MB with the libraries, 170 MB of disk space
SOURCE = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {} unstable main\n"
# So that apt-get does not bring what the server does without.
STATUS = "Package: perl\nStatus: install ok installed\nArchitecture: {}\nMulti-Arch: allowed\nVersion: 99\n\n"
NOT_NEEDED = ("usr/bin", "usr/lib/mysql", "usr/share/doc", "usr/share/locale", "usr/share/man")
# It obeys as root if it is told that this is meant, and heeds no such option as somebody else.
OPTIONS = ("--no-defaults", "--user=root", "--mysqlx=OFF", "--secure-file-priv=", "--skip-log-bin")
TRIES = 3  # the mirror can change between the list and the packages
TRY_SECONDS = 300


@dataclass(frozen=True)
class Mysqld:
    """A server's program: the command that starts it, without options of one's own, and its version."""

    command: tuple[str, ...]
    version: str


def mysqld() -> Mysqld:
    """MySQL's server: that of PATH, or unpacked into this repository's cache; ServerMissing."""
    installed = shutil.which("mysqld") or shutil.which("mysqld", path="/usr/sbin")
    if installed is not None and (version := _version([installed])):
        return Mysqld((installed, *OPTIONS), version)
    CACHE.mkdir(parents=True, exist_ok=True)
    root = CACHE / "root"
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            _unpack(root)
    loaders = [path for path in root.glob("usr/lib/*/ld-linux*.so.*") if path.is_file()]
    if loaders:
        libraries = str(loaders[0].parent)
        command = [str(loaders[0]), "--library-path", libraries, str(root / "usr/sbin/mysqld")]
        if version := _version(command):
            return Mysqld((*command, *OPTIONS, f"--basedir={root / 'usr'}"), version)
    raise ServerMissing(f"mysqld of {root} does not start: remove the folder, or put MySQL's mysqld in PATH")


def _version(command: Sequence[str]) -> str:
    """ "" for MariaDB's server, which Debian installs under both names, and for one that does not start."""
    done = subprocess.run([*command, "--version"], capture_output=True, text=True)
    said = done.stdout.partition(" Ver ")[2]
    return "" if done.returncode or "MariaDB" in said else said.split("-")[0].split()[0]


def _unpack(root: Path) -> None:
    if shutil.which("apt-get") is None:
        raise ServerMissing("MySQL's server comes from Debian's packages, and there is no apt-get: put mysqld in PATH")
    download = CACHE / "download"
    for number in range(1, TRIES + 1):
        shutil.rmtree(download, ignore_errors=True)
        try:
            packages = _download(download)
            break
        except subprocess.SubprocessError as error:
            if number == TRIES:
                said = getattr(error, "stderr", None) or str(error)
                raise ServerMissing(
                    f"{PACKAGE} cannot be had from Debian unstable: put MySQL's mysqld in PATH, or try later.\n{said}"
                ) from error
    unpacked = download / "root"
    for package in packages:
        subprocess.run(["dpkg-deb", "--extract", package, unpacked], check=True)
    for name in NOT_NEEDED:
        shutil.rmtree(unpacked / name, ignore_errors=True)
    unpacked.rename(root)
    shutil.rmtree(download)


def _download(directory: Path) -> list[Path]:
    """The packages, in a directory that does not exist yet; SubprocessError."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (directory / name).mkdir(parents=True)
    architecture = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True)
    (directory / "status").write_text(STATUS.format(architecture.stdout.strip()))
    (directory / "sources.list").write_text(SOURCE.format(_mirror()))
    options = {
        "Dir::State": directory / "state",
        "Dir::State::status": directory / "status",
        "Dir::Cache": directory / "cache",
        "Dir::Etc::SourceList": directory / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Acquire::Languages": "none",
        "Acquire::Retries": 3,
        "Acquire::http::Timeout": 30,
        "APT::Sandbox::User": "root",  # another user could not write here
    }
    command = ["apt-get", "--quiet", *(f"--option={name}={value}" for name, value in options.items())]
    for words in (["update"], ["install", "--yes", "--download-only", "--no-install-recommends", PACKAGE]):
        subprocess.run(
            [*command, *words],
            check=True,
            timeout=TRY_SECONDS,
            capture_output=True,
            text=True,
            env={**os.environ, "LC_ALL": "C"},
        )
    return sorted((directory / "cache/archives").glob("*.deb"))


def _mirror() -> str:
    """The URL from which this machine has its own Debian packages; ServerMissing."""
    listed = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)"], capture_output=True, text=True)
    for url in listed.stdout.split():
        if url.rstrip("/").endswith("/debian"):
            return url
    raise ServerMissing(
        "MySQL's server comes from Debian's packages, and apt knows no mirror of Debian: put mysqld in PATH"
    )
