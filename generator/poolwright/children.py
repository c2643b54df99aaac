"""Processes that end with this one: a stop signal ends them and what they started."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from poolwright.interrupts import undone_by, uninterrupted

_TIED = Path(__file__).with_name("tied.py")


class Finished(NamedTuple):
    """How a process ended: its exit code and what it wrote."""

    code: int
    out: bytes
    err: bytes


def run(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    *,
    given: bytes = b"",
    timeout_seconds: float | None = None,
    inherited: Sequence[int] = (),
) -> Finished:
    """Run a command in `folder` with `given` as its input and the files `inherited` open.

    Raises OSError where it cannot start, and subprocess.TimeoutExpired, after which it has ended too.
    """
    with ExitStack() as stack:
        # A stop signal waits until `_end` is known: one between the two would leave the child behind, writing.
        with uninterrupted():
            child = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                pass_fds=inherited,
            )
            stack.enter_context(undone_by(partial(_end, child)))
        out, err = child.communicate(given, timeout_seconds)
        return Finished(child.returncode, out, err)


def run_module(module: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Finished:
    """Run a module with this Python; it ends with this process even where this one is killed (see tied.py)."""
    reading, writing = os.pipe()
    try:
        command = [sys.executable, "-P", str(_TIED), str(reading), module, *arguments]
        return run(command, folder, environment, inherited=[reading])
    finally:
        os.close(reading)
        os.close(writing)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill a command and what it started; for signal handlers, so without the lock that `child.wait` takes."""
    with suppress(OSError):  # it has ended
        os.killpg(child.pid, signal.SIGKILL)
    with suppress(OSError):
        os.waitpid(child.pid, 0)
