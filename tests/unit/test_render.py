"""A render is whole or not at all."""

import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from poolwright import catalog, releases, render
from poolwright.errors import InvalidAnswer, PlanDoesNotFit, PoolwrightError, TargetExists, UsageError
from poolwright.questions import evaluate
from poolwright.render import list_files, render_project

SQLITE = {"database": "sqlite", "project_name": "shop"}


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.fixture
def small_template(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The questions of this template with three files: fast, and free to be broken."""
    root = tmp_path_factory.mktemp("small")
    for name in (
        "copier.yml",
        "pyproject.toml",
        "generator/poolwright/catalog.yml",
        "generator/poolwright/rules.jinja",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text((catalog.root() / name).read_text(encoding="utf-8"), encoding="utf-8")
    (root / "template/app").mkdir(parents=True)
    (root / "template/app/main.py.jinja").write_text('NAME = "{{ project_name }}"\n', encoding="utf-8")
    (root / "template/run.sh").write_text("#!/bin/sh\n", encoding="utf-8")
    (root / "template/run.sh").chmod(0o755)
    (root / "template/.hidden").write_text("", encoding="utf-8")
    monkeypatch.setattr(catalog, "root", lambda: root)
    return root


def test_the_answers_file_holds_the_answers_and_the_canonical_url_and_no_path(tmp_path: Path) -> None:
    files = render_project(SQLITE, tmp_path / "shop")
    text = (tmp_path / "shop/.copier-answers.yml").read_text(encoding="utf-8")
    stored = yaml.safe_load(text)
    assert stored.pop("_src_path") == catalog.distribution().repository
    assert stored.pop("_commit", None) == releases.own_tag()
    assert stored == evaluate(SQLITE).answers
    assert files == [name for name in tree(tmp_path / "shop") if not (tmp_path / "shop" / name).is_dir()]
    assert files == list_files(evaluate(SQLITE))
    assert tree(tmp_path) == ["shop", *(f"shop/{name}" for name in tree(tmp_path / "shop"))]
    for name in files:
        assert str(tmp_path).encode() not in (tmp_path / "shop" / name).read_bytes()


def test_modes_are_kept_and_a_missing_parent_is_made(tmp_path: Path, small_template: Path) -> None:
    assert render_project(SQLITE, tmp_path / "a/b/shop") == [".hidden", "app/main.py", "run.sh"]
    assert stat.S_IMODE((tmp_path / "a/b/shop/run.sh").stat().st_mode) & 0o111 == 0o111
    assert stat.S_IMODE((tmp_path / "a/b/shop").stat().st_mode) == 0o777 & ~umask()


def test_a_read_only_template_gives_a_project_that_can_be_edited(tmp_path: Path, small_template: Path) -> None:
    read_only = [small_template / "template/app/main.py.jinja", small_template / "template/app"]
    for path in read_only:
        path.chmod(path.stat().st_mode & ~0o222)
    render_project(SQLITE, tmp_path / "shop")
    for path in reversed(read_only):
        path.chmod(0o755)
    assert (tmp_path / "shop/app/main.py").stat().st_mode & 0o200
    assert tree(tmp_path) == ["shop", "shop/.hidden", "shop/app", "shop/app/main.py", "shop/run.sh"]


def test_an_empty_directory_is_kept_and_filled(tmp_path: Path, small_template: Path) -> None:
    (tmp_path / "shop").mkdir()
    before = (tmp_path / "shop").stat().st_ino
    render_project(SQLITE, tmp_path / "shop")
    assert (tmp_path / "shop").stat().st_ino == before
    assert "run.sh" in os.listdir(tmp_path / "shop")


@pytest.mark.parametrize(
    ("answers", "error"),
    [({"database": "nope"}, InvalidAnswer), ({"pool_size": 9}, InvalidAnswer), ({"workers": 512}, PlanDoesNotFit)],
)
def test_nothing_is_made_for_answers_that_do_not_go(
    answers: dict[str, Any], error: type[PoolwrightError], tmp_path: Path
) -> None:
    with pytest.raises(error):
        render_project(answers, tmp_path / "a/shop")
    assert tree(tmp_path) == []


@pytest.mark.parametrize("kind", ["file", "directory", "link to a file", "dangling link"])
def test_a_target_in_use_is_left_alone(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "shop"
    if kind == "file":
        target.write_text("mine", encoding="utf-8")
    elif kind == "directory":
        target.mkdir()
        (target / "mine").write_text("mine", encoding="utf-8")
    elif kind == "link to a file":
        (tmp_path / "mine").write_text("mine", encoding="utf-8")
        target.symlink_to("mine")
    else:
        target.symlink_to("nowhere")
    before = tree(tmp_path)
    with pytest.raises(TargetExists):
        render_project(SQLITE, target)
    if kind != "directory":
        with pytest.raises(TargetExists):
            render_project(SQLITE, target, force=True)
    assert tree(tmp_path) == before


def test_a_parent_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(TargetExists, match="file is not a directory"):
        render_project(SQLITE, tmp_path / "file/shop")


def test_a_directorys_name_that_the_disk_refuses_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Cannot use"):
        render_project(SQLITE, tmp_path / ("x" * 300))
    assert tree(tmp_path) == []


def test_force_replaces_the_templates_files_and_keeps_others(tmp_path: Path, small_template: Path) -> None:
    target = tmp_path / "shop"
    (target / "app").mkdir(parents=True)
    (target / "app/main.py").write_text("old", encoding="utf-8")
    (target / "app/mine.py").write_text("mine", encoding="utf-8")
    render_project(SQLITE, target, force=True)
    assert (target / "app/main.py").read_text(encoding="utf-8") == 'NAME = "shop"\n'
    assert (target / "app/mine.py").read_text(encoding="utf-8") == "mine"
    assert tree(target) == [".hidden", "app", "app/main.py", "app/mine.py", "run.sh"]


def test_force_puts_everything_back_where_one_file_cannot_be_written(tmp_path: Path, small_template: Path) -> None:
    target = tmp_path / "shop"
    (target / "run.sh").mkdir(parents=True)  # the last file of the template
    (target / "run.sh/mine").write_text("mine", encoding="utf-8")
    (target / ".hidden").write_text("mine", encoding="utf-8")
    before = tree(target)
    with pytest.raises(TargetExists, match=r"run\.sh is a directory"):
        render_project(SQLITE, target, force=True)
    assert tree(target) == before
    assert (target / ".hidden").read_text(encoding="utf-8") == "mine"


def test_force_tries_each_undo_and_names_what_is_not_put_back(
    tmp_path: Path, small_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, unlink = tmp_path / "shop", Path.unlink
    (target / "run.sh/mine").mkdir(parents=True)  # the last file of the template
    (target / ".hidden").write_text("mine", encoding="utf-8")

    def fail(path: Path, missing_ok: bool = False) -> None:
        if path == target / "app/main.py":
            raise OSError(5, "Input/output error")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", fail)
    with pytest.raises(PoolwrightError, match=r"run\.sh is a directory[^\n]*\n.*not be put back: app/main\.py\.$"):
        render_project(SQLITE, target, force=True)
    assert (target / ".hidden").read_text(encoding="utf-8") == "mine"


def test_force_does_not_write_through_a_linked_directory(tmp_path: Path, small_template: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/app").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TargetExists, match="app is not a directory"):
        render_project(SQLITE, tmp_path / "shop", force=True)
    assert tree(tmp_path / "elsewhere") == []
    assert tree(tmp_path / "shop") == ["app"]


@pytest.mark.parametrize("broken", ["{{ nothing_of_that_name }}", "{% if %}", "{{ 1 // 0 }}"])
def test_a_template_that_fails_leaves_nothing(broken: str, tmp_path: Path, small_template: Path) -> None:
    (small_template / "template/zz.txt.jinja").write_text(broken, encoding="utf-8")
    with pytest.raises(PoolwrightError, match="The template cannot be rendered: "):
        render_project(SQLITE, tmp_path / "a/b/shop")
    assert tree(tmp_path) == []


def test_an_interrupted_library_call_leaves_nothing(
    tmp_path: Path, small_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(render, "_publish", stopped)
    with pytest.raises(KeyboardInterrupt):
        render_project(SQLITE, tmp_path / "a/shop")
    assert tree(tmp_path) == []


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def identity(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A global Git configuration of the test's own."""
    path = tmp_path_factory.mktemp("git") / "config"
    path.write_text("[user]\n name = A\n email = a@example.org\n[commit]\n gpgSign = true\n", encoding="utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(path))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    return path


@pytest.mark.usefixtures("identity", "small_template")
def test_a_repository_has_one_commit_of_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    render_project(SQLITE, tmp_path / "shop", git=True)
    monkeypatch.delenv("GIT_DIR")
    assert git(tmp_path / "shop", "status", "--porcelain") == ""
    assert git(tmp_path / "shop", "log", "--format=%an %s").splitlines() == ["A Initial commit"]
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.usefixtures("small_template")
def test_without_an_identity_there_is_no_commit(tmp_path: Path, identity: Path) -> None:
    identity.write_text("", encoding="utf-8")
    render_project(SQLITE, tmp_path / "shop", git=True)
    assert "?? run.sh" in git(tmp_path / "shop", "status", "--porcelain")


@pytest.mark.usefixtures("identity", "small_template")
def test_no_repository_inside_of_another_and_none_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "--quiet", "outer")
    render_project(SQLITE, tmp_path / "outer/shop", git=True)
    assert not (tmp_path / "outer/shop/.git").exists()
    monkeypatch.setenv("PATH", str(tmp_path))
    render_project(SQLITE, tmp_path / "shop", git=True)
    assert not (tmp_path / "shop/.git").exists()


def umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
