"""Starts a project's programs in a fraction of the time: forks of a process that has the libraries imported.

Most of what a service costs before it serves is the import of FastAPI, its driver and the like, again and again the
same. `python fork_server.py`, run by a project's Python, imports them once; each request makes a fork of it, which goes
on as `python -m MODULE` would. Nothing of the project itself is imported before. Workers that a service starts by
itself start as ever. Of the variables that Python itself reads at its start, PYTHONPATH holds.
"""

import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

# What services and migrations import. One that a project does not have is passed over, one that is missing here costs
# time only. Not prometheus_client, which reads its environment when it is imported.
LIBRARIES = (
    "uvicorn.main",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
    "uvloop",
    "fastapi",
    "pydantic_settings",
    "asyncpg",
    "psycopg_pool",
    "aiomysql",
    "asyncmy",
    "aiosqlite",
    "motor.motor_asyncio",
    "beanie",
    "pymongo",
    "alembic.command",
    "sqlalchemy.ext.asyncio",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.dialects.postgresql.psycopg_async",
    "sqlalchemy.dialects.mysql.aiomysql",
    "sqlalchemy.dialects.mysql.asyncmy",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "sqlmodel",
    "tortoise",
    "databases",
    "redis.asyncio",
)
_MOST = 1 << 20  # bytes of a request: arguments and environment


class Forked:
    """A program that a fork server started; as much of subprocess.Popen as the tests use."""

    def __init__(self, args: Sequence[str], status: socket.socket) -> None:
        self.args = args
        self.returncode: int | None = None
        self._status = status
        self.pid = int(status.recv(64))

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        return self._read(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; subprocess.TimeoutExpired."""
        if (code := self._read(timeout)) is None:
            raise subprocess.TimeoutExpired(list(self.args), timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Nothing where it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """As subprocess has it."""
        self.send_signal(signal.SIGKILL)

    def _read(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            self.returncode = int(self._status.recv(64))
            self._status.close()
        return self.returncode


class ForkServer:
    """Makes programs of one Python; it ends when it is closed and all of them have ended.

    python: that of a virtual environment.
    """

    _closed: ClassVar[list["subprocess.Popen[bytes]"]] = []  # they end when what they started does

    def __init__(self, python: Path) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [python, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # its errors go where this process's do
            )

    def start(self, command: Sequence[str], *, output: int, cwd: Path | None, env: Mapping[str, str] | None) -> Forked:
        """Start `python -m COMMAND...`, its input empty; None is this process's own.

        output: the file descriptor of what it prints, errors included.
        """
        request = {
            "command": list(command),
            "cwd": str(cwd or Path.cwd()),
            "env": dict(os.environ if env is None else env),
        }
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._requests, [json.dumps(request).encode()], [output, theirs.fileno()])
        return Forked(command, ours)

    def close(self) -> None:
        """Start nothing more."""
        self._requests.close()
        self._closed[:] = [process for process in [*self._closed, self._process] if process.poll() is None]


def _serve(requests: socket.socket) -> dict[str, Any] | None:
    """Answer requests until there are no more; in a fork, return what it is to do."""
    poll = select.poll()
    poll.register(requests, select.POLLIN)
    children: dict[int, tuple[int, socket.socket]] = {}  # by the descriptor that tells their end
    while children or requests.fileno() >= 0:
        for descriptor, _ in poll.poll():
            if descriptor in children:
                pid, status = children.pop(descriptor)
                poll.unregister(descriptor)
                os.close(descriptor)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with suppress(BrokenPipeError), status:
                    status.send(str(code).encode())
                continue
            data, descriptors, _, _ = socket.recv_fds(requests, _MOST, 2)
            if not data:
                poll.unregister(requests)
                requests.close()
                continue
            output, status_descriptor = descriptors
            pid = os.fork()
            if pid == 0:
                requests.close()
                for told, (_, others) in children.items():
                    os.close(told)
                    others.close()
                os.close(status_descriptor)
                os.dup2(output, 1)
                os.dup2(output, 2)
                os.close(output)
                request: dict[str, Any] = json.loads(data)
                return request
            os.close(output)
            status = socket.socket(fileno=status_descriptor)
            status.send(str(pid).encode())
            end = os.pidfd_open(pid)
            children[end] = pid, status
            poll.register(end, select.POLLIN)
    return None


def _main() -> None:
    del sys.path[0]  # the folder of this file
    for name in LIBRARIES:
        with suppress(ImportError):
            import_module(name)
    request = _serve(socket.socket(fileno=int(sys.argv[1])))
    if request is None:
        return
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    os.chdir(request["cwd"])
    sys.path[:0] = [request["cwd"], *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    module, *arguments = request["command"]
    sys.argv = ["", *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
