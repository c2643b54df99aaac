"""Child processes and free ports for the tests; every child is ended at the latest when Python exits."""

import atexit
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.fork_server import Forked, ForkServer

_taken: set[int] = set()


def free_port() -> int:
    """A loopback port that nobody listens on, given out once per test process.

    It lies below Linux's ephemeral range (32768 and up): while a killed server is away, no client's outgoing connection
    can take its port, and no reconnecting client can connect to itself.
    """
    chooser = random.SystemRandom()
    while True:
        port = chooser.randrange(12000, 32000)
        if port in _taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _taken.add(port)
        return port


def uv() -> str:
    """The path of uv: beside the Python that runs the tests, or in PATH."""
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise RuntimeError("uv is not installed: pip install uv")
    return found


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Poll until the condition holds; TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


class Process:
    """A running command with its output in a file.

    fork_server: what starts it, if not this process: the command is the name of a module and its arguments.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        fork_server: ForkServer | None = None,
    ) -> None:
        self._log = log
        self._child: subprocess.Popen[bytes] | Forked
        words = [str(word) for word in command]
        with log.open("ab") as output:
            if fork_server is not None:
                self._child = fork_server.start(words, output=output.fileno(), cwd=cwd, env=env)
            else:
                self._child = subprocess.Popen(
                    words,
                    cwd=cwd,
                    env=env,
                    user=user,
                    group=user,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
        self.pid = self._child.pid
        atexit.register(self.kill_tree)

    @property
    def running(self) -> bool:
        return self._child.poll() is None

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_for(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Return once `ready()`; RuntimeError with the log if the command ends or `seconds` pass before."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running or time.monotonic() > deadline:
                state = "late" if self.running else f"ended with {self._child.returncode}"
                self.kill_tree()
                raise RuntimeError(f"{self._child.args!r}: {state}\n{self.log()[-4000:]}")
            time.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        self._child.send_signal(number)

    def tree(self) -> list[int]:
        """The command's process and those that it started."""
        return [self.pid, *_children(self.pid)]

    def send_tree(self, number: signal.Signals) -> None:
        for pid in self.tree():
            with contextlib.suppress(ProcessLookupError):  # a child that ended meanwhile
                os.kill(pid, number)

    def freeze(self) -> None:
        """SIGSTOP to the command and its children; returns when none of them runs any more."""
        self.send_tree(signal.SIGSTOP)
        # A process goes on until one of its threads has had its turn to read the signal: on a busy machine, a while.
        stopped = self.tree()
        wait_until(lambda: all(_state(pid) in "TZX" for pid in stopped), 10, "processes stand still")

    def thaw(self) -> None:
        self.send_tree(signal.SIGCONT)

    def wait(self, seconds: float) -> int:
        """The exit code; TimeoutError if the command runs longer than `seconds`."""
        try:
            return self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"still running after {seconds} s:\n{self.log()[-4000:]}") from None

    def kill_tree(self) -> None:
        """SIGKILL to the command and its children; returns when all are gone."""
        atexit.unregister(self.kill_tree)
        if not self.running:
            return
        children = _children(self.pid)
        self._child.kill()
        self._child.wait()
        for child in children:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                continue
        wait_until(lambda: not any(map(is_alive, children)), 10, "children of a killed process end")

    def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = 20) -> None:
        """Ask with a signal, kill after `seconds`."""
        if self.running:
            self.send(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(seconds)
        self.kill_tree()


def _children(pid: int) -> list[int]:
    """Children and grandchildren, at once: after the parent's death they could not be told any more."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # of a thread that ended meanwhile
            for child in map(int, task.read_text().split()):
                found += [child, *_children(child)]
    return found


def is_alive(pid: int) -> bool:
    return _state(pid) not in "ZX"


def _state(pid: int) -> str:
    """The state of a process as ps shows it, X where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"
