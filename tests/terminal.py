"""An emulated terminal: commands run in it as on a real one, and what it shows can be read."""

import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import pyte
from pyte.screens import Char

ENTER, DOWN, UP, ESC, CTRL_C = "\r", "\x1b[B", "\x1b[A", "\x1b", "\x03"
SECONDS = 20


class _Screen(pyte.HistoryScreen):
    def select_graphic_rendition(self, *attributes: int, **options: bool) -> None:
        """Dim text, which pyte does not know, is bright black."""
        dim, colours = 2, {38, 48}  # behind a colour's code 2 is a part of it
        if colours.isdisjoint(attributes):
            attributes = tuple(90 if code == dim else code for code in attributes)
        super().select_graphic_rendition(*attributes, **options)


class Terminal:
    """An emulated terminal in which a command runs; it can tell where its cursor is, as real ones can."""

    def __init__(
        self, words: list[str], folder: Path, environment: dict[str, str], columns: int, rows: int = 24
    ) -> None:
        self._child = pexpect.spawn(
            words[0],
            words[1:],
            cwd=str(folder),
            env=environment,
            dimensions=(rows, columns),
            timeout=SECONDS,
            encoding="utf-8",
        )
        self._child.delaybeforesend = None
        self._screen = _Screen(columns, rows, history=1000)
        self._screen.write_process_input = self._child.send  # type: ignore[method-assign, assignment]
        self._stream = pyte.Stream(self._screen)
        self.pid = int(self._child.pid or 0)

    @property
    def cells(self) -> list[list[Char]]:
        """The lines on the screen, and above it, up to the last that is not empty."""
        lines = [*self._screen.history.top, *(self._screen.buffer[row] for row in range(self._screen.lines))]
        cells = [[line[column] for column in range(self._screen.columns)] for line in lines]
        while cells and not _text(cells[-1]):
            cells.pop()
        return cells

    @property
    def shown(self) -> str:
        """The same as text."""
        return "\n".join(map(_text, self.cells))

    @property
    def words(self) -> str:
        """The same as one line."""
        return " ".join(self.shown.split())

    def wait(self, condition: Callable[[], bool], what: object) -> None:
        """Show what comes until the condition holds; `what` is missing where it never does."""
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"not shown: {what}\n{self.shown}"
            assert self._read(), f"ended without {what}\n{self.shown}"

    def see(self, *texts: str) -> None:
        """Wait until all the texts are shown at once, wrapped or not."""
        self.wait(lambda: all(text in self.words for text in texts), texts)

    @property
    def question(self) -> str:
        """The question that is asked now, with everything below it; its answers stand above."""
        return " ".join(("\n" + self.shown).rpartition("\n? ")[2].split())

    def asked(self, *texts: str) -> None:
        """Wait until the question that begins with the first text is asked and shows the others."""
        self.wait(lambda: self.question.startswith(texts[0]) and all(text in self.question for text in texts), texts)

    def type(self, *keys: str) -> None:
        """Press the keys, one after the other."""
        for key in keys:
            self._child.send(key)

    def settle(self, seconds: float) -> None:
        """Wait until nothing has come for that long."""
        deadline = time.monotonic() + SECONDS
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < seconds:
            assert time.monotonic() < deadline, f"still painting\n{self.shown}"
            before = self.cells
            if not self._read():
                return
            if self.cells != before:
                quiet_since = time.monotonic()

    def end(self) -> int:
        """Wait for the end of the process; its exit code."""
        deadline = time.monotonic() + SECONDS
        while self._read():
            assert time.monotonic() < deadline, f"still running\n{self.shown}"
        self._child.close()
        return -1 if self._child.exitstatus is None else self._child.exitstatus

    def close(self) -> None:
        self._child.close(force=True)

    def _read(self) -> bool:
        """Show what came; whether more may come."""
        try:
            self._stream.feed(self._child.read_nonblocking(65536, timeout=0.1))
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        return True


def _text(cells: list[Char]) -> str:
    return "".join(cell.data for cell in cells).rstrip()
