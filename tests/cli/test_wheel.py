"""The wheel carries the template and works alone, in an environment of its own."""

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from poolwright import catalog, releases
from poolwright.git import git
from poolwright.render import render_project
from tests.processes import uv
from tests.update.projects import edit, make, plain_copier, state

pytestmark = pytest.mark.xdist_group("wheel")

ROOT = Path(__file__).resolve().parents[2]
ALONE = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
CACHES = {"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".venv"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the source distribution."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([uv(), "build", "--quiet", "--out-dir", str(out), str(ROOT)], check=True)
    (found,) = out.glob("*.whl")
    return found


def test_the_wheel_holds_the_template_once(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        held = {
            name.removeprefix("poolwright/_template/") for name in names if name.startswith("poolwright/_template/")
        }
        for name in held:
            assert archive.read(f"poolwright/_template/{name}") == (ROOT / name).read_bytes()
    expected = {"copier.yml", "generator/poolwright/catalog.yml", "generator/poolwright/rules.jinja"}
    for path in (ROOT / "template").rglob("*"):
        if path.is_file() and not CACHES & set(path.parts) and path.suffix != ".pyc":
            expected.add(path.relative_to(ROOT).as_posix())
    assert held == expected
    probe = (ROOT / "generator/poolwright/probe").glob("*.py")
    assert {path.relative_to(ROOT / "generator").as_posix() for path in probe} <= set(names)
    assert [name for name in names if name.endswith(("catalog.yml", "rules.jinja")) and "_template" not in name] == []


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The command of the wheel, installed in an environment of its own."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([uv(), "venv", "--quiet", str(folder)], env=ALONE, check=True)
    install = [uv(), "pip", "install", "--quiet", "--python", str(folder / "bin/python"), str(wheel)]
    subprocess.run(install, env=ALONE, check=True)
    return str(folder / "bin/poolwright")


def test_an_installed_wheel_makes_the_same_project(command: str, tmp_path: Path) -> None:
    words = [command, "new", "shop", "-y", "-q", "--no-git", "--database", "mongodb"]
    made = subprocess.run(words, cwd=tmp_path, env=ALONE, capture_output=True, text=True)
    assert (made.returncode, made.stdout, made.stderr) == (0, "shop\n", "")
    names = render_project({"database": "mongodb", "project_name": "shop"}, tmp_path / "expected")
    for name in names:
        assert (tmp_path / "shop" / name).read_bytes() == (tmp_path / "expected" / name).read_bytes()
    version = subprocess.run([command, "--version"], env=ALONE, capture_output=True, text=True)
    assert version.stdout == f"poolwright {catalog.distribution().version}\n"


def test_an_installed_wheel_updates_without_a_network_as_plain_copier_does_with_one(
    command: str, tmp_path: Path
) -> None:
    ours, plain, repository = tmp_path / "my shop", tmp_path / "plain", tmp_path / "repository"
    first, *_, last = releases.tags()
    make(first, {"style": "raw"}, ours, tmp_path / "scratch")
    edit(ours)
    shutil.copytree(ours, plain, symlinks=True)
    # No identity, and no protocol that leaves this machine.
    bare = {"HOME": str(tmp_path), "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    bare |= {"GIT_ALLOW_PROTOCOL": "file"}
    words = [command, "update", str(ours), "--json"]
    done = subprocess.run(words, cwd="/", env=ALONE | bare, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["from"], told["to"], told["written"]) == (first[1:], last[1:], True)
    git(tmp_path, "clone", "--quiet", str(releases.BUNDLE), str(repository))
    plain_copier(plain, repository)
    ((files, *rest), (plain_files, *plain_rest)) = state(ours), state(plain)
    assert files == plain_files
    assert rest[:2] == plain_rest[:2]
    assert str(tmp_path) not in files[".copier-answers.yml"][1].decode()
