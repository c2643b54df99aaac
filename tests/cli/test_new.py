"""`poolwright new` without a terminal: what it makes, and what it refuses."""

import json
import shlex
from pathlib import Path

import pytest
import yaml

from poolwright.questions import evaluate
from poolwright.render import list_files
from tests.cli.conftest import Poolwright, left_in

SQLITE = ("--yes", "--database", "sqlite")


def test_a_project_is_made_with_a_repository_and_told_how_to_go_on(process: Poolwright, tmp_path: Path) -> None:
    done = process("new", "shop", *SQLITE)
    assert done.code == 0, done.err
    assert left_in(tmp_path) == ["shop"]
    assert (tmp_path / "shop/.git").is_dir()
    assert yaml.safe_load((tmp_path / "shop/.copier-answers.yml").read_text())["project_name"] == "shop"
    assert done.out.startswith("Wrote shop: ")
    assert "[" + "R" in done.out  # the bar
    assert done.err == "Rendering shop\n"
    steps = done.out.split("Next:\n")[1].split("\n\n")[0].splitlines()
    assert steps[0].startswith("  cd shop && ")
    assert steps[1] == "  cp .env.example .env"
    assert steps[-1] == "  http://127.0.0.1:8000/docs"


def test_the_printed_command_makes_the_same_project_again(poolwright: Poolwright, tmp_path: Path) -> None:
    done = poolwright("new", "it's", *SQLITE, "--project-name", "shop", "--workers", "2", "--reserve", "-1")
    again = done.out.strip().splitlines()[-1]
    words = shlex.split(again)
    assert words[:3] == ["poolwright", "new", "it's"]
    (tmp_path / "it's").rename(tmp_path / "before")
    assert poolwright(*words[1:]).code == 0
    for name in list_files(evaluate({"database": "sqlite", "project_name": "shop"})):
        assert (tmp_path / "it's" / name).read_bytes() == (tmp_path / "before" / name).read_bytes()


def test_the_readme_has_the_same_next_steps(poolwright: Poolwright, tmp_path: Path) -> None:
    poolwright("new", "shop", *SQLITE)
    readme = (tmp_path / "shop/README.md").read_text(encoding="utf-8")
    for step in ("uv sync", "cp .env.example .env", "uv run python -m app.migrate", "uv run uvicorn app.main:app"):
        assert step in readme


def test_without_a_directory_the_project_goes_to_one_of_its_name(poolwright: Poolwright, tmp_path: Path) -> None:
    assert poolwright("new", *SQLITE, "--project-name", "shop", "--no-git", "-q").out == "shop\n"
    assert left_in(tmp_path) == ["shop"]
    assert not (tmp_path / "shop/.git").exists()


def test_json_is_the_plan_and_what_was_written(poolwright: Poolwright, tmp_path: Path) -> None:
    done = poolwright("new", "shop", *SQLITE, "--json")
    told = json.loads(done.out)
    assert told["schema_version"] == 1
    assert told["answers"] == evaluate({"database": "sqlite", "project_name": "shop"}).answers
    assert told["directory"] == str(tmp_path / "shop")
    assert told["written"] is True
    assert all((tmp_path / "shop" / name).is_file() for name in told["files"])


def test_a_dry_run_lists_the_files_and_writes_nothing(poolwright: Poolwright, tmp_path: Path) -> None:
    done = poolwright("new", "a/shop", *SQLITE, "-n", TMPDIR=str(tmp_path))
    assert done.code == 0
    assert [line.strip() for line in done.out.splitlines() if line.startswith("  ")][:-1] == list_files(
        evaluate({"database": "sqlite", "project_name": "shop"})
    )
    assert left_in(tmp_path) == []


def test_answers_come_from_flags_then_data_then_a_file(poolwright: Poolwright, tmp_path: Path) -> None:
    (tmp_path / "answers.yml").write_text(
        "_src_path: elsewhere\nproject_name: filed\ndatabase: postgresql\nworkers: 3\ninstances: 1\nreserve: 5\n"
    )
    done = poolwright(
        *("new", "x", "-y", "--answers", "answers.yml", "-d", "workers=2", "--data", "reserve=6", "--reserve", "7"),
        "--json",
    )
    answers = json.loads(done.out)["answers"]
    assert (answers["project_name"], answers["workers"], answers["reserve"]) == ("filed", 2, 7)


def test_a_value_with_braces_is_only_text(poolwright: Poolwright, tmp_path: Path) -> None:
    done = poolwright("new", "{{7*7}}", *SQLITE, "--project-name", "shop")
    assert done.code == 0
    assert left_in(tmp_path) == ["{{7*7}}"]


BAD_NAMES = [
    "class",
    "..",
    "a/b",
    "{{7*7}}",
    "con",
    "",
    "x" * 300,
    "a'b",
    'a"b',
    "[red]x[/red]",
    "-x",
    "a\nb",
    "\x1b[2J",
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_bad_name_is_refused_in_a_sentence(name: str, poolwright: Poolwright, tmp_path: Path) -> None:
    done = poolwright("new", "shop", *SQLITE, f"--project-name={name}")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("project_name ")
    assert "Traceback" not in done.err
    assert "\x1b" not in done.err
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("name", ["class", "{{7*7}}", "con", "", "x" * 300, "a'b", 'a"b', "a b"])
def test_a_directory_whose_name_is_bad_for_a_project_is_refused_too(
    name: str, poolwright: Poolwright, tmp_path: Path
) -> None:
    done = poolwright("new", *SQLITE, "--", name)
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.err
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-d", "databse=sqlite"], "Did you mean database?"),
        (["--databse", "sqlite"], "No such option: --databse"),
        (["--database", "postgres"], "Did you mean postgresql?"),
        (["--database", "mongodb", "--style", "sqlalchemy"], "no MongoDB dialect. Use --style raw or --style beanie."),
        (["-d", "pool_size=9"], "pool_size is computed and cannot be set."),
        (["-d", "capacity=9"], "capacity is computed and cannot be set."),
        (["-d", "catalog={}"], "catalog is computed and cannot be set."),
        (["-d", "fits=true"], "fits is computed and cannot be set."),
        (["-d", "_src_path=x"], "There is no answer called '_src_path'"),
        (["-d", "workers"], "'workers' is not KEY=VALUE"),
        (["-d", "=4"], "'=4' is not KEY=VALUE"),
        (["--workers", "abc"], "workers is a whole number, not 'abc'"),
        (["--workers", "1e3"], "workers is a whole number, not '1e3'"),
        (["--workers", ""], "workers is a whole number, not ''"),
        (["--workers", "0"], "workers is a whole number from 1 to 512, not 0"),
        (["--workers"], "requires an argument"),
        (["--answers", "missing.yml"], "Cannot read missing.yml: No such file"),
        (["--answers", "."], "Cannot read .: Is a directory"),
        (["--answers", "list.yml"], "list.yml holds no answers"),
        (["--answers", "broken.yml"], "broken.yml is not a YAML file of answers"),
        (["--answers", "binary.yml"], "binary.yml is not a YAML file of answers"),
        (["--answers", "deep.yml"], "deep.yml is not a YAML file of answers"),
        (["--answers", "nested.yml"], "workers is a whole number, not a list"),
        (["--answers", "key.yml"], "There is no answer called '1'"),
        (["one", "two"], "unexpected extra argument"),
        (["--database", "sqlite", "--read-replica"], "SQLite has no read replicas: it is a file of one machine."),
        (["-d", "database=postgresql://app:hunter2@host/db"], "postgresql://app:***@host/db"),
        (["postgresql://app:hunter2@host", "extra"], "unexpected extra argument"),
    ],
)
def test_a_mistake_is_told_in_words_with_exit_code_2(
    arguments: list[str], words: str, poolwright: Poolwright, tmp_path: Path
) -> None:
    files = {"list.yml": b"- a", "broken.yml": b"a: [", "binary.yml": b"\xff\xfe\x00", "deep.yml": b"[" * 100_000}
    files |= {"nested.yml": b"workers: [1]", "key.yml": b"1: 2"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    done = poolwright("new", "--yes", *arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert "Traceback" not in done.err
    assert "hunter2" not in done.err
    assert left_in(tmp_path) == sorted(files)


def test_a_plan_that_does_not_fit_is_refused_with_numbers(poolwright: Poolwright, tmp_path: Path) -> None:
    done = poolwright("new", "shop", "-y", "--workers", "100")
    assert (done.code, done.out) == (3, "")
    assert done.err.splitlines()[0].startswith("The plan does not fit: 101 processes need at least 101 connections")
    assert done.err.splitlines()[1] == (
        "Use at most 85 processes, or raise max_connections to 116, or put a pooler in front (--pooler pgbouncer)."
    )
    told = json.loads(poolwright("new", "shop", "-y", "--workers", "100", "--json").out)
    assert told["fits"] is False
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_target_in_use_is_exit_code_4(kind: str, poolwright: Poolwright, tmp_path: Path) -> None:
    if kind == "file":
        (tmp_path / "shop").write_text("mine")
    else:
        (tmp_path / "shop").mkdir()
        (tmp_path / "shop/mine").write_text("mine")
    for more in ([], ["--dry-run"], ["--json"]):
        done = poolwright("new", "shop", *SQLITE, *more)
        assert done.code == 4
        assert "shop exists and is not " in done.err
    assert left_in(tmp_path) == ["shop"]
    if kind == "directory":
        assert poolwright("new", "shop", *SQLITE, "--force").code == 0
        assert {"mine", "app", "README.md"} <= set(left_in(tmp_path / "shop"))


def test_without_a_terminal_nobody_is_asked(poolwright: Poolwright, tmp_path: Path) -> None:
    for more in ([], ["--no-input"], ["--json"]):
        done = poolwright("new", "shop", "--database", "mongodb", "--style", "raw", "--driver", "pymongo", *more)
        assert done.code == 2
        missing = "--deployment, --workers, --instances, --surge, --max-connections, --reserve, --read-replica, --cache"
        assert f"Answers are missing, and there is no terminal to ask on: {missing}.\n" in done.err
    assert left_in(tmp_path) == []


def test_with_every_answer_given_no_yes_is_needed(poolwright: Poolwright) -> None:
    done = poolwright(
        *("new", "shop", "--no-input", "--database", "sqlite", "--style", "sqlalchemy", "--deployment", "compose"),
        *("--workers", "1", "--max-connections", "0", "--reserve", "-1", "--cache", "none", "-q"),
    )
    assert (done.code, done.out) == (0, "shop\n")


def test_json_mode_tells_errors_as_json(poolwright: Poolwright) -> None:
    done = poolwright("new", "--json", "-y", "--workers", "x")
    assert json.loads(done.out)["exit_code"] == 2
    assert "workers is a whole number" in json.loads(done.out)["error"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a file system that refuses to be written")
def test_a_disk_that_refuses_is_told(poolwright: Poolwright) -> None:
    done = poolwright("new", "/proc/shop", *SQLITE)
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines()[-1] == "Cannot write /proc/shop: No such file or directory."
