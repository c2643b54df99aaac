"""The command `update`, as a user and a script see it."""

import json
import os
import shlex
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from poolwright import releases
from poolwright.git import git
from scripts.release import append
from tests.cli.conftest import Poolwright
from tests.cli.test_interrupts import wait_for
from tests.update.projects import HEAD, commit, edit, files, make, plain_copier, render, start_update, state

ANSWERS: dict[str, Any] = {"style": "raw"}
RELEASE = releases.tags()[-1]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Of the last release, with its owner's changes; in a folder with a space in its name."""
    directory = tmp_path / "my shop"
    make(RELEASE, ANSWERS, directory, tmp_path / "scratch")
    edit(directory)
    return directory


def answers_file(project: Path, old: str, new: str) -> None:
    path = project / ".copier-answers.yml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    commit(project)


def conflicting(project: Path) -> None:
    """The same line as a switch of the style changes."""
    path = project / "app/db/repository.py"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    (number,) = (index for index, line in enumerate(lines) if line.startswith("class "))
    lines[number] = "class Mine:\n"
    path.write_text("".join(lines), encoding="utf-8")
    (project / "app/db/connection.py").write_text("# mine\n", encoding="utf-8")
    commit(project)


def test_json_tells_what_changed_and_has_a_body_for_a_pull_request(project: Path, poolwright: Poolwright) -> None:
    done = poolwright("update", "my shop", "--json", "--instances", "2")
    assert (done.code, done.err) == (0, f"Updating my shop from {RELEASE[1:]} to {HEAD[1:]}\n")
    told = json.loads(done.out)
    assert (told["schema_version"], told["from"], told["to"], told["written"]) == (1, RELEASE[1:], HEAD[1:], True)
    assert told["answers"]["instances"] == {"before": 1, "after": 2}
    assert told["plan"]["before"]["processes"] < told["plan"]["after"]["processes"]
    status = git(project, "status", "--porcelain", "--untracked-files=all").splitlines()
    assert told["files"]["changed"] == sorted(line[3:] for line in status if line.startswith(" M"))
    assert "app/plan.py" in told["files"]["changed"]
    assert told["conflicts"] == told["edits_deleted"] == []
    assert f"Poolwright {RELEASE[1:]} -> {HEAD[1:]}" in told["body"]
    assert "- instances: 1 -> 2" in told["body"]
    assert "| processes | 5 | **10** |" in told["body"]


def test_a_dry_run_shows_the_difference_and_changes_nothing(project: Path, poolwright: Poolwright) -> None:
    before = state(project)
    done = poolwright("update", "my shop", "--dry-run", "-d", "instances=2")
    assert done.code == 0
    assert "\n-_commit: " in done.out
    assert f"\n+_commit: {HEAD}\n" in done.out
    assert "Plan before:" in done.out
    assert "Plan after:" in done.out
    assert state(project) == before
    patch = done.out[: done.out.index("\nWould update") + 1]
    git(project, "apply", given=patch)
    applied = state(project)[0]
    git(project, "checkout", "--quiet", ".")
    git(project, "clean", "--quiet", "-d", "--force")
    assert poolwright("update", "my shop", "-q", "-d", "instances=2").code == 0
    assert state(project)[0] == applied


def test_an_update_to_what_the_project_is_does_nothing(project: Path, poolwright: Poolwright) -> None:
    assert poolwright("update", "my shop").code == 0
    commit(project)
    before = state(project)
    done = poolwright("update", "--defaults", "my shop")
    assert (done.code, done.out) == (0, f"my shop is up to date: release {HEAD[1:]}.\n")
    assert state(project) == before
    plain_copier(project, releases.BUNDLE)
    assert state(project) == before


def test_a_release_can_be_chosen_but_none_that_is_older(project: Path, poolwright: Poolwright) -> None:
    done = poolwright("update", "my shop", "--to", RELEASE[1:])
    assert (done.code, done.out) == (0, f"my shop is up to date: release {RELEASE[1:]}.\n")
    unknown = poolwright("update", "my shop", "--to", "0.0.9")
    assert unknown.code == 2
    assert f"There is no release '0.0.9': this tool has {', '.join(tag[1:] for tag in releases.tags())}." in unknown.err
    assert poolwright("update", "my shop").code == 0
    commit(project)
    older = poolwright("update", "my shop", "--to", RELEASE[1:])
    assert older.code == 2
    assert f"it cannot go back to {RELEASE[1:]}." in older.err


def test_conflicts_are_listed_and_the_exit_code_is_1(project: Path, poolwright: Poolwright, tmp_path: Path) -> None:
    conflicting(project)
    done = poolwright("update", "my shop", "-d", "style=sqlalchemy")
    assert done.code == 1
    assert "Conflicts (1):\n  app/db/repository.py\n" in done.out
    assert (
        "Deleted with your changes, since the project has no such file now (1):\n  app/db/connection.py\n" in done.out
    )
    text = (project / "app/db/repository.py").read_text(encoding="utf-8")
    assert "<<<<<<< before updating\n" in text
    assert "class Mine:\n" in text
    assert "UU app/db/repository.py" in git(project, "status", "--porcelain")
    again = poolwright("update", "my shop")
    assert again.code == 4


def test_stored_answers_that_cannot_stay_give_way_and_are_named(project: Path, poolwright: Poolwright) -> None:
    told = json.loads(poolwright("update", "my shop", "--json", "--dry-run", "-d", "database=mysql").out)
    assert told["answers"]["driver"]["before"] == "asyncpg"
    assert told["answers"]["driver"]["after"] == told["plan"]["after"]["answers"]["driver"]
    assert "asyncpg" in told["refused"]["driver"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-d", "style=rav"], 2, "Did you mean raw?"),
        (["-d", "colour=red"], 2, "There is no answer called 'colour'"),
        (["-d", "pool_size=7"], 2, "pool_size is computed and cannot be set."),
        (["-d", "database=sqlite", "-d", "deployment=lambda"], 2, "SQLite"),
        (["-d", "instances=90"], 3, "The plan does not fit"),
    ],
)
def test_changes_that_cannot_be(
    arguments: list[str], code: int, message: str, project: Path, poolwright: Poolwright
) -> None:
    before = state(project)
    done = poolwright("update", "my shop", *arguments)
    assert done.code == code
    assert message in done.err
    assert state(project) == before


def test_a_plan_that_does_not_fit_is_told_as_json(project: Path, poolwright: Poolwright) -> None:
    done = poolwright("update", "my shop", "--json", "-d", "instances=90")
    told = json.loads(done.out)
    assert (done.code, told["written"], told["plan"]["after"]["fits"]) == (3, False, False)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (f"_commit: {RELEASE}", "_commit: v1000.0.0", f"newer than this tool ({HEAD[1:]}).\nUpgrade poolwright.\n"),
        (f"_commit: {RELEASE}\n", "", "was made from an unreleased version: there is nothing to compare it with."),
        (f"_commit: {RELEASE}", f"_commit: {RELEASE}-3-gabcdef", f"unreleased version ({RELEASE}-3-gabcdef)"),
        ("https://github.com/poolwright/", "https://example.org/other/", "Update it with: copier update"),
    ],
)
def test_projects_that_cannot_be_updated(
    old: str, new: str, message: str, project: Path, poolwright: Poolwright
) -> None:
    answers_file(project, old, new)
    done = poolwright("update", "my shop")
    assert done.code == 2
    assert message in done.err


def test_an_unreleased_project_becomes_one_that_can_be_updated(
    project: Path, poolwright: Poolwright, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers_file(project, f"_commit: {RELEASE}\n", "")
    advice = poolwright("update", "my shop").err
    (line,) = (line for line in advice.splitlines() if line.startswith("  poolwright new"))
    monkeypatch.setattr(releases, "own_tag", lambda: HEAD)  # as in a released tool
    assert poolwright(*shlex.split(line)[1:]).code == 0
    commit(project)
    done = poolwright("update", "my shop")
    assert (done.code, done.out) == (0, f"my shop is up to date: release {HEAD[1:]}.\n")


def test_only_what_is_committed_is_updated(project: Path, poolwright: Poolwright, tmp_path: Path) -> None:
    (project / "new file").write_text("x", encoding="utf-8")
    dirty = poolwright("update", "my shop")
    assert (dirty.code, dirty.out) == (4, "")
    assert "my shop has uncommitted changes: new file.\nCommit or stash them" in dirty.err
    render(RELEASE, ANSWERS, tmp_path / "bare", tmp_path / "scratch")
    without_git = poolwright("update", "bare", GIT_CEILING_DIRECTORIES=str(tmp_path))
    assert without_git.code == 4
    assert "Run git init" in without_git.err
    assert poolwright("update", ".").code == 2


def test_a_file_that_git_ignores_is_not_overwritten(project: Path, poolwright: Poolwright) -> None:
    with (project / ".gitignore").open("a", encoding="utf-8") as file:
        file.write("/app/db/models.py\n")
    (project / "app/db/models.py").write_text("mine", encoding="utf-8")
    commit(project)
    before = state(project)
    done = poolwright("update", "my shop", "-d", "style=sqlalchemy")
    assert done.code == 4
    assert "app/db/models.py is in the way" in done.err
    assert state(project) == before


def test_the_project_is_as_before_when_copier_fails(
    project: Path, poolwright: Poolwright, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = releases.unpack(HEAD, tmp_path / "broken")
    (broken / "template/README.md.jinja").write_text("{{ nothing_of_this_name }}", encoding="utf-8")
    bundle = tmp_path / "broken.bundle"
    shutil.copy(releases.BUNDLE, bundle)
    append(bundle, broken, "1000.0.0", "2026-01-01")
    monkeypatch.setattr(releases, "BUNDLE", bundle)
    before = state(project)
    done = poolwright("update", "my shop", TMPDIR=str(tmp_path))
    assert done.code == 1
    assert "nothing_of_this_name" in done.err
    assert state(project) == before


def test_the_project_is_as_before_when_the_disk_refuses(
    project: Path, poolwright: Poolwright, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = []
    real = Path.write_bytes

    def write(path: Path, content: Any) -> int:
        if path.is_relative_to(project):
            writes.append(path)
            if len(writes) == 4:
                raise OSError(28, "No space left on device")
        return real(path, content)

    before = state(project)
    monkeypatch.setattr(Path, "write_bytes", write)
    done = poolwright("update", "my shop", "-d", "style=sqlalchemy")
    assert (done.code, len(writes)) == (1, 4)
    assert done.err.endswith("No space left on device.\nNothing was changed.\n")
    assert state(project) == before


@pytest.mark.parametrize(
    "moment",
    [
        "temporary/poolwright-*",
        "temporary/poolwright-*/tree/.git",
        "temporary/poolwright-*/temporary/*old_copy*/app",
        "temporary/poolwright-*/temporary/*new_copy*",
        "my shop/app/db/models.py",  # moved to its place
    ],
)
def test_ctrl_c_leaves_the_project_as_before_or_updated(
    moment: str, project: Path, environment: dict[str, str], bundle_with_head: Path, tmp_path: Path
) -> None:
    before = state(project)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    own, changes = environment | {"TMPDIR": str(temporary)}, ("-d", "style=sqlalchemy")
    child = start_update(project, bundle_with_head, own, *changes, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: any(tmp_path.glob(moment)) or child.poll() is not None, seconds=60)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert "Traceback" not in err
    if moment.startswith("temporary"):
        assert child.returncode == 130
        assert err.endswith("\nStopped. Nothing was changed.\n")
        assert state(project) == before
    else:
        assert child.returncode == 0
    assert os.listdir(temporary) == []
    assert not list(project.glob(".poolwright-*"))


def test_a_project_in_a_subfolder_of_a_repository_where_others_are_at_work(
    tmp_path: Path, poolwright: Poolwright
) -> None:
    top = tmp_path / "mono"
    project, fresh = top / "services/shop", tmp_path / "fresh"
    project.parent.mkdir(parents=True)
    render(RELEASE, ANSWERS, project, tmp_path / "scratch")
    for name in ("other.txt", "services/pay.txt"):
        (top / name).write_text("theirs\n", encoding="utf-8")
    git(top, "init", "--quiet")
    commit(top)
    git(top, "mv", "services/pay.txt", "services/paid.txt")
    (top / "other.txt").write_text("half done\n", encoding="utf-8")
    (top / "services/new.txt").write_text("new\n", encoding="utf-8")
    theirs = git(top, "status", "--porcelain", "--", ":!services/shop")
    assert poolwright("update", "mono/services/shop", "-q").code == 0
    render(HEAD, ANSWERS, fresh, tmp_path / "scratch")
    assert files(project) == files(fresh)
    assert git(top, "status", "--porcelain", "--", ":!services/shop") == theirs
    again = poolwright("update", "mono/services/shop")
    assert again.code == 4
    assert "mono/services/shop has uncommitted changes: .copier-answers.yml" in again.err
