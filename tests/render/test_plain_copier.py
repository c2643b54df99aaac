"""copier, the judge of our own renderer: the same files, bytes and modes."""

import shutil
import subprocess
from pathlib import Path

import copier
import pytest
from plumbum import local

from poolwright import catalog, releases
from poolwright.catalog import SOURCES
from poolwright.quick_copier import SHORTCUTS, quickened
from poolwright.render import copy_sources, render_project
from tests.render.conftest import COMBINATIONS, Projects
from tests.render.test_projects import files

ROOT = Path(__file__).resolve().parents[2]
# `make test` has every layer, and every deployment with every pooler.
JUDGED = [
    name if name.startswith(("options-", "pooler-")) else pytest.param(name, marks=pytest.mark.beyond_cover)
    for name in COMBINATIONS
]
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


def test_copier_has_what_is_quickened() -> None:
    """Without, it would be slower in silence."""
    assert [name for owner, name, _ in SHORTCUTS if not hasattr(owner, name)] == []


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template without a repository, from which copier records no commit."""
    folder = tmp_path_factory.mktemp("source")
    copy_sources(catalog.root(), folder)
    return folder


def tree(project: Path) -> dict[str, tuple[int, bytes | None]]:
    """The mode of each file and folder, and the bytes of each file."""
    return {
        path.relative_to(project).as_posix(): (path.lstat().st_mode, path.read_bytes() if path.is_file() else None)
        for path in project.rglob("*")
    }


@pytest.mark.parametrize("combination", JUDGED)
def test_copier_renders_the_same_bytes_and_modes(
    combination: str, projects: Projects, source: Path, tmp_path: Path
) -> None:
    origin = {"_src_path": catalog.distribution().repository}
    if tag := releases.own_tag():
        origin["_commit"] = tag
    data = {**COMBINATIONS[combination], "project_name": "render-test", "_origin": origin}
    with quickened(), local.env(PATH=""):  # hides git, which copier would start once for every file
        copier.run_copy(str(source), tmp_path / "made", data, settings=copier.Settings(), defaults=True, quiet=True)
    ours = tree(projects[combination])
    assert len(ours) > 50
    assert ours == tree(tmp_path / "made")
