"""The README and the pages of docs/: flags, keys and links are there, and examples are what the program prints."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from poolwright import check, managed, questions, releases
from poolwright.cli import app
from poolwright.comparisons import Row
from poolwright.flags import pair, spelled
from poolwright.questions import keys as all_keys
from scripts.pictures import PICTURES, SCENES, picture
from tests.cli.conftest import Poolwright
from tests.update.projects import make

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
LINKING = [ROOT / "CONTRIBUTING.md", ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
COMMON = {"-h", "--help", "--version"}
OF_QUESTIONS = {flag for key in all_keys() for flag in (spelled(key), f"--no-{spelled(key)[2:]}")}
OPERATORS = {"|", ">", "&&", ";"}
CALL = re.compile(r"(?:\$ )?(?:[A-Z_]+=\S+ )*poolwright (\S.*)")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(text: str) -> Iterator[list[str]]:
    """The lines of each code block, fenced or indented."""
    block: list[str] = []
    fenced = False
    for line in [*text.splitlines(), "end"]:
        fence = line.startswith("```")
        fenced ^= fence
        if fenced or line.startswith("    ") or (block and not line):
            block += [] if fence else [line.removeprefix("    ")]
        elif block:
            yield block
            block = []


def without_code(text: str) -> str:
    fenced = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^    .*$", "", fenced, flags=re.M))


def calls(text: str) -> Iterator[list[str]]:
    """The arguments of every `poolwright` in code blocks and between backticks."""
    lines = [line for block in blocks(text) for line in "\n".join(block).replace("\\\n", " ").splitlines()]
    for code in [*lines, *re.findall(r"`([^`\n]+)`", text)]:
        if found := CALL.fullmatch(code.strip()):
            words = shlex.split(found[1], comments=True)
            yield words[: next((index for index, word in enumerate(words) if word in OPERATORS), None)]


CALLS = [
    pytest.param(words, id=f"{page.stem}: {shlex.join(words)}") for page in PAGES for words in calls(text_of(page))
]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_flag_of_help_is_on_the_page(name: str, poolwright: Poolwright) -> None:
    options = poolwright(name, "--help").out.partition("\nOptions:\n")[2]
    shown = re.findall(r"^  (-.*?)(?:  |$)", options, re.M)
    assert len(shown) > 4
    page = text_of(DOCS / f"{name}.md")
    missing = []
    for option in shown:
        spellings = re.findall(r"(?<![\w-])--?[a-z][a-z-]*", option)
        known = COMMON | OF_QUESTIONS if name in ("new", "plan", "update") else COMMON
        if not known & set(spellings) and not any(re.search(rf"(?<![\w-]){flag}(?![\w-])", page) for flag in spellings):
            missing.append(option)
    assert missing == []


def test_the_readme_links_the_page_of_every_command() -> None:
    assert [name for name in COMMANDS if f"(docs/{name}.md)" not in text_of(ROOT / "README.md")] == []


@pytest.mark.parametrize("words", CALLS)
def test_every_command_line_can_be_typed(words: list[str]) -> None:
    name, *arguments = words
    try:
        given = COMMANDS[name].make_context(name, arguments).params
    except typer.Exit:  # of --help and --version
        return
    if given.get("server"):
        managed.find(given["server"])
    answers = {key: given[key] for key in all_keys() if given.get(key) is not None}
    pairs = [pair(text) for several in ("data", "what_if", "filters") for text in given.get(several) or []]
    questions.evaluate(answers | dict(pairs))


EXAMPLES = [
    pytest.param(block, id=f"{page.stem}: {block[0]}")
    for page in PAGES
    for block in blocks(text_of(page))
    if block[0].startswith("$ poolwright plan")
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_of_plan_show_what_it_prints(example: list[str], poolwright: Poolwright) -> None:
    command, *lines = (" ".join(line.split()) for line in example if line.strip() not in ("", "..."))
    assert lines
    done = poolwright(*shlex.split(command)[2:])
    printed = iter([" ".join(line.split()) for line in (done.out + done.err).splitlines()])
    assert [line for line in lines if line not in printed] == []  # in this order: what was read is gone


def keys_missing(page: str, document: dict[str, Any]) -> list[str]:
    text = text_of(DOCS / f"{page}.md")
    return [key for key in document if f'"{key}"' not in text and f"`{key}`" not in text]


def test_every_key_of_json_is_on_the_page(poolwright: Poolwright, tmp_path: Path) -> None:
    more = ["--pooler", "pgbouncer", "--read-replica", "--cache", "redis", "--what-if", "workers=2"]
    load = ["--rps", "10", "--hold-ms", "1", "--server", "neon-1cu"]
    plan = json.loads(poolwright("plan", "--json", *more, *load).out)
    assert len(plan) > 15
    misfit = json.loads(poolwright("plan", "--json", "--instances", "40").out)
    assert keys_missing("plan", plan | misfit) == []
    made = json.loads(poolwright("new", "shop", "--yes", "--dry-run", "--json", "--database", "sqlite").out)
    assert keys_missing("new", {key: made[key] for key in made.keys() - plan.keys()}) == []
    matrix = json.loads(poolwright("matrix", "--json").out)
    assert keys_missing("matrix", matrix | matrix["valid"][0] | matrix["refused"][0]) == []
    facts = {"address": "127.0.0.1:5432", "product": "PostgreSQL", "version": "15.1", "user": "app"}
    checked = check.document(questions.defaults(), {"database": facts}, [Row("limit", 100, 100)])
    assert keys_missing("check", checked | checked["server"] | checked["rows"][0]) == []
    make(releases.tags()[-1], {}, tmp_path / "shop", tmp_path / "scratch")
    updated = json.loads(poolwright("update", "shop", "--json", "--dry-run", "-d", "database=mysql").out)
    assert keys_missing("update", updated | updated["answers"]["driver"] | updated["files"]) == []


def slug(heading: str) -> str:
    """The anchor of a heading, as code hosts make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", LINKING, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(text_of(page))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert ROOT in target.parents, f"{link} leads out of the project"
        if anchor:
            assert anchor in map(slug, re.findall(r"^#+ (.*)$", text_of(target), re.M)), f"{link}: no such heading"


def test_every_picture_has_a_scene_and_a_place() -> None:
    shown = {name for page in PAGES for name in re.findall(r"pictures/([\w-]+)\.svg\)", text_of(page))}
    assert {path.stem for path in PICTURES.iterdir()} == set(SCENES) == shown


@pytest.mark.parametrize("name", SCENES)
def test_pictures_hold_nothing_of_a_machine_and_fetch_nothing(name: str) -> None:
    text = (PICTURES / f"{name}.svg").read_text(encoding="utf-8")
    for unwanted in ("href", "url(", "<script", "<style", "/tmp", str(Path.home()), str(ROOT)):
        assert unwanted not in text


@pytest.mark.parametrize("name", ["new-style", "plan-misfit"])
def test_a_picture_made_again_has_the_same_bytes(name: str) -> None:
    assert picture(SCENES[name]) == (PICTURES / f"{name}.svg").read_text(encoding="utf-8"), "run make pictures"
