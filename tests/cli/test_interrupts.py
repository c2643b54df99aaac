"""Ctrl-C at any moment leaves nothing, exits with 130, and shows no traceback."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import GENERATOR, command, left_in

NEW = ("new", "a/shop", "--yes", "--database", "sqlite")


def test_ctrl_c_at_any_moment_leaves_nothing_or_the_whole_project(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    script = Path(__file__).with_name("interrupted.py")
    variables = environment | {"TMPDIR": str(tmp_path / "work"), "PYTHONPATH": f"{GENERATOR}:{GENERATOR.parent}"}
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "work"), str(tmp_path / "report"), "18", *NEW],
        env=variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split(" ", 3) for line in (tmp_path / "report").read_text(encoding="utf-8").splitlines()]
    assert {(code, state) for _, _, code, state in rows} == {("130", "nothing"), ("0", "everything")}
    assert "subprocess.Popen" in {event for _, event, code, _ in rows if code == "130"}
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.3, 0.6, 1.0])
def test_ctrl_c_while_rendering_in_real_time(seconds: float, environment: dict[str, str], tmp_path: Path) -> None:
    code, err = stopped(signal.SIGINT, seconds, environment, tmp_path)
    assert code in (0, 130)
    assert left_in(tmp_path) == ([] if code else ["a"])
    assert "Traceback" not in err
    if code:
        assert err.endswith("\nStopped. Nothing was written.\n")


def test_a_terminated_process_cleans_up_too(environment: dict[str, str], tmp_path: Path) -> None:
    code, err = stopped(signal.SIGTERM, 0.05, environment, tmp_path)
    assert (code, left_in(tmp_path)) == (143, [])
    assert "Traceback" not in err


def test_ctrl_c_ends_git_which_would_go_on_writing(environment: dict[str, str], tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    loop = "while [ $((i = i + 1)) -lt 20000 ]; do mkdir -p .git/$i; done"
    (tools / "git").write_text(f'#!/bin/sh\npwd > "{tmp_path}/started"\n{loop}\n')
    (tools / "git").chmod(0o755)
    (tmp_path / "work").mkdir()
    variables = environment | {"PATH": f"{tools}:/usr/bin:/bin"}
    child = subprocess.Popen(
        command(*NEW), cwd=tmp_path / "work", env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: (tmp_path / "started").exists())
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=10) == 130
    assert left_in(tmp_path / "work") == []


def test_ctrl_c_in_matrix_ends_the_checks_and_removes_the_folder(environment: dict[str, str], tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "uv").write_text(f'#!/bin/sh\necho $$ >> "{tmp_path}/pids"\nexec sleep 60\n')
    (tools / "uv").chmod(0o755)
    variables = environment | {"PATH": f"{tools}:/usr/bin:/bin", "TMPDIR": str(tmp_path / "tmp")}
    (tmp_path / "tmp").mkdir()
    words = command("matrix", "--filter", "database=sqlite", "--check", "lint", "--jobs", "2")
    child = subprocess.Popen(words, cwd=tmp_path, env=variables, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: (tmp_path / "pids").exists() and len((tmp_path / "pids").read_text().split()) == 2)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=10)
    assert child.returncode == 130
    assert "Traceback" not in err
    assert left_in(tmp_path / "tmp") == []
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    wait_for(lambda: not any(alive(pid) for pid in pids))


def stopped(number: int, seconds: float, environment: dict[str, str], folder: Path) -> tuple[int, str]:
    """The exit code and the messages of a `new` that gets a signal some time after it began to render."""
    child = subprocess.Popen(
        command(*NEW), cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert child.stderr is not None
    first = child.stderr.readline()
    time.sleep(seconds)
    child.send_signal(number)
    rest = child.stderr.read()
    child.stderr.close()
    return child.wait(timeout=10), first + rest


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]
