"""Processes that end with this one: a stop signal ends them and what they started."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from poolwright.interrupts import undone_by, uninterrupted


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
) -> Finished:
    """Run a command in `folder` with `given` as its input.

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
            )
            stack.enter_context(undone_by(partial(_end, child)))
        out, err = child.communicate(given, timeout_seconds)
        return Finished(child.returncode, out, err)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill a command and what it started; for signal handlers, so without the lock that `child.wait` takes."""
    with suppress(OSError):  # it has ended
        os.killpg(child.pid, signal.SIGKILL)
    with suppress(OSError):
        os.waitpid(child.pid, 0)
