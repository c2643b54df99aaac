"""What users bring to an update: answers changed by hand, configurations, hidden edits, links, other processes."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from poolwright import releases
from poolwright.git import git
from poolwright.update import read_project
from tests.cli.conftest import Poolwright
from tests.cli.test_interrupts import wait_for
from tests.update.projects import HEAD, Files, commit, files, make, render, start_update, state

ANSWERS: dict[str, Any] = {"style": "raw"}
RELEASE = releases.tags()[-1]
FILE = ".copier-answers.yml"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the last release, as `new` made it, and committed."""
    folder = tmp_path_factory.mktemp("made")
    make(RELEASE, ANSWERS, folder / "shop", folder / "scratch")
    return folder / "shop"


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "shop", symlinks=True)
    return tmp_path / "shop"


def fresh(answers: dict[str, Any], folder: Path) -> Files:
    render(HEAD, {**ANSWERS, **answers}, folder / "fresh", folder / "scratch")
    return files(folder / "fresh")


def change_answers(project: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = yaml.safe_load((project / FILE).read_text(encoding="utf-8"))
    change(document)
    (project / FILE).write_text(yaml.safe_dump(document), encoding="utf-8")
    commit(project)


def configured(tmp_path: Path, text: str) -> dict[str, str]:
    """The variables of a user with this git configuration."""
    (tmp_path / "gitconfig").write_text(f"[user]\n name = A\n email = a@example.org\n{text}", encoding="utf-8")
    return {"GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig")}


# --- Answers changed by hand


def test_answers_changed_by_hand_reach_every_number(project: Path, poolwright: Poolwright, tmp_path: Path) -> None:
    change_answers(project, lambda answers: answers.update(workers=8))
    told = poolwright("update", "shop")
    assert (told.code, "workers: 4 -> 8 (.copier-answers.yml was changed by hand)" in told.out) == (0, True)
    assert files(project) == fresh({"workers": 8}, tmp_path)
    commit(project)
    assert "is up to date" in poolwright("update", "shop", "-d", "workers=8").out


def test_numbers_that_no_answers_gave_are_said_and_corrected(
    project: Path, poolwright: Poolwright, tmp_path: Path
) -> None:
    change_answers(project, lambda answers: answers.update(workers=8))
    plan = project / "app/plan.py"
    plan.write_text(plan.read_text(encoding="utf-8") + "\nOWN = 1\n", encoding="utf-8")
    shutil.rmtree(project / ".git")  # its history is lost
    git(project, "init", "--quiet")
    commit(project)
    planned = poolwright("plan", "shop")
    assert "app/plan.py was not rendered from these answers:\n" in planned.out
    assert "POOL_SIZE: 8, by the answers 6\n" in planned.out
    told = json.loads(poolwright("plan", "shop", "--json").out)["differing"]
    assert {"name": "POOL_SIZE", "found": "8", "answered": "6"} in told
    updated = poolwright("update", "shop")
    assert updated.code == 0
    assert "app/plan.py had other numbers than its answers give (7):\n" in updated.out
    assert "POOL_SIZE: 8, by the answers 6\n" in updated.out
    (_, wanted), (_, found) = fresh({"workers": 8}, tmp_path)["app/plan.py"], files(project)["app/plan.py"]
    assert found == wanted + b"\nOWN = 1\n"


MISTAKES: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda answers: answers.update(workers="many"), "workers is a whole number, not 'many': 4, for example."),
    (lambda answers: answers.update(workers=[4]), "workers is a whole number, not a list"),
    (lambda answers: answers.update(workers=None), "workers is a whole number, not 'None'"),
    (lambda answers: answers.update(read_replica="perhaps"), "read_replica is true or false, not 'perhaps'."),
    (lambda answers: answers.update(project_name={"a": 1}), "project_name is a word, not a mapping."),
    (lambda answers: answers.update(style="django"), "style cannot be 'django': it is one of "),
    (lambda answers: answers.update(driver="asyncmy"), "asyncmy cannot be used with PostgreSQL"),
    (lambda answers: answers.update(colour="red"), "There is no answer called 'colour'"),
    (lambda answers: answers.pop("deployment"), "has lost its answer to deployment: "),
    (lambda answers: [answers.pop(key) for key in [*answers] if key[0] != "_"], "has lost its answer to "),
]


@pytest.mark.parametrize(
    ("command", "change", "message"),
    [("update", *row) for row in MISTAKES]
    + [(command, *row) for command in ("plan", "check") for row in (MISTAKES[0], MISTAKES[-1])],
)
def test_answers_that_cannot_be_are_named(
    command: str, change: Callable[[dict[str, Any]], object], message: str, project: Path, poolwright: Poolwright
) -> None:
    change_answers(project, change)
    before = state(project)
    done = poolwright(command, "shop")
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert state(project) == before


@pytest.mark.parametrize("key", ["_src_path", "_commit", "project_name", "style"])
def test_a_yaml_bomb_is_no_answer(key: str, project: Path, poolwright: Poolwright) -> None:
    bomb = ["  - &a0 [x, x, x, x, x, x, x, x, x]"]
    bomb += [f"  - &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    lines = [line for line in (project / FILE).read_text(encoding="utf-8").splitlines() if not line.startswith(key)]
    (project / FILE).write_text("\n".join([*lines, f"{key}:", *bomb]), encoding="utf-8")
    commit(project)
    done = poolwright("update", "shop")
    assert (done.code, len(done.err) < 1000) == (2, True)


# --- What git was told


def test_no_configuration_of_the_users_reaches_the_update(
    project: Path, poolwright: Poolwright, tmp_path: Path
) -> None:
    (tmp_path / "hooks").mkdir()
    for name in ("pre-commit", "post-checkout", "reference-transaction", "post-index-change", "commit-msg"):
        (tmp_path / "hooks" / name).write_text(f'#!/bin/sh\necho {name} >> "{tmp_path}/ran"\nexit 1\n')
        (tmp_path / "hooks" / name).chmod(0o755)
    (tmp_path / "ignored").write_text("deploy/\napp/\n", encoding="utf-8")
    variables = configured(
        tmp_path,
        f"[core]\n hooksPath = {tmp_path}/hooks\n autocrlf = true\n excludesFile = {tmp_path}/ignored\n"
        "[diff]\n noprefix = true\n external = false\n[color]\n ui = always\n[commit]\n gpgSign = true\n"
        "[apply]\n whitespace = error\n[init]\n defaultObjectFormat = sha256\n",
    )
    dry = poolwright("update", "shop", "--dry-run", "-d", "instances=2", **variables)
    assert dry.code == 0, dry.err
    patch = dry.out[: dry.out.index("\nWould update") + 1]
    assert poolwright("update", "shop", "--yes", "-d", "instances=2", **variables).code == 0
    wanted = fresh({"instances": 2}, tmp_path)
    assert files(project) == wanted
    assert not (tmp_path / "ran").exists()
    git(project, "checkout", "--quiet", ".")
    git(project, "clean", "--quiet", "-d", "--force")
    git(project, "apply", given=patch)
    assert files(project) == wanted


def test_a_project_with_other_line_ends_keeps_them_and_names_what_imports_what_went(
    project: Path, poolwright: Poolwright
) -> None:
    (project / ".gitattributes").write_text("* text=auto eol=crlf\n", encoding="utf-8")
    (project / "own.py").write_text(
        "import json\n\nfrom app.db import borrowing, pool\n\nprint(pool)\n", encoding="utf-8"
    )
    commit(project)
    gone = [path for path in git(project, "ls-files").splitlines() if path != ".gitattributes"]
    for path in gone:
        (project / path).unlink()
    git(project, "checkout", "--quiet", ".")
    assert b"\r\n" in (project / "README.md").read_bytes()
    done = poolwright("update", "shop", "--json", "-d", "style=sqlalchemy")
    told = json.loads(done.out)
    assert (done.code, told["edits_deleted"], told["conflicts"]) == (0, [], [])
    assert told["files"]["deleted"] != []
    mixed = {
        path: content
        for path, (_, content) in files(project).items()
        if b"\n" in content.replace(b"\r\n", b"") and path != ".gitattributes"
    }
    assert mixed == {}
    assert told["imports_gone"] == {"own.py": ["app.db.borrowing", "app.db.pool"]}


def test_edits_that_git_does_not_see_are_not_lost(project: Path, poolwright: Poolwright) -> None:
    for flag, path in {"--skip-worktree": "app/plan.py", "--assume-unchanged": "README.md"}.items():
        git(project, "update-index", flag, path)
    read_project(project)  # nothing is hidden yet
    with (project / "app/plan.py").open("a", encoding="utf-8") as file:
        file.write("MINE = 1\n")
    (project / "README.md").unlink()
    before = files(project)
    done = poolwright("update", "shop")
    assert (done.code, files(project)) == (4, before)
    assert "git was told not to see (skip-worktree, assume-unchanged): README.md, app/plan.py.\n" in done.err


def test_another_git_process_is_respected(project: Path, poolwright: Poolwright) -> None:
    (project / ".git/index.lock").write_bytes(b"")
    before = files(project)
    done = poolwright("update", "shop")
    assert (done.code, files(project)) == (4, before)
    assert f"remove what it left: {Path('shop/.git/index.lock')}" in done.err


def test_the_repository_of_somebody_else_is_told_in_gits_words(project: Path, poolwright: Poolwright) -> None:
    done = poolwright("update", "shop", GIT_TEST_ASSUME_DIFFERENT_OWNER="1")
    assert done.code == 4
    assert f"git config --global --add safe.directory {project}" in done.err
    assert "git init" not in done.err


def test_a_renamed_file_is_one(project: Path, poolwright: Poolwright) -> None:
    git(project, "mv", "app/plan.py", "app/the plan.py")
    done = poolwright("update", "shop")
    assert "shop has uncommitted changes: app/plan.py -> app/the plan.py.\n" in done.err


@pytest.mark.parametrize("name", ["deploy", "README.md", "app/db"])
def test_a_link_out_of_the_repository_is_not_written_through(
    name: str, project: Path, poolwright: Poolwright, tmp_path: Path
) -> None:
    (project / name).rename(tmp_path / "elsewhere")
    (project / name).symlink_to(tmp_path / "elsewhere")
    commit(project)
    elsewhere = tmp_path / "elsewhere"
    before = state(project), files(elsewhere) if elsewhere.is_dir() else elsewhere.read_bytes()
    done = poolwright("update", "shop")
    assert done.code == 2
    assert f"{name} is a symbolic link to {elsewhere}: the template has {name}" in done.err
    assert (state(project), files(elsewhere) if elsewhere.is_dir() else elsewhere.read_bytes()) == before


def test_a_file_where_the_template_has_a_folder_is_a_message(project: Path, poolwright: Poolwright) -> None:
    shutil.rmtree(project / "deploy")
    (project / "deploy").write_text("mine\n", encoding="utf-8")
    commit(project)
    before = state(project)
    done = poolwright("update", "shop")
    assert (done.code, state(project)) == (2, before)
    assert "deploy is a file, and the template has a folder of that name.\n" in done.err


def test_a_dry_run_runs_nothing_of_the_repository_s_configuration(
    project: Path, poolwright: Poolwright, tmp_path: Path
) -> None:
    """Its monitor, its filters and its hooks are programs; a real update runs the filters, as git itself does."""
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho $0 >> {tmp_path}/ran\nexec cat\n", encoding="utf-8")
    program.chmod(0o755)
    (project / ".gitattributes").write_text("*.py filter=own\n", encoding="utf-8")
    commit(project)
    for name in ("clean", "smudge"):
        git(project, "config", f"filter.own.{name}", str(program))
    git(project, "config", "filter.own.required", "true")
    git(project, "config", "core.fsmonitor", str(program))
    for hook in ("post-checkout", "post-index-change", "pre-commit", "reference-transaction"):
        (project / ".git/hooks").mkdir(exist_ok=True)
        (project / ".git/hooks" / hook).symlink_to(program)
    for file in project.glob("app/*.py"):
        os.utime(file)  # git would look whether they have changed, by the filter
    for arguments in (["--dry-run"], ["--dry-run", "-d", "instances=2"]):
        assert poolwright("update", "shop", *arguments).code == 0
    assert not (tmp_path / "ran").exists()
    (project / "README.md").write_text("mine\n", encoding="utf-8")
    assert poolwright("update", "shop", "--dry-run").code == 4


# --- Accidents


def test_a_killed_update_leaves_no_process_and_the_next_one_no_folder(
    project: Path,
    environment: dict[str, str],
    bundle_with_head: Path,
    tmp_path: Path,
    poolwright: Poolwright,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = state(project)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    own = environment | {"TMPDIR": str(temporary)}
    child = start_update(project, bundle_with_head, own, stderr=subprocess.DEVNULL)
    wait_for(lambda: copiers(temporary) != [])
    child.kill()
    child.wait()
    # Those that copier had just started end a moment after it.
    wait_for(lambda: copiers(temporary) == [])
    assert state(project) == before
    assert os.listdir(temporary) != []
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    assert poolwright("update", "shop", "-q").code == 0
    assert os.listdir(temporary) == []
    assert files(project) == fresh({}, tmp_path)


def test_what_a_killed_update_of_an_old_release_left_is_removed(project: Path, tmp_path: Path) -> None:
    trees = {name: tmp_path / name / "tree" for name in ("poolwright-abcd_012", "poolwright-running0", "mine")}
    for tree in trees.values():
        git(project, "worktree", "add", "--quiet", "--detach", str(tree))
        os.utime(tree, (0, 0))
    os.utime(trees["poolwright-running0"])
    git(project, "worktree", "add", "--quiet", "--detach", str(tmp_path / "poolwright-isgone00/tree"))
    shutil.rmtree(tmp_path / "poolwright-isgone00")
    read_project(project)
    assert [tree.exists() for tree in trees.values()] == [False, True, True]
    listed = git(project, "worktree", "list", "--porcelain")
    assert [str(tree) in listed for tree in trees.values()] == [False, True, True]
    assert "isgone" not in listed


def copiers(folder: Path) -> list[int]:
    """The processes that were told to work in a folder."""
    found = []
    for words in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if f"{folder}/".encode() in words.read_bytes():
                found.append(int(words.parent.name))
    return found
