"""Run one command line many times, each in a fork that a stop signal hits at another moment.

Usage: interrupted.py FOLDER REPORT STEP ARGUMENT... The moments are the audit events that touch files or start
processes; every STEP-th is tried, and each that renames or starts a process. A line of REPORT for each moment:
its number, the event, the exit code, what is left.
"""

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from poolwright import interrupts, render, report
from poolwright.cli import run

PRELOADED = (render, report)
EVENTS = {"os.mkdir", "os.rename", "os.rmdir", "os.chmod", "shutil.copyfile", "shutil.rmtree", "subprocess.Popen"}
ALWAYS = {"os.rename", "subprocess.Popen"}


def moments(folder: Path, arguments: list[str]) -> list[str]:
    """The events of a run that nothing interrupts."""
    read, write = os.pipe()
    if os.fork() == 0:

        def log(event: str, details: tuple[object, ...]) -> None:
            if counts(event, details):
                os.write(write, f"{event}\n".encode())

        sys.addaudithook(log)
        os._exit(quiet_run(folder, arguments))
    os.close(write)
    with os.fdopen(read) as lines:
        found = lines.read().splitlines()
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
    return found


def interrupted_at(moment: int, folder: Path, arguments: list[str]) -> int:
    """The exit code of a run that gets SIGINT at its event number `moment`."""
    child = os.fork()
    if child == 0:
        seen = 0

        def strike(event: str, details: tuple[object, ...]) -> None:
            nonlocal seen
            if counts(event, details):
                seen += 1
                if seen == moment:
                    os.kill(os.getpid(), signal.SIGINT)

        sys.addaudithook(strike)
        os._exit(quiet_run(folder, arguments))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def counts(event: str, details: tuple[object, ...]) -> bool:
    writes = event == "open" and isinstance(details[1], str) and details[1][0] in "wxa"
    return writes or event in EVENTS


def quiet_run(folder: Path, arguments: list[str]) -> int:
    os.chdir(folder)
    interrupts.install()
    return run(arguments)


def main() -> None:
    folder, report_path, step = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    # The forks inherit what is compiled here.
    with tempfile.TemporaryDirectory(dir=report_path.parent) as warm:
        render.render_project({"database": "sqlite"}, Path(warm) / "project")
    lines = try_all(folder, step, sys.argv[4:])
    report_path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def try_all(folder: Path, step: int, arguments: list[str]) -> list[str]:
    """The lines of the report."""
    before = sorted(os.listdir(folder))
    events = moments(folder, arguments)
    made = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if ".git/" not in str(path))
    clear(folder, before)
    numbered = list(enumerate(events, 1))
    tried = [moment for moment, event in numbered if moment % step == 1 or event in ALWAYS or moment == len(events)]
    lines = []
    for moment in tried:
        code = interrupted_at(moment, folder, arguments)
        left = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if ".git/" not in str(path))
        state = "nothing" if left == before else "everything" if left == made else f"something {left}"
        lines.append(f"{moment} {events[moment - 1]} {code} {state}")
        clear(folder, before)
    return lines


def clear(folder: Path, before: list[str]) -> None:
    for name in os.listdir(folder):
        if name not in before:
            shutil.rmtree(folder / name)


main()
