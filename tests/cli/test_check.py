"""`poolwright check` where no server is asked: help, mistakes, Ctrl-C. tests/smoke/test_check.py has the servers."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Poolwright, command
from tests.cli.test_interrupts import alive, wait_for


@pytest.fixture
def shop(poolwright: Poolwright, tmp_path: Path) -> Path:
    """A project whose packages are not installed."""
    assert poolwright("new", "shop", "--yes", "--database", "sqlite", "--no-git").code == 0
    return tmp_path / "shop"


def pretend_python(project: Path, script: str) -> None:
    """A Python of the project's own environment that does something else."""
    python = project / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    python.chmod(0o755)


def test_help_says_what_is_asked_how_and_the_exit_codes(poolwright: Poolwright) -> None:
    text = " ".join(poolwright("check", "--help").out.split())
    assert "behind its DATABASE_URL" in text
    assert "5 the server cannot be reached" in text
    assert all(flag in text for flag in ("--json", "--quiet", "--verbose", "--version"))


@pytest.mark.parametrize("arguments", [["nowhere"], [], [""], ["--nonsense"]], ids=str)
def test_what_is_no_project_is_a_mistake(arguments: list[str], poolwright: Poolwright) -> None:
    done = poolwright("check", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") <= 2
    if arguments in (["nowhere"], []):
        assert "is no generated project: it has no .copier-answers.yml.\n" in done.err


def test_a_mistake_is_json_too(poolwright: Poolwright) -> None:
    done = poolwright("check", "nowhere", "--json")
    told = json.loads(done.out)
    assert (told["schema_version"], told["exit_code"], done.code) == (1, 2, 2)


def test_missing_packages_are_told_with_each_python_that_was_tried(
    shop: Path, poolwright: Poolwright, tmp_path: Path
) -> None:
    pretend_python(shop, """echo '{"failed": "imports", "reason": "No module named fastapi"}'""")
    done = poolwright("check", "shop", PATH="/usr/bin:/bin", VIRTUAL_ENV="")
    assert done.code == 2
    lines = done.err.splitlines()
    assert f"{shop}/.venv/bin/python: No module named fastapi." in lines
    assert lines[-1] == "Run uv sync in shop, or activate the virtual environment that has them."
    assert sum("python3: No module named" in line for line in lines) == 1


def test_a_python_that_says_nothing_is_told(shop: Path, poolwright: Poolwright) -> None:
    pretend_python(shop, "echo hello; exit 7")
    done = poolwright("check", "shop")
    assert done.code == 1
    assert "ended with 7 and said nothing of the server" in done.err


def test_answers_that_were_changed_by_hand_are_checked_first(shop: Path, poolwright: Poolwright) -> None:
    answers = shop / ".copier-answers.yml"
    answers.write_text(answers.read_text(encoding="utf-8") + "workers: 500\n", encoding="utf-8")
    done = poolwright("check", "shop")
    assert done.code == 3
    assert done.err.startswith("The plan does not fit: ")


def test_numbers_that_the_answers_do_not_give_are_told(shop: Path, poolwright: Poolwright) -> None:
    found = {"settings": {"ca_file": None}, "database": {"failed": "refused", "reason": "no", "address": "shop.db"}}
    pretend_python(shop, f"echo '{json.dumps(found)}'")
    told = json.loads(poolwright("check", "shop", "--json").out)
    assert [row["what"] for row in told["rows"]] == ["connection"]
    answers = shop / ".copier-answers.yml"
    text = answers.read_text(encoding="utf-8")
    answers.write_text(text.replace("workers: 4\n", "workers: 8\n"), encoding="utf-8")
    first, _ = json.loads(poolwright("check", "shop", "--json").out)["rows"]
    assert (first["what"], first["verdict"]) == ("app/plan.py", "warning")
    assert "processes 1 x (8 + 1) = 9" in first["planned"]
    assert "processes 1 x (4 + 1) = 5" in first["found"]
    assert "app/plan.py" in poolwright("check", "shop").out
    answers.write_text(text.replace("deployment: vm\n", ""), encoding="utf-8")
    lost = poolwright("check", "shop")
    assert (lost.code, lost.out) == (2, "")
    assert "shop/.copier-answers.yml has lost its answer to deployment: " in lost.err


def test_ctrl_c_ends_the_question_too(shop: Path, environment: dict[str, str], tmp_path: Path) -> None:
    pretend_python(shop, f'echo $$ > "{tmp_path}/pid"; exec sleep 60')
    child = subprocess.Popen(
        command("check", "shop"), cwd=tmp_path, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip() != "")
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=10)
    assert (child.returncode, out) == (130, b"")
    assert b"Traceback" not in err
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: not alive(pid))
