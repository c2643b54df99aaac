"""The command line as a process of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

GENERATOR = Path(__file__).resolve().parents[2] / "generator"


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    code: int
    out: str
    err: str


Poolwright = Callable[..., Finished]


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of the commands: this checkout, no colour forced, a Git identity of the test's own."""
    config = tmp_path_factory.mktemp("git") / "config"
    config.write_text("[user]\n name = A\n email = a@example.org\n", encoding="utf-8")
    dropped = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "DATABASE_URL", "PYTHONWARNINGS")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    own = {"PYTHONPATH": str(GENERATOR), "GIT_CONFIG_GLOBAL": str(config), "TERM": "xterm", "PYTHONUTF8": "1"}
    return kept | own


@pytest.fixture
def poolwright(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Poolwright]:
    """Run a command line in an empty directory (tmp_path), without a terminal, in this process: quick."""
    from poolwright.cli import run as run_command_line

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str, **variables: str) -> Finished:
        with monkeypatch.context() as patch:
            for name, value in (environment | variables).items():
                patch.setenv(name, value)
            capsys.readouterr()
            code = run_command_line(arguments)
            return Finished(code, *capsys.readouterr())

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def process(tmp_path: Path, environment: dict[str, str]) -> Poolwright:
    """The same in a process of its own."""

    def run(*arguments: str, **variables: str) -> Finished:
        done = subprocess.run(
            command(*arguments),
            cwd=tmp_path,
            env=environment | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
        return Finished(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "poolwright", *arguments]


def left_in(folder: Path) -> list[str]:
    """What a directory holds, hidden files too."""
    return sorted(os.listdir(folder))
