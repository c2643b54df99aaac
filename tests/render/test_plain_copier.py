"""Plain copier, from a clone, renders what the command renders from its own copy of the template."""

import shutil
import subprocess
from pathlib import Path

import copier
import pytest

from poolwright.catalog import SOURCES
from poolwright.render import render_project
from tests.render.test_projects import files

ROOT = Path(__file__).resolve().parents[2]
IDENTITY = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = tmp_path_factory.mktemp("clone")
    for name in SOURCES:
        place = repository / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place)
        else:
            shutil.copy(ROOT / name, place)
    for command in (["init", "--quiet"], ["add", "--all"], [*IDENTITY, "commit", "--quiet", "--message", "template"]):
        subprocess.run(["git", *command], cwd=repository, check=True)
    return repository


@pytest.mark.parametrize(
    "answers", [{"database": "mongodb"}, {"style": "raw", "deployment": "compose", "instances": 2}]
)
def test_plain_copier_renders_the_same_bytes(clone: Path, tmp_path: Path, answers: dict[str, object]) -> None:
    ours, plain = tmp_path / "ours", tmp_path / "plain"
    data = {"project_name": "shop", **answers}
    render_project(data, ours)
    copier.run_copy(str(clone), plain, data, vcs_ref="HEAD", defaults=True, quiet=True)
    assert files(ours) == files(plain)
    # The answers file alone names where the template came from.
    for name in files(ours) - {".copier-answers.yml"}:
        assert (ours / name).read_bytes() == (plain / name).read_bytes(), name
    answered = [
        [line for line in (project / ".copier-answers.yml").read_text().splitlines() if not line.startswith("_")]
        for project in (ours, plain)
    ]
    assert answered[0] == answered[1]
