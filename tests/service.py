"""A rendered project's own server process, started with the project's own virtual environment."""

import os
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import httpx2

from tests.fork_server import ForkServer
from tests.processes import Process, free_port, uv
from tests.servers.base import migrator_url

SETTINGS = re.compile(r"(REPLICA_)?DATABASE_|REDIS_URL|POOL_|MAX_OVERFLOW|STATEMENT_TIMEOUT_")
FORK_SERVERS = 3  # at once in a test process: the tests of a layer come one after the other
_fork_servers: dict[tuple[Path, int, int], ForkServer] = {}
START_SECONDS = 60  # on a machine that is busy with the other tests
# For clients of services, which speak plain HTTP. A client that makes its own, as by default, reads all authorities of
# the machine for it: 25 ms of CPU time each, again and again while a service starts beside it.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def install(project: Path, packages: Path) -> None:
    """Give a project a virtual environment with what it declares itself to need at run time, and nothing else.

    packages: the environment's place. Projects can have it one after the other: what the last one needed and this one
    does not is removed, and the rest, which is most of it, is neither installed nor compiled again.
    """
    done = subprocess.run(
        [uv(), "sync", "--quiet", "--exact", "--no-dev", "--python", sys.executable],
        cwd=project,
        env=environment("", {"UV_PROJECT_ENVIRONMENT": packages}),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (project / ".venv").symlink_to(packages)


def environment(database_url: str, settings: Mapping[str, object]) -> dict[str, str]:
    """This process's environment without settings of the project, then those given."""
    inherited = {name: value for name, value in os.environ.items() if not SETTINGS.match(name)}
    inherited.pop("VIRTUAL_ENV", None)
    given = {name: str(value) for name, value in settings.items()}
    return {**inherited, "DATABASE_URL": database_url, **given}


def migrate(project: Path, database_url: str, **settings: object) -> None:
    """Run `python -m app.migrate`; RuntimeError with its output if it fails."""
    process = start_migration(project, database_url, **settings)
    if code := process.wait(60):
        raise RuntimeError(f"python -m app.migrate ended with {code}:\n{process.log()}")


def start_migration(project: Path, database_url: str, **settings: object) -> Process:
    return _start(project, ["app.migrate"], "migration", environment(migrator_url(database_url), settings))


def _start(project: Path, command: Sequence[str], name: str, env: Mapping[str, str]) -> Process:
    """Start `python -m COMMAND...` by the project's own Python."""
    packages = (project / ".venv").lstat()
    key = (project, packages.st_ino, packages.st_mtime_ns)  # folders of tests that passed are used again
    if key not in _fork_servers:
        while len(_fork_servers) >= FORK_SERVERS:
            _fork_servers.pop(next(iter(_fork_servers))).close()
        _fork_servers[key] = ForkServer(project / ".venv" / "bin" / "python")
    log = project / f"{name}-{uuid4()}.log"
    return Process(command, log=log, cwd=project, env=env, fork_server=_fork_servers[key])


def client_of(base_url: str, connections: int) -> httpx2.Client:
    """A client that keeps so many connections at the most."""
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    return httpx2.Client(base_url=base_url, timeout=60, limits=limits, verify=NO_TLS)


class Service:
    """`uvicorn app.main:app` on a free loopback port; it answers when the constructor returns."""

    all_running: ClassVar[set["Service"]] = set()

    def __init__(
        self, project: Path, database_url: str, *, app: str = "app.main:app", workers: int = 1, **settings: object
    ) -> None:
        self.database_url = database_url
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        command = ["uvicorn", app, "--host", "127.0.0.1", "--port", str(self.port), "--no-access-log"]
        command += ["--workers", str(workers)]
        self.process = _start(project, command, "service", environment(database_url, settings))
        self.process.wait_for(self._lives, seconds=START_SECONDS)
        self.all_running.add(self)

    def _lives(self) -> bool:
        try:
            return httpx2.get(f"{self.base_url}/livez", verify=NO_TLS).status_code < 500
        except httpx2.TransportError:
            return False

    def client(self, connections: int = 10) -> httpx2.Client:
        return client_of(self.base_url, connections)

    def connections_to(self, ports: Collection[int]) -> int:
        """TCP connections of its processes to these ports of this machine."""
        sockets = set()
        for pid in self.process.tree():
            with suppress(FileNotFoundError):  # it has ended
                for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                    with suppress(FileNotFoundError):  # closed meanwhile
                        sockets.add(os.readlink(descriptor))
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(int(line[2].split(":")[1], 16) in ports and f"socket:[{line[9]}]" in sockets for line in lines)

    def threads(self) -> int:
        """Operating system threads of the process."""
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def terminate(self) -> None:
        self.process.send(signal.SIGTERM)

    def stop(self) -> None:
        # A test that failed must not wait for requests that hang.
        self.process.end(seconds=5)
        self.all_running.discard(self)
