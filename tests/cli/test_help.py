"""Help, versions, colour, and what is imported for them."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from poolwright import catalog, questions
from poolwright.questions import keys as all_keys
from tests.cli.conftest import Poolwright, command

HEAVY = {"copier", "questionary", "rich", "prompt_toolkit"}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["new", "--help"], ["plan", "--json"], ["matrix", "--json"], ["--version"]], ids=" ".join
)
def test_heavy_libraries_are_not_imported(arguments: list[str], environment: dict[str, str]) -> None:
    script = (
        "import sys\nfrom poolwright.cli import run\n"
        f"code = run({arguments!r})\nprint(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "[]\n")


def test_help_names_every_command_flag_and_value(poolwright: Poolwright) -> None:
    done = poolwright("--help")
    assert done.code == 0
    assert all(f"\n  {name} " in done.out for name in ("new", "plan", "update", "check", "matrix"))
    for name in ("new", "plan", "update"):
        text = poolwright(name, "--help").out
        for key in all_keys():
            assert f"--{key.replace('_', '-')}" in text
            if questions.type_of(key) == "str" and questions.possible(key):
                assert "|".join(questions.possible(key)) in text
        assert not {"\x1b", "╭", "│"} & set(text)
        assert max(map(len, text.splitlines())) <= 80


def test_version_is_that_of_pyproject(poolwright: Poolwright) -> None:
    assert poolwright("--version").out == f"poolwright {catalog.distribution().version}\n"
    assert poolwright("new", "--version").out == f"poolwright {catalog.distribution().version}\n"


def test_no_command_and_an_unknown_one_are_mistakes(poolwright: Poolwright) -> None:
    assert poolwright().code == 2
    done = poolwright("plna")
    assert done.code == 2
    assert "plan" in done.err


def on_terminal(arguments: list[str], environment: dict[str, str], folder: Path) -> str:
    """What a command prints on a terminal."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        command(*arguments), cwd=folder, env=environment, stdin=child, stdout=child, stderr=child
    )
    os.close(child)
    output = b""
    while True:
        try:
            chunk = os.read(parent, 65536)
        except OSError:
            break
        if not chunk:
            break
        output += chunk
    os.close(parent)
    process.wait()
    return output.decode()


def test_colour_only_where_it_is_wanted(environment: dict[str, str], tmp_path: Path) -> None:
    assert "\x1b[32m" in on_terminal(["plan"], environment, tmp_path)
    without = on_terminal(["plan"], environment | {"NO_COLOR": "1"}, tmp_path)
    assert not any(f"\x1b[{code}m" in without for code in (31, 32, 33))
    assert "\x1b" not in on_terminal(["plan"], environment | {"TERM": "dumb"}, tmp_path)


def test_a_dumb_terminal_is_not_asked_on_and_gets_no_escape_codes(environment: dict[str, str], tmp_path: Path) -> None:
    environment = environment | {"TERM": "dumb"}
    assert "there is no terminal to ask on: --project-name" in on_terminal(["new"], environment, tmp_path)
    made = on_terminal(["new", "shop", "-y", "--database", "sqlite"], environment, tmp_path)
    assert "\x1b" not in made
    assert "Wrote shop" in made


def test_messages_are_not_cut_within_a_word_on_a_terminal(environment: dict[str, str], tmp_path: Path) -> None:
    arguments = ["plan", "--instances", "40", "--quiet"]
    told = on_terminal(arguments, environment | {"COLUMNS": "50"}, tmp_path)
    lines = told[told.index("The plan does not fit") :].splitlines()
    assert lines[0] == "The plan does not fit: 200 processes need at least"
    assert max(map(len, lines)) <= 50
    done = subprocess.run(command(*arguments), cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stderr.count("\n") == 2
    assert " ".join(lines) == " ".join(done.stderr.splitlines())


def test_json_stays_pure_on_a_terminal(environment: dict[str, str], tmp_path: Path) -> None:
    assert json.loads(on_terminal(["plan", "--json"], environment, tmp_path))["fits"] is True
