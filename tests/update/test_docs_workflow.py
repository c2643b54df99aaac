"""The workflow in docs/update.md: valid, without a known weakness, and it does what the page says."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from poolwright.git import git
from scripts.release import append
from tests.render.test_workflows import Check, audited, validated
from tests.update.projects import HEAD, edit, make

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "update.md"
RELEASE = "v0.1.0"
NEXT = "v999.0.1"
BRANCH = f"poolwright-{NEXT[1:]}"

#: Writes down what it is asked, and knows how many pull requests there are.
GH = """#!/bin/sh
echo "$*" >> "$GH_RECORD"
if [ "$1" = pr ] && [ "$2" = list ]; then echo "$GH_OPENED"; fi
"""
#: This checkout's, which takes the test's bundle for its own.
POOLWRIGHT = """#!{python}
import pathlib, sys
sys.path.insert(0, {generator!r})
from poolwright import releases
from poolwright.__main__ import main
releases.BUNDLE = pathlib.Path({bundle!r})
sys.exit(main())
"""


def workflow() -> str:
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    return str(block)


def written(text: str, folder: Path) -> list[Path]:
    path = folder / ".github/workflows/poolwright.yml"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return [path]


@pytest.mark.parametrize("check", [validated, audited])
def test_the_workflow_passes(check: Check, tmp_path: Path) -> None:
    done = check(written(workflow(), tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr


FAULTS = [
    (validated, "timeout-minutes:", "timeout-minuets:", "timeout-minuets"),
    (validated, "workflow_dispatch:", "workflow_despatch:", "workflow_despatch"),
    (audited, "        with:\n          persist-credentials: false\n", "", "artipacked"),
    (audited, "permissions: {}\n", "permissions: write-all\n", "excessive-permissions"),
    (audited, 'origin "$BRANCH"', "origin ${{ github.head_ref }}", "template-injection"),
]


@pytest.mark.parametrize(("check", "right", "wrong", "told"), FAULTS)
def test_a_planted_fault_is_found(check: Check, right: str, wrong: str, told: str, tmp_path: Path) -> None:
    text = workflow()
    assert text.count(right) == 1
    done = check(written(text.replace(right, wrong), tmp_path))
    assert done.returncode != 0
    assert told in done.stdout + done.stderr


@dataclass(frozen=True)
class Run:
    """What a run of the workflow's own commands left: the step's exit code, the calls of gh, the runner's folder."""

    code: int
    gh: list[str]
    runner: Path


@pytest.fixture(scope="module")
def bundle(bundle_with_head: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One release more, whose settings are not those of this checkout."""
    folder = tmp_path_factory.mktemp("next")
    bundle = folder / "releases.bundle"
    shutil.copy(bundle_with_head, bundle)
    template = folder / "template"
    git(folder, "clone", "--quiet", "--branch", HEAD, str(bundle), str(template))
    settings = template / "template/app/settings.py"
    settings.write_text(settings.read_text(encoding="utf-8") + "\nLIMIT = 1\n", encoding="utf-8")
    append(bundle, template, NEXT[1:], "2026-01-02")
    return bundle


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A repository on a server, with a project of the first release."""
    project, origin = tmp_path / "project", tmp_path / "origin.git"
    make(RELEASE, {}, project, tmp_path / "scratch")
    git(tmp_path, "clone", "--quiet", "--bare", str(project), str(origin))
    return origin


def run_steps(origin: Path, bundle: Path, folder: Path, opened: int = 0) -> Run:
    """Check the project out as the action does and run the workflow's scripts as the runner does."""
    runner, project, record = folder / "runner", folder / "checkout", folder / "gh"
    for path in (runner, tools := folder / "tools"):
        path.mkdir(parents=True)
    git(folder, "clone", "--quiet", "--depth=1", origin.as_uri(), str(project))
    code = POOLWRIGHT.format(python=sys.executable, generator=str(ROOT / "generator"), bundle=str(bundle))
    for name, text in {"gh": GH, "poolwright": code}.items():
        (tools / name).write_text(text, encoding="utf-8")
        (tools / name).chmod(0o755)
    record.touch()
    outputs = folder / "outputs"
    outputs.touch()
    identity = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}  # a runner has none
    environment = os.environ | identity | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    environment |= {"RUNNER_TEMP": str(runner), "GITHUB_OUTPUT": str(outputs)}
    environment |= {"GH_RECORD": str(record), "GH_OPENED": str(opened)}
    update, pull_request = named_steps()
    done = shell(update, project, environment)
    found = dict(line.split("=", 1) for line in outputs.read_text(encoding="utf-8").splitlines())
    assert pull_request["if"] == "steps.update.outputs.branch != ''"
    assert pull_request["env"]["BRANCH"] == "${{ steps.update.outputs.branch }}"
    if done.returncode == 0 and found.get("branch"):
        done = shell(pull_request, project, environment | {"BRANCH": found["branch"]})
    return Run(done.returncode, record.read_text(encoding="utf-8").splitlines(), runner)


def named_steps() -> list[dict[str, Any]]:
    steps = yaml.safe_load(workflow())["jobs"]["update"]["steps"]
    return [step for step in steps if "name" in step]


def shell(step: dict[str, Any], project: Path, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", "-e", "-c", step["run"]], cwd=project, env=environment, capture_output=True, text=True
    )


def branches(origin: Path) -> list[str]:
    return git(origin, "branch", "--format=%(refname:short)").split()


def test_an_update_becomes_a_pull_request(origin: Path, bundle: Path, tmp_path: Path) -> None:
    (main,) = branches(origin)
    done = run_steps(origin, bundle, tmp_path / "run")
    told = json.loads((done.runner / "update.json").read_text(encoding="utf-8"))
    assert (done.code, told["from"], told["to"], told["written"]) == (0, RELEASE[1:], NEXT[1:], True)
    assert (done.runner / "body.md").read_text(encoding="utf-8") == told["body"]
    assert "| processes |" in told["body"]
    assert git(origin, "rev-list", "--count", f"{main}..{BRANCH}").strip() == "1"
    changed = git(origin, "diff", "--name-only", "--no-renames", main, BRANCH).split()
    assert changed == sorted(name for names in told["files"].values() for name in names)
    assert git(origin, "show", f"{BRANCH}:app/settings.py").endswith("\nLIMIT = 1\n")
    body = f"--body-file {done.runner}/body.md"
    assert done.gh[-1] == f"pr create --head {BRANCH} --title {BRANCH} {body}"


def test_conflicts_open_a_draft_with_markers(origin: Path, bundle: Path, tmp_path: Path) -> None:
    edit(tmp_path / "project")  # it puts other lines where the release puts its own
    git(tmp_path / "project", "push", "--quiet", str(origin), "HEAD")
    done = run_steps(origin, bundle, tmp_path / "run")
    told = json.loads((done.runner / "update.json").read_text(encoding="utf-8"))
    assert (done.code, told["conflicts"]) == (0, ["app/settings.py"])
    assert "<<<<<<< before updating\n" in git(origin, "show", f"{BRANCH}:app/settings.py")
    assert "app/settings.py" in (done.runner / "body.md").read_text(encoding="utf-8")
    assert done.gh[-1].startswith(f"pr create --draft --head {BRANCH} ")


def test_nothing_to_do_opens_none(bundle_with_head: Path, tmp_path: Path) -> None:
    project = tmp_path / "newest"
    make(HEAD, {}, project, tmp_path / "scratch")
    before = branches(project)
    done = run_steps(project, bundle_with_head, tmp_path / "run")
    assert (done.code, done.gh, branches(project)) == (0, [], before)
    told = json.loads((done.runner / "update.json").read_text(encoding="utf-8"))
    assert (told["from"], told["to"], told["files"]) == (
        HEAD[1:],
        HEAD[1:],
        {"added": [], "changed": [], "deleted": []},
    )


def test_a_release_opens_one_pull_request_only(origin: Path, bundle: Path, tmp_path: Path) -> None:
    before = branches(origin)
    done = run_steps(origin, bundle, tmp_path / "run", opened=1)
    assert (done.code, branches(origin)) == (0, before)
    assert [call for call in done.gh if not call.startswith("pr list ")] == []


def test_a_branch_without_a_pull_request_is_pushed_again(origin: Path, bundle: Path, tmp_path: Path) -> None:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    earlier = git(origin, *identity, "commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "earlier").strip()
    git(origin, "branch", BRANCH, earlier)
    done = run_steps(origin, bundle, tmp_path / "run")
    assert done.code == 0
    assert done.gh[-1].startswith("pr create ")
    assert git(origin, "show", f"{BRANCH}:app/settings.py").endswith("\nLIMIT = 1\n")


def test_what_cannot_be_updated_fails_the_job(origin: Path, bundle: Path, tmp_path: Path) -> None:
    answers = tmp_path / "project/.copier-answers.yml"
    answers.write_text(answers.read_text(encoding="utf-8").replace(RELEASE, "v1000.0.0"), encoding="utf-8")
    git(tmp_path / "project", "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "--quiet", "-am", "x")
    git(tmp_path / "project", "push", "--quiet", str(origin), "HEAD")
    done = run_steps(origin, bundle, tmp_path / "run")
    assert (done.code, done.gh) == (2, [])
