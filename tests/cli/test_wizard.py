"""The wizard in a real pseudo-terminal."""

import os
import shlex
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from poolwright.questions import choices
from tests.cli.conftest import command, left_in
from tests.terminal import CTRL_C, DOWN, ENTER, ESC, UP, Terminal

Open = Callable[..., Terminal]


@pytest.fixture
def terminal(tmp_path: Path, environment: dict[str, str]) -> Iterator[Open]:
    """Open a terminal with `poolwright new` and its arguments in an empty directory (tmp_path)."""
    opened: list[Terminal] = []

    def start(*arguments: str, columns: int = 80, words: list[str] | None = None, cursor: bool = True) -> Terminal:
        variables = environment if cursor else environment | {"PROMPT_TOOLKIT_NO_CPR": "1"}
        opened.append(Terminal(words or command("new", *arguments), tmp_path, variables, columns))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def answers_in(project: Path) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    return found


def test_a_project_is_made_question_by_question(terminal: Open, tmp_path: Path) -> None:
    screen = terminal("--style", "sqlalchemy", columns=200)
    screen.asked("Name of the project my-service")
    screen.type("shop", ENTER)
    screen.asked("Database", "PostgreSQL", "SQLite")
    screen.type(DOWN, DOWN, DOWN, ENTER)
    screen.asked("Deployment target", "Docker Compose")
    screen.type(ENTER)
    screen.asked("Workers (server processes per instance) 4")
    screen.type("2", ENTER)
    screen.asked("Surge")
    screen.type(ENTER)
    screen.asked("Connection limit of the server (0 = the default of SQLite, 32) 0")
    screen.type("50", ENTER)
    screen.asked("Connections kept free")
    screen.type(ENTER)
    screen.asked("Cache", "» none", "Redis")
    screen.type(ENTER)
    screen.asked("Everything as you want it?", "Make the project")
    screen.see(
        "Name of the project: shop Database: SQLite",
        "Data-access style: SQLAlchemy (as given)",
        "Driver: aiosqlite (the only choice with SQLite)",
        "Deployment target: virtual machine Workers (server processes per instance): 2",
        "Surge (extra workers alive during a rollout): 1",
        "Connection limit of the server (0 = the default of SQLite, 32): 50",
        "Pooler in front of the server: none (the only choice with SQLite)",
        "Send reads that may lag to a read replica: no (the only choice with SQLite) Cache: none",
        # 50 - 0 - 1 - 1 = 48; 1 x (2 + 1) = 3; at most 6 each
        *("50 connections of the server:", "A app 18 (3 processes x 6)", ". headroom 30 (free)"),
    )
    assert left_in(tmp_path) == []
    screen.type(ENTER)
    screen.see("Wrote shop: ", "Next: cd shop &&", "The same again:")
    assert screen.end() == 0
    again = next(line for line in screen.shown.splitlines() if line.startswith("  poolwright new"))
    assert shlex.split(again)[1:4] == ["new", "shop", "--yes"]
    assert "--database sqlite --style sqlalchemy --deployment vm --workers 2 --max-connections 50" in again
    stored = answers_in(tmp_path / "shop")
    assert (stored["database"], stored["workers"], stored["max_connections"]) == ("sqlite", 2, 50)
    assert left_in(tmp_path) == ["shop"]


SQLITE = {"database": "sqlite", "style": "sqlalchemy"}


def test_refused_choices_are_shown_with_their_reason_and_cannot_be_chosen(terminal: Open) -> None:
    given = ("shop", "--project-name", "shop", "--database", "sqlite", "--style", "sqlalchemy")
    wide = terminal(*given, columns=200)
    wide.asked("Deployment target", "- AWS Lambda SQLite cannot be used on AWS Lambda: its file cannot be shared")
    screen = terminal(*given)
    screen.see(
        "Name of the project: shop (as given)", "- SQLite cannot be used on AWS Lambda: its file cannot be shared"
    )
    screen.asked("Deployment target", "- AWS Lambda - Cloud Run")  # the reasons above, where the list would be cut
    valid = [choice for choice in choices("deployment", SQLITE) if not choice.refusal]
    screen.type(*[DOWN] * len(valid), ENTER)  # past the valid ones, to the first again
    screen.asked("Workers")
    screen.see("Deployment target: virtual machine")


def test_choices_have_notes_where_there_is_room_for_them(terminal: Open) -> None:
    given = ("shop", "--project-name", "shop", "--database", "mongodb", "--style", "raw")
    notes = [choice.note for choice in choices("driver", {"database": "mongodb", "style": "raw"}) if not choice.refusal]
    assert len(notes) == 2
    wide = terminal(*given, columns=100)
    wide.asked("Driver", f"» pymongo {notes[0]} motor {notes[1]}")
    narrow = terminal(*given, columns=60)
    narrow.asked("Driver", "» pymongo motor -")


@pytest.mark.parametrize("columns", [40, 80])
def test_reasons_are_whole_on_a_narrow_terminal(columns: int, terminal: Open) -> None:
    given = ("--project-name", "shop", "--database", "postgresql", "--style", "sqlalchemy")
    screen = terminal("shop", *given, columns=columns)
    screen.asked("Driver", "asyncpg", "psycopg", "- motor")
    refused = [c for c in choices("driver", {"database": "postgresql", "style": "sqlalchemy"}) if c.refusal]
    assert len(refused) == 5
    for choice in refused:
        screen.see(choice.refusal)


def test_escape_goes_back_and_keeps_what_was_answered(terminal: Open) -> None:
    screen = terminal("shop", "--project-name", "shop")
    screen.asked("Database")
    screen.type(DOWN, DOWN, ENTER)
    screen.asked("Data-access style")
    screen.type(DOWN, ENTER)
    screen.asked("Deployment target", "» virtual machine")
    screen.type(DOWN, ENTER)
    screen.asked("Workers (server processes per instance) 4")
    screen.type("7", ENTER)
    screen.asked("Instances")
    screen.type(ESC)
    screen.asked("Workers (server processes per instance) 7")
    screen.type(ESC)
    screen.asked("Deployment target", "» Docker Compose")
    screen.type(ESC)  # over the driver, which was not asked
    screen.asked("Data-access style", "» Beanie")
    assert "Driver: " not in screen.words
    assert "Deployment target: " not in screen.words
    screen.type(ENTER)
    screen.asked("Deployment target", "» Docker Compose")
    screen.type(ENTER)
    screen.asked("Workers (server processes per instance) 7")
    screen.type(ENTER)
    screen.asked("Instances")
    screen.see("Workers (server processes per instance): 7")
    assert screen.words.count("Deployment target: Docker Compose") == 1


def test_escape_at_the_first_question_changes_nothing(terminal: Open) -> None:
    screen = terminal()
    screen.asked("Name of the project my-service")
    screen.type(ESC)
    screen.type("shop", ENTER)
    screen.asked("Database")
    screen.see("Name of the project: shop")


def test_a_kept_answer_that_became_invalid_is_replaced_by_the_default(terminal: Open) -> None:
    screen = terminal("shop", "--project-name", "shop", "--style", "sqlalchemy")
    screen.asked("Database")
    screen.type(ENTER)
    screen.asked("Driver", "» asyncpg")
    screen.type(DOWN, ENTER)
    screen.asked("Deployment target")
    screen.type(ESC)
    screen.asked("Driver", "» psycopg")
    screen.type(ESC)
    screen.asked("Database")
    screen.type(DOWN, DOWN, DOWN, ENTER)
    screen.asked("Deployment target")
    screen.see("Database: SQLite", "Driver: aiosqlite (the only choice")
    screen.type(ESC)
    screen.asked("Database", "» SQLite")
    screen.type(UP, UP, UP, ENTER)
    screen.asked("Driver", "» psycopg")


CAPACITY = (
    *("--project-name", "shop", "--database", "postgresql", "--style", "raw", "--driver", "asyncpg"),
    *("--deployment", "vm", "--pooler", "none", "--no-read-replica", "--cache", "none"),
)


def test_the_numbers_of_a_managed_pooler_are_asked_where_it_is_chosen(terminal: Open) -> None:
    others = ("--workers", "4", "--instances", "1", "--surge", "1", "--max-connections", "0", "--reserve", "0")
    screen = terminal("shop", *CAPACITY[:10], *others, "--no-read-replica", "--cache", "none", columns=120)
    screen.asked("Pooler in front of the server", "» none", "managed pooler", "your provider's: Supavisor")
    screen.type(UP, ENTER)
    screen.asked("Clients that the pooler accepts (200 = on Supabase's smallest size) 200")
    screen.type("50", ENTER)
    screen.asked("Connections that the pooler opens to the server for each user and database")
    screen.type("96")
    screen.asked("Connections", "missing 1 (of at least 96 for the managed pooler)", "The plan does not fit.")
    screen.type("\x15", "30", ENTER)
    screen.asked("What the pooler lends a connection of the server's for", "» transaction", "session")
    screen.type(DOWN, ENTER)
    screen.asked("Everything as you want it?")
    # min(50, 30) - 0 - 0 - 2 = 28; 28 // 5 = 5
    screen.see("30 connections of the managed pooler:", "A app 25 (5 processes x 5)")
    screen.see("100 connections of the server:", "A app 25 (through the managed pooler)")


def test_a_managed_pooler_is_refused_where_compose_runs_the_server(terminal: Open) -> None:
    given = ("--project-name", "shop", "--database", "postgresql", "--style", "raw", "--driver", "asyncpg")
    counts = ("--workers", "4", "--instances", "1", "--max-connections", "0", "--reserve", "0")
    screen = terminal("shop", *given, "--deployment", "compose", *counts, columns=200)
    screen.asked(
        "Pooler in front of the server", "- managed pooler", "A managed pooler cannot be used with Docker Compose"
    )


def test_the_bar_follows_what_is_typed(terminal: Open) -> None:
    screen = terminal("shop", *CAPACITY)
    screen.asked("Workers", "A app 60 (5 processes x 12)", ". headroom 25 (free)")
    screen.type("9")  # 1 x (9 + 1) = 10; 85 // 10 = 8
    screen.asked("Workers", "A app 80 (10 processes x 8)", ". headroom 5 (free)")
    screen.type("9")  # 100 processes
    screen.asked("Workers", "! missing 15 (of 100 processes x 1)", "The plan does not fit.")


def test_the_bar_follows_every_answer_where_nothing_can_stand_below_the_line(terminal: Open) -> None:
    screen = terminal("shop", *CAPACITY, cursor=False)
    screen.asked("Workers")
    screen.type("0", ENTER)
    screen.see("workers is a whole number from 1 to 512, not 0")
    screen.type("\x15", "9", ENTER)
    screen.asked("Instances")
    screen.see("Workers (server processes per instance): 9 100 connections of the server: [SSR")
    screen.see("A app 80 (10 processes x 8)")
    screen.type("2", ENTER)  # 2 x (9 + 1) = 20; 85 // 20 = 4
    screen.asked("Surge")
    screen.see("A app 80 (20 processes x 4)")


def test_a_misfit_is_shown_at_once_with_remedies_and_taken_back(terminal: Open, tmp_path: Path) -> None:
    screen = terminal("shop", *CAPACITY)
    screen.asked("Workers")
    screen.type("100", ENTER)
    screen.asked("Instances")
    screen.see(
        "The plan does not fit: 101 processes need at least 101 connections, the server leaves 85",
        "Use at most 85 processes, or raise max_connections to 116, or put a pooler in front (--pooler pgbouncer).",
        "Esc goes back.",
    )
    screen.type(ESC)
    screen.asked("Workers (server processes per instance) 100")
    assert "Use at most" not in screen.words
    screen.type("3", ENTER)
    for label in ("Instances", "Surge", "Connection limit", "Connections kept free"):
        screen.asked(label)
        screen.type(ENTER)
    screen.asked("Everything as you want it?")
    screen.see("A app 48 (4 processes x 12)")
    screen.type(ENTER)
    screen.see("Wrote shop")
    assert screen.end() == 0
    assert answers_in(tmp_path / "shop")["workers"] == 3


def test_a_plan_that_does_not_fit_in_the_end_must_be_changed(terminal: Open, tmp_path: Path) -> None:
    screen = terminal("shop", *CAPACITY, "--instances", "1", "--surge", "1", "--reserve", "-1")
    screen.asked("Workers")
    screen.type("100", ENTER)
    screen.asked("Connection limit")
    screen.type(ENTER)
    screen.asked("What will you change?", "Change workers", "Stop, write nothing")
    screen.see("! missing 16", "Use at most 85 processes")
    assert "Make the project" not in screen.words
    screen.type(DOWN, ENTER)
    screen.asked("Connection limit")
    screen.type("200", ENTER)
    screen.asked("Everything as you want it?")
    screen.type(ENTER)
    screen.see("Wrote shop")
    assert screen.end() == 0
    stored = answers_in(tmp_path / "shop")
    assert (stored["workers"], stored["max_connections"]) == (100, 200)


def test_a_wrong_text_is_told_why_and_can_be_corrected(terminal: Open) -> None:
    screen = terminal(columns=40)
    screen.asked("Name of the project")
    screen.type("{{7*7}}", ENTER)
    screen.asked("Name of the project {{7*7}}", "1 to 60 letters, digits and single - _ or . between them")
    screen.type("\x15", "class")  # Ctrl-U
    screen.asked("Name of the project class", "Use class-service.")
    screen.type("\x15", "shop", ENTER)
    screen.asked("Database")
    screen.see("Name of the project: shop")


def test_a_name_whose_directory_is_in_use_is_told_at_once(terminal: Open, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/mine").touch()
    screen = terminal()
    screen.asked("Name of the project")
    screen.type("shop")
    screen.asked("Name of the project shop", "shop exists and is not empty.")


def test_the_directory_suggests_the_name(terminal: Open) -> None:
    screen = terminal("a/some-shop")
    screen.asked("Name of the project some-shop")
    screen.type(ENTER)
    screen.asked("Database")
    screen.see("Name of the project: some-shop")


TO_CONFIRM = (*CAPACITY, "--workers", "4", "--instances", "1", "--surge", "1", "--max-connections", "0")


@pytest.mark.parametrize("stop", ["key", "signal"])
@pytest.mark.parametrize(
    ("arguments", "label"),
    [
        ((), "Name of the project"),
        (("--project-name", "shop"), "Database"),
        (CAPACITY, "Workers"),
        (TO_CONFIRM, "Connections kept free"),
    ],
    ids=["name", "choice", "number", "last"],
)
def test_ctrl_c_at_a_question_stops_with_130(
    arguments: tuple[str, ...], label: str, stop: str, terminal: Open, tmp_path: Path
) -> None:
    screen = terminal("shop", *arguments)
    screen.asked(label)
    if stop == "key":
        screen.type(CTRL_C)
    else:
        os.kill(screen.pid, signal.SIGINT)
    assert screen.end() == 130
    assert screen.words.endswith("Stopped. Nothing was written.")
    assert "Traceback" not in screen.words
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("keys", [(CTRL_C,), (UP, ENTER)], ids=["Ctrl-C", "stop"])
def test_nothing_is_written_before_it_is_confirmed(keys: tuple[str, ...], terminal: Open, tmp_path: Path) -> None:
    screen = terminal("shop", *TO_CONFIRM)
    screen.asked("Connections kept free")
    screen.type(ENTER)
    screen.asked("Everything as you want it?", "Stop, write nothing")
    screen.type(*keys)
    assert screen.end() == 130
    assert left_in(tmp_path) == []


def test_questions_go_to_stderr_and_results_to_stdout(terminal: Open, tmp_path: Path) -> None:
    line = " ".join(map(shlex.quote, command("new", "shop", *TO_CONFIRM)))
    screen = terminal(words=["/bin/sh", "-c", f"{line} > result"])
    screen.asked("Connections kept free")
    screen.type(ENTER)
    screen.asked("Everything as you want it?")
    screen.type(ENTER)
    assert screen.end() == 0
    result = (tmp_path / "result").read_text(encoding="utf-8")
    assert result.startswith("Wrote shop: ")
    assert "\x1b" not in result
    assert "Everything" not in result


def test_json_and_no_input_never_ask_on_a_terminal(terminal: Open) -> None:
    for flag in ("--json", "--no-input"):
        screen = terminal("shop", flag)
        assert screen.end() == 2
        assert "Answers are missing" in screen.words
