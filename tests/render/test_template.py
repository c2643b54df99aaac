"""What holds of the template itself."""

import re
from collections.abc import Iterator
from pathlib import Path

from poolwright.questions import defaults

TEMPLATE = Path(__file__).resolve().parents[2] / "template"
CACHES = {"__pycache__", ".mypy_cache", ".ruff_cache"}
MOST_JINJA_LINES = 0.03
CATALOG = defaults().values["catalog"]


def template_files() -> Iterator[Path]:
    return (path for path in TEMPLATE.rglob("*") if path.is_file() and not CACHES & set(path.parts))


def test_few_lines_hold_a_jinja_statement() -> None:
    lines = [line for path in template_files() for line in path.read_text(encoding="utf-8").splitlines()]
    assert sum("{%" in line for line in lines) / len(lines) < MOST_JINJA_LINES


def test_only_files_with_jinja_in_them_carry_the_suffix() -> None:
    for path in template_files():
        has_jinja = bool(re.search(r"\{\{|\{%", path.read_text(encoding="utf-8")))
        assert has_jinja == (path.suffix == ".jinja"), path


def test_file_names_are_legal_on_windows() -> None:
    for path in template_files():
        assert not set('"|<>:?*\\') & set(str(path.relative_to(TEMPLATE))), path


def test_the_folders_are_those_of_the_catalog() -> None:
    adapters = {folder for row in CATALOG["adapters"] for folder in row["folders"]}
    assert {path.name for path in (TEMPLATE / "app").glob("{{adapters.*}}")} == {
        f"{{{{adapters.{name}}}}}" for name in adapters
    }
    caches = {name for name in CATALOG["caches"] if name != "none"}
    for parent in (TEMPLATE / "app", TEMPLATE / "tests"):
        assert {path.name for path in parent.glob("{{caches.*}}")} == {f"{{{{caches.{name}}}}}" for name in caches}
    rendered = {name for name, row in CATALOG["poolers"].items() if name != "none" and not row["answered"]}
    poolers = {name.replace("-", "_") for name in rendered}
    assert {path.name for path in TEMPLATE.glob("{{poolers.*}}")} == {f"{{{{poolers.{name}}}}}" for name in poolers}
    targets = {name for name, row in CATALOG["deployments"].items() if row["built"]}
    assert {path.name for path in TEMPLATE.glob("{{targets.*}}")} == {f"{{{{targets.{name}}}}}" for name in targets}


def test_folders_that_render_to_one_hold_different_files() -> None:
    for row in CATALOG["adapters"]:
        seen: set[Path] = set()
        for folder in row["folders"]:
            root = TEMPLATE / "app" / f"{{{{adapters.{folder}}}}}"
            found = {path.relative_to(root) for path in template_files() if root in path.parents}
            assert not seen & found, row
            seen |= found


def test_files_of_a_user_are_never_rendered() -> None:
    assert not (TEMPLATE / ".env").exists()
    assert not (TEMPLATE / ".env.jinja").exists()
