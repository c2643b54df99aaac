"""Ctrl-C and other stop signals: undo what is half done, then exit at once without a traceback.

The handler does the work itself instead of raising KeyboardInterrupt, which a library may swallow or which may arrive
between two lines of a clean-up.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_SHOW_CURSOR = "\x1b[?25h"
_undos: list[Callable[[], None]] = []
_message = "Stopped."


def install(message: str = "Stopped.") -> None:
    """From now on a stop signal prints the message and ends the process with exit code 130 (128 + its number)."""
    global _message
    _message = message
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN or number == signal.SIGINT:  # nohup stays in force
            signal.signal(number, stop)


def ignore() -> None:
    """From now on stop signals change nothing, waiting ones too: the work is done, only its report is left."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def undone_by(undo: Callable[[], None]) -> Iterator[None]:
    """Run `undo` when the block is left by an exception or ended by a stop signal; `undo` must bear being early."""
    _undos.append(undo)
    try:
        yield
    except BaseException:
        with uninterrupted():
            undo()
        raise
    finally:
        _undos.remove(undo)


@contextmanager
def cleaned_by(clean: Callable[[], None]) -> Iterator[None]:
    """Run `clean` when the block is left, at its end too; `clean` must bear being early, and being repeated."""
    with undone_by(clean):
        yield
        with uninterrupted():
            clean()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Keep stop signals waiting until the block is done."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def stop(number: int = signal.SIGINT, frame: FrameType | None = None) -> None:
    """Undo what is half done and end the process; the signals' handler, and for Ctrl-C read as a key."""
    ignore()
    for undo in reversed(_undos):
        with suppress(Exception):
            undo()
    with suppress(OSError, ValueError):
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            sys.stderr.write(_SHOW_CURSOR)
        sys.stderr.write(f"\n{_message}\n")
        sys.stderr.flush()
    os._exit(128 + number)
