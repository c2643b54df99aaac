"""`poolwright matrix`: the list, its parts, and the checks."""

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from poolwright.questions import combinations, refused
from tests.cli.conftest import Poolwright, left_in
from tests.processes import uv


def test_json_lists_the_valid_and_the_refused(poolwright: Poolwright) -> None:
    done = poolwright("matrix", "--json")
    assert (done.code, done.err) == (0, "")
    told = json.loads(done.out)
    assert told["schema_version"] == 1
    assert told["valid"] == list(combinations())
    assert told["refused"] == [{"answers": answers, "reason": reason} for answers, reason in refused()]


def test_text_has_every_reason_whole(poolwright: Poolwright) -> None:
    words = " ".join(poolwright("matrix", COLUMNS="300").out.split())
    narrow = poolwright("matrix", COLUMNS="40").out
    assert max(map(len, narrow.splitlines())) <= 40
    for _, reason in refused():
        assert reason in words


def test_filters_and_shards_choose_parts(poolwright: Poolwright) -> None:
    def valid(*arguments: str) -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(poolwright("matrix", "--json", *arguments).out)["valid"]
        return found

    everything = list(combinations())
    chosen = valid("--filter", "database=postgresql", "--filter", "deployment=vm")
    assert chosen == [row for row in everything if (row["database"], row["deployment"]) == ("postgresql", "vm")]
    shards = [valid("--shard", f"{part}/3") for part in (1, 2, 3)]
    assert sorted(str(row) for shard in shards for row in shard) == sorted(map(str, everything))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--filter", "databse=sqlite"], "Did you mean database?"),
        (["--filter", "database=sqlit"], "Did you mean sqlite?"),
        (["--filter", "database"], "is not KEY=VALUE"),
        (["--shard", "0/2"], "--shard is I/N"),
        (["--shard", "3/2"], "--shard is I/N"),
        (["--shard", "x"], "--shard is I/N"),
        (["--check", "lnt"], "Did you mean lint?"),
        (["--check", "lint", "--jobs", "0"], "--jobs"),
        (["--junit", "x.xml"], "--junit and --fail-fast go with --check"),
        (["--check", "lint", "--filter", "database=mysql", "--filter", "style=beanie"], "No valid combination is left"),
        (["--check", "tests", "--filter", "database=mongodb"], "a MongoDB server in DATABASE_URL_MONGODB"),
    ],
)
def test_a_mistake_is_told_in_words(arguments: list[str], words: str, poolwright: Poolwright, tmp_path: Path) -> None:
    done = poolwright("matrix", *arguments)
    assert done.code == 2
    assert words in done.err
    assert "Traceback" not in done.err
    assert left_in(tmp_path) == []


def test_every_combination_is_rendered_to_a_folder_of_its_own(poolwright: Poolwright, tmp_path: Path) -> None:
    filters = ("deployment=vm", "style=raw", "cache=redis", "read_replica=false")
    done = poolwright("matrix", "--render", "out", "--json", *(word for pair in filters for word in ("--filter", pair)))
    assert done.code == 0, done.err
    told = json.loads(done.out)
    names = ["-".join(str(value).lower() for value in row.values()) for row in told["valid"]]
    assert len(names) > 5
    assert left_in(tmp_path / "out") == sorted(names)
    assert [(row["name"], row["step"], row["ok"]) for row in told["results"]] == [
        (name, "render", True) for name in names
    ]
    again = poolwright("matrix", "--render", "out", "--filter", "database=sqlite", "--filter", "cache=redis")
    assert again.code == 4
    assert left_in(tmp_path / "out") == sorted(names)


@pytest.fixture
def fake_uv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a `uv` that says what it was asked to run, and fails for the commands named in UV_FAILS."""
    folder = tmp_path_factory.mktemp("bin")
    script = f"""#!{sys.executable}
import os, sys, time
words = sys.argv[2:]
open(os.environ["UV_LOG"], "a").write(os.path.basename(os.getcwd()) + " " + " ".join(words) + "\\n")
time.sleep(float(os.environ.get("UV_SLEEPS", "0")))
if words[0] in os.environ.get("UV_FAILS", "").split() and "vm" in os.getcwd():
    print("broken: \\x1b[31m<here>")
    sys.exit(1)
"""
    (folder / "uv").write_text(script)
    (folder / "uv").chmod(0o755)
    return folder


ONE_LAYER = ("--filter", "database=sqlite", "--filter", "style=sqlalchemy", "--filter", "cache=none")


def test_checks_run_their_commands_and_failures_are_reported(
    poolwright: Poolwright, tmp_path: Path, fake_uv: Path
) -> None:
    log = tmp_path / "log"
    variables = {"PATH": f"{fake_uv}:/usr/bin:/bin", "UV_LOG": str(log), "UV_FAILS": "mypy", "TMPDIR": str(tmp_path)}
    checks = ("--check", "lint", "--check", "types", "--check", "tests")
    done = poolwright("matrix", *ONE_LAYER, *checks, "--jobs", "2", "--junit", "junit.xml", **variables)
    assert done.code == 1
    assert done.err.splitlines()[-1] == "Failed: types of sqlite-sqlalchemy-aiosqlite-vm-none-false-none."
    assert "broken: " in done.err
    assert "\x1b" not in done.err
    commands = ["mypy --strict .", "pytest", "ruff check .", "ruff format --check ."]
    projects = [f"sqlite-sqlalchemy-aiosqlite-{target}-none-false-none" for target in ("compose", "kubernetes", "vm")]
    expected = [f"{project} {words}" for project in projects for words in commands]
    assert sorted(log.read_text().splitlines()) == expected
    suites = ElementTree.parse(tmp_path / "junit.xml").getroot()
    counts = {suite.get("name"): (suite.get("tests"), suite.get("failures")) for suite in suites}
    assert counts == {"render": ("3", "0"), "lint": ("3", "0"), "types": ("3", "1"), "tests": ("3", "0")}
    assert left_in(tmp_path) == ["junit.xml", "log"]  # the temporary folder is gone


def test_fail_fast_stops_at_the_first_failure(poolwright: Poolwright, tmp_path: Path, fake_uv: Path) -> None:
    variables = {"PATH": f"{fake_uv}:/usr/bin:/bin", "UV_LOG": str(tmp_path / "log"), "UV_FAILS": "ruff"}
    done = poolwright("matrix", *ONE_LAYER, "--check", "lint", "--check", "types", "--fail-fast", **variables)
    assert done.code == 1
    assert "sqlite-sqlalchemy-aiosqlite-vm-none-false-none ruff check ." in (tmp_path / "log").read_text()
    assert "sqlite-sqlalchemy-aiosqlite-vm mypy" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize(("scheme", "takes"), [("mariadb", True), ("MYSQL+aiomysql", True), ("postgres", False)])
def test_the_tests_take_a_url_with_any_scheme_of_the_database(
    poolwright: Poolwright, tmp_path: Path, fake_uv: Path, scheme: str, takes: bool
) -> None:
    variables = {"PATH": f"{fake_uv}:/usr/bin:/bin", "UV_LOG": str(tmp_path / "log")}
    one = ("--filter", "database=mysql", "--filter", "style=databases", "--filter", "driver=asyncmy", "--shard", "1/99")
    done = poolwright("matrix", *one, "--check", "tests", DATABASE_URL=f"{scheme}://app@localhost/app", **variables)
    assert done.code == (0 if takes else 2), done.err


def test_the_tests_of_a_sqlite_project_need_no_url(poolwright: Poolwright) -> None:
    one = (
        "--filter",
        "database=sqlite",
        "--filter",
        "style=raw",
        "--filter",
        "cache=none",
        "--filter",
        "deployment=vm",
    )
    done = poolwright("matrix", *one, "--check", "tests", PATH=f"{Path(uv()).parent}:/usr/bin:/bin", DATABASE_URL="")
    assert done.code == 0, done.err
