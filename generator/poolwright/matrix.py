"""Every valid combination rendered and checked with its own tools."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from poolwright import questions
from poolwright.errors import PoolwrightError, TargetExists, UsageError, quoted
from poolwright.interrupts import undone_by
from poolwright.questionnaire import nearest
from poolwright.questions import combinations, evaluate
from poolwright.render import render_project

#: The commands of each check, run in the project with its own environment.
CHECKS = {
    "lint": [["ruff", "check", "."], ["ruff", "format", "--check", "."]],
    "types": [["mypy", "--strict", "."]],
    "tests": [["pytest"]],
}

_running: set[subprocess.Popen[str]] = set()
_starting = threading.Lock()  # held while a command starts, so that none is missed when all are ended
_ended = threading.Event()  # no command starts any more


@dataclass(frozen=True)
class Result:
    """How one step (render, or a check) went for one combination."""

    name: str
    answers: Mapping[str, Any]
    step: str
    ok: bool
    seconds: float
    output: str

    def document(self) -> dict[str, Any]:
        """The result as JSON."""
        told = {"name": self.name, "answers": dict(self.answers), "step": self.step, "ok": self.ok}
        return told | {"seconds": round(self.seconds, 1), "output": "" if self.ok else self.output}


def select(filters: Sequence[tuple[str, str]], shard: str) -> list[dict[str, Any]]:
    """The valid combinations that have all the answers of `filters`, part I of N for the shard "I/N"."""
    found = list(combinations())
    for key, value in filters:
        if key not in found[0]:
            near = nearest(key, found[0])
            raise UsageError(
                f"Cannot filter by {quoted(key)}: the keys are {', '.join(found[0])}."
                + (f"\nDid you mean {near}?" if near else "")
            )
        legal = [choice.value for choice in questions.choices(key, {})]
        if value not in legal and not isinstance(legal[0], bool):
            near = nearest(value, legal)
            raise UsageError(
                f"{key} cannot be {quoted(value)}: it is one of {', '.join(legal)}."
                + (f"\nDid you mean {near}?" if near else "")
            )
    chosen = [row for row in found if _matches(row, filters)]
    part, slash, parts = shard.partition("/")
    if not (slash and part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise UsageError(f"--shard is I/N with I from 1 to N, not {quoted(shard)}: 1/4, for example.")
    return chosen[int(part) - 1 :: int(parts)]


def select_refused(filters: Sequence[tuple[str, str]]) -> list[tuple[dict[str, Any], str]]:
    """The refused combinations that do not contradict the answers of `filters`, with their reasons."""
    return [(answers, reason) for answers, reason in questions.refused() if _matches(answers, filters)]


def name_of(answers: Mapping[str, Any]) -> str:
    """A folder's name for a combination: its answers in order."""
    return "-".join(str(value).lower() for value in answers.values())


def run(
    chosen: Sequence[Mapping[str, Any]],
    directory: Path | None,
    checks: Sequence[str],
    *,
    jobs: int,
    fail_fast: bool,
    tell: Callable[[str], None],
    verbose: bool = False,
) -> list[Result]:
    """Render each combination to a folder of its own in `directory` (None: a temporary one), and check it there.

    `tell` gets a line for each result as it comes, and the output of what failed (of everything when `verbose`).
    """
    for check in checks:
        if check not in CHECKS:
            near = nearest(check, CHECKS)
            raise UsageError(
                f"There is no check called {quoted(check)}: the checks are {', '.join(CHECKS)}."
                + (f"\nDid you mean {near}?" if near else "")
            )
    environments = {name_of(row): _environment(row, tests="tests" in checks) for row in chosen}
    for name in environments:
        if directory is not None and os.path.lexists(directory / name):
            raise TargetExists(f"{directory / name} exists. Choose another directory for --render.")
    results: list[Result] = []

    def note(result: Result) -> bool:
        """Whether to go on."""
        results.append(result)
        tell(f"{'ok' if result.ok else 'FAILED':6} {result.step:6} {result.name} {result.seconds:.1f} s")
        if result.output and (verbose or not result.ok):
            tell(result.output.rstrip())
        return result.ok or not fail_fast

    _ended.clear()
    with _folder(directory) as folder, undone_by(_kill), ThreadPoolExecutor(jobs) as pool:
        waiting: set[Future[list[Result]]] = set()
        going = True
        for row in chosen:
            project = folder / name_of(row)
            if not (going := note(_rendered(row, project))):
                break
            if checks and results[-1].ok:
                waiting.add(pool.submit(_checked, row, project, checks, environments[name_of(row)], fail_fast))
        while waiting and going:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            going = all([note(result) for future in done for result in future.result()])
        if not going:
            for future in waiting:
                future.cancel()
            _kill()
    return results


def junit(results: Sequence[Result]) -> str:
    """The results as JUnit XML: a suite for each step, a case for each combination."""
    root = ElementTree.Element("testsuites", name="poolwright matrix")
    for step in dict.fromkeys(result.step for result in results):
        of_step = [result for result in results if result.step == step]
        failures = sum(not result.ok for result in of_step)
        suite = ElementTree.SubElement(root, "testsuite", name=step, tests=str(len(of_step)), failures=str(failures))
        for result in of_step:
            case = ElementTree.SubElement(
                suite, "testcase", classname=step, name=result.name, time=f"{result.seconds:.3f}"
            )
            if not result.ok:
                failure = ElementTree.SubElement(case, "failure", message=f"{step} failed")
                failure.text = "".join(letter for letter in result.output if letter.isprintable() or letter in "\n\t")
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _matches(answers: Mapping[str, Any], filters: Sequence[tuple[str, str]]) -> bool:
    return all(str(answers.get(key, value)).lower() == value.lower() for key, value in filters)


@contextmanager
def _folder(directory: Path | None) -> Iterator[Path]:
    if directory is not None:
        yield directory
        return
    temporary = Path(tempfile.gettempdir()) / f"poolwright-matrix-{os.getpid()}"

    def remove() -> None:
        shutil.rmtree(temporary, ignore_errors=True)

    with undone_by(remove):
        temporary.mkdir(mode=0o700)
        yield temporary
    remove()


def _environment(answers: Mapping[str, Any], *, tests: bool) -> dict[str, str]:
    """The environment of the checks: this process's, without its virtual environment, and with the server's URL."""
    left_out = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    evaluation = evaluate(answers)
    facts = evaluation.values["catalog"]["databases"][evaluation.answers["database"]]
    own = f"DATABASE_URL_{evaluation.answers['database'].upper()}"
    scheme = os.environ.get("DATABASE_URL", "").strip().partition("://")[0].lower()
    if own in os.environ:
        environment["DATABASE_URL"] = os.environ[own]
    elif not {scheme, scheme.partition("+")[0]} & set(facts["schemes"]):
        environment.pop("DATABASE_URL", None)
        if not facts["shared"]:
            environment["DATABASE_URL"] = facts["url"]  # a file in the project
        elif tests:
            raise UsageError(f"--check tests needs the URL of a {facts['label']} server in {own}.")
    return environment


def _rendered(answers: Mapping[str, Any], project: Path) -> Result:
    start = time.monotonic()
    try:
        render_project(answers, project)
    except PoolwrightError as error:
        return Result(name_of(answers), answers, "render", False, time.monotonic() - start, str(error))
    return Result(name_of(answers), answers, "render", True, time.monotonic() - start, "")


def _checked(
    answers: Mapping[str, Any], project: Path, checks: Sequence[str], environment: dict[str, str], fail_fast: bool
) -> list[Result]:
    results: list[Result] = []
    uv = shutil.which("uv")
    for check in checks:
        start = time.monotonic()
        commands = [[uv, "run", *command] for command in CHECKS[check]] if uv else _with_pip(project, CHECKS[check])
        code, output = 0, ""
        for command in commands:
            code, text = _run(command, project, environment)
            output += text
            if code:
                break
        results.append(Result(name_of(answers), answers, check, code == 0, time.monotonic() - start, output))
        if code and fail_fast:
            break
    return results


def _with_pip(project: Path, commands: Sequence[Sequence[str]]) -> list[list[str]]:
    """The commands in a virtual environment made by pip, which is made first where it is missing."""
    python = project / ".venv" / "bin" / "python"
    making = [
        [sys.executable, "-m", "venv", ".venv"],
        [str(python), "-m", "pip", "install", "--quiet", "pip>=25.1"],  # the first with --group
        [str(python), "-m", "pip", "install", "--quiet", "--editable", ".", "--group", "dev"],
    ]
    return ([] if python.exists() else making) + [[str(python), "-m", *command] for command in commands]


def _run(command: Sequence[str], project: Path, environment: dict[str, str]) -> tuple[int, str]:
    """The exit code and the output of a command, which has a process group of its own."""
    with _starting:
        if _ended.is_set():
            return 1, "stopped"
        child = subprocess.Popen(
            command,
            cwd=project,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        _running.add(child)
    try:
        output, _ = child.communicate()
    finally:
        _running.discard(child)
    return child.returncode, f"$ {' '.join(command)}\n{output}"


def _kill() -> None:
    with _starting:
        _ended.set()
        for child in list(_running):
            with suppress(OSError):
                os.killpg(child.pid, signal.SIGKILL)
