"""What holds of every rendered project, read without running it."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from poolwright.questions import evaluate
from tests import cloudformation
from tests.render.artifacts import readme

pytestmark = pytest.mark.xdist_group("render")

COMMON = {
    ".copier-answers.yml",
    ".dockerignore",
    ".env.example",
    ".github/dependabot.yml",
    ".github/workflows/ci.yml",
    ".gitignore",
    "Dockerfile",
    "README.md",
    "app/__init__.py",
    "app/api/__init__.py",
    "app/api/health.py",
    "app/api/items.py",
    "app/api/orders.py",
    "app/database.py",
    "app/database_url.py",
    "app/errors.py",
    "app/factory.py",
    "app/log_config.json",
    "app/logs.py",
    "app/main.py",
    "app/metrics.py",
    "app/migrate.py",
    "app/plan.py",
    "app/pool.py",
    "app/readiness.py",
    "app/repository.py",
    "app/request_context.py",
    "app/schemas.py",
    "app/settings.py",
    "deploy/README.md",
    "load/levels.py",
    "load/locust.conf",
    "load/locustfile.py",
    "pyproject.toml",
    "tests/__init__.py",
    "tests/conftest.py",
    "tests/test_cancellation.py",
    "tests/test_database.py",
    "tests/test_items.py",
    "tests/test_metrics.py",
    "tests/test_orders.py",
    "tests/test_readiness.py",
    "tests/test_requests.py",
    "tests/test_savepoints.py",
    "tests/test_settings.py",
    "tests/test_transactions.py",
}
EVERY_ADAPTER = {
    "app/db/__init__.py",
    "app/db/adapter.py",
    "app/db/migrate.py",
    "app/db/repository.py",
    "app/db/temporary.py",
    "app/db/testing.py",
    "app/db/url.py",
}
# Files in which values of the answers stand; all others are the same bytes for every combination.
VALUES = {
    ".copier-answers.yml",
    ".env.example",
    ".github/workflows/ci.yml",
    "README.md",
    "app/plan.py",
    "pyproject.toml",
    "app/factory.py",
    "tests/test_savepoints.py",
}

# The folders that vary: the layer, the deployment, the cache.
AXES = ("app/db/", "deploy/", "app/cache/", "tests/cache/")


def files(project: Path) -> set[str]:
    return {p.relative_to(project).as_posix() for p in project.rglob("*") if p.is_file() and ".git" not in p.parts}


def outside_the_axes(project: Path) -> dict[str, bytes]:
    names = {n for n in files(project) if not n.startswith(AXES)} - VALUES
    return {name: (project / name).read_bytes() for name in names}


def test_the_tree_is_as_expected(project: Path) -> None:
    found = files(project)
    assert found >= COMMON | EVERY_ADAPTER
    assert all(name.startswith(AXES) for name in found - COMMON)


def test_the_way_back_is_said(project: Path) -> None:
    text = readme(project)
    assert "\nBack: " in text
    assert "The schema stays as it is" in text


def test_no_template_syntax_is_left(project: Path) -> None:
    for name in files(project):
        if name.endswith(".mako"):
            continue
        text = (project / name).read_text(encoding="utf-8")
        left = re.findall(r"(?<!\$)\{\{.*|\{%.*|\{#.*", text)
        assert not left, f"{name}: {left}"


def test_every_file_parses(project: Path) -> None:
    for path in (project / name for name in files(project)):
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".py":
            ast.parse(text, str(path))
        elif path.suffix == ".toml":
            tomllib.loads(text)
        elif path.suffix in (".yml", ".yaml"):
            assert all(yaml.load_all(text, cloudformation.Loader))
        assert text == "" or (text.endswith("\n") and not text.endswith("\n\n")), path
        assert not re.search(r"[ \t]$", text, re.MULTILINE), path


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=lambda command: command[0])
def test_ruff_is_content_with_each_project_s_own_rules(command: list[str], projects: Mapping[str, Path]) -> None:
    # All at once: starting takes longer than looking.
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--no-cache", *projects.values()], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_python_code_does_not_name_the_generator(project: Path) -> None:
    for name in files(project):
        if name.endswith(".py"):
            assert "poolwright" not in (project / name).read_text(encoding="utf-8").lower(), name


def test_the_defaults_are_the_plan_s_and_each_shows_its_arithmetic(project: Path, answers: dict[str, Any]) -> None:
    source = (project / "app/plan.py").read_text(encoding="utf-8")
    values = {
        target.id.lower(): ast.literal_eval(statement.value)
        for statement in ast.parse(source).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    computed = evaluate(answers).values
    assert {key: value for key, value in computed["settings"].items() if key in values}.items() <= values.items()
    assert {"pool_size", "max_overflow", "pool_timeout_seconds", "pool_max_waiting"} <= values.keys()
    for row in computed["why"]:
        if row["value"] in values:
            assert f"# {row['arithmetic']}: {row['reason']}\n{row['value'].upper()} = " in source
    assert f"# capacity: {computed['why'][4]['arithmetic']}" in source


def test_all_but_values_is_the_same_for_every_combination(projects: Mapping[str, Path]) -> None:
    first, *rest = (outside_the_axes(project) for project in projects.values())
    assert len(first) > 15
    for other in rest:
        assert other == first


def test_an_adapter_is_the_same_for_every_deployment(projects: Mapping[str, Path]) -> None:
    by_adapter: dict[str, list[dict[str, bytes]]] = {}
    for name, project in projects.items():
        content = {n: (project / n).read_bytes() for n in files(project) if n.startswith("app/db/")}
        if not name.startswith(("options-", "pooler-")):
            by_adapter.setdefault(name.rpartition("-")[0], []).append(content)
    for first, *rest in by_adapter.values():
        assert rest
        assert all(other == first for other in rest)


def test_the_plan_file_differs_in_values_only(projects: Mapping[str, Path]) -> None:
    def shape(project: Path) -> list[str]:
        source = (project / "app/plan.py").read_text(encoding="utf-8")
        return re.findall(r"^([A-Z_]+) = ", source, re.MULTILINE)

    shapes = {frozenset(shape(project)) - {"TRANSACTION_POOLING"} for project in projects.values()}
    assert len(shapes) == 1
