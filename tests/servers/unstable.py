"""Servers that this Debian release does not have, or not new enough: unpacked from packages of Debian unstable.

None is installed. They come by apt-get, which checks their signatures, with lists and a status of its own: nothing of
the machine changes. They are of another release than it, so they run on their C library, by their loader.
"""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from tests.servers.base import ServerMissing

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "unstable"
# In November 2026 MySQL 9.7.4 and PgBouncer 1.26.1; 50 MB with the libraries, 170 MB of disk space.
PACKAGES = ("mysql-server-core", "pgbouncer")
SOURCE = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {} unstable main\n"
# So that apt-get does not bring what the servers do without.
STATUS = "".join(
    f"Package: {name}\nStatus: install ok installed\nArchitecture: {{0}}\nMulti-Arch: allowed\nVersion: 99\n\n"
    for name in ("perl", "python3", "debconf", "postgresql-common")
)
NOT_NEEDED = ("usr/bin", "usr/lib/mysql", "usr/share/doc", "usr/share/locale", "usr/share/man")
TRIES = 3  # the mirror can change between the list and the packages
TRY_SECONDS = 300


def command(program: str) -> tuple[str, ...]:
    """What starts a program of the packages, such as "usr/sbin/mysqld"; ServerMissing."""
    root = unpacked()
    loaders = [path for path in root.glob("usr/lib/*/ld-linux*.so.*") if path.is_file()]
    if not loaders:
        raise ServerMissing(f"{root} has no loader: remove the folder, so that it is made anew")
    return str(loaders[0]), "--library-path", str(loaders[0].parent), str(root / program)


def unpacked() -> Path:
    """The folder with the packages' files, in this repository's cache; ServerMissing."""
    CACHE.mkdir(parents=True, exist_ok=True)
    root = CACHE / "root"
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            _unpack(root)
    return root


def _unpack(root: Path) -> None:
    if shutil.which("apt-get") is None:
        raise ServerMissing(f"{', '.join(PACKAGES)} come from Debian's packages, and there is no apt-get")
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
                    f"{PACKAGES} cannot be had from Debian unstable: put them in PATH, or try later.\n{said}"
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
    for words in (["update"], ["install", "--yes", "--download-only", "--no-install-recommends", *PACKAGES]):
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
    raise ServerMissing(f"{PACKAGES} come from Debian's packages, and apt knows no mirror of Debian: put them in PATH")
