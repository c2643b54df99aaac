"""The CI workflows, the repository's and those of rendered projects: valid, and without a known weakness."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from poolwright.questions import combinations
from poolwright.render import render_project

pytestmark = pytest.mark.xdist_group("workflows")

HERE = Path(__file__).resolve().parent
WORKFLOW = Path(".github") / "workflows" / "ci.yml"
BOT = Path(".github") / "dependabot.yml"
TOOLS = Path(sys.executable).parent

#: What changes a workflow: the service that it starts, and whether there is a cache.
AXES = ("database", "cache")

Check = Callable[[list[Path]], "subprocess.CompletedProcess[str]"]


def validated(workflows: list[Path]) -> "subprocess.CompletedProcess[str]":
    """By GitHub's own schema."""
    return run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *map(str, workflows))


def audited(workflows: list[Path]) -> "subprocess.CompletedProcess[str]":
    """For weaknesses: secrets within reach, text of strangers in commands, actions that can change."""
    options = ["--offline", "--no-progress", "--pedantic", "--min-severity", "low"]
    return run("zizmor", *options, "--config", str(HERE / "zizmor.yml"), *map(str, workflows))


def run(tool: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([TOOLS / tool, *arguments], capture_output=True, text=True)


@pytest.fixture(scope="module")
def workflows(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The repository's workflow and each that a project can have."""
    found = [HERE.parents[1] / WORKFLOW]
    for answers in {tuple(row[axis] for axis in AXES): row for row in combinations()}.values():
        project = tmp_path_factory.mktemp("project") / "rendered"
        render_project({**answers, "project_name": "render-test"}, project)
        found.append(project / WORKFLOW)
    assert len(found) > 4
    return found


def test_the_update_bot_s_configuration_is_valid_and_looks_after_the_actions(workflows: list[Path]) -> None:
    for root in (HERE.parents[1], workflows[1].parents[2]):
        done = run("check-jsonschema", "--builtin-schema", "vendor.dependabot", str(root / BOT))
        assert done.returncode == 0, done.stdout + done.stderr
        found = yaml.safe_load((root / BOT).read_text(encoding="utf-8"))["updates"]
        assert "github-actions" in [update["package-ecosystem"] for update in found]
    done = audited([root / BOT for root in (HERE.parents[1], workflows[1].parents[2])])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("check", [validated, audited])
def test_every_workflow_passes(check: Check, workflows: list[Path]) -> None:
    done = check(workflows)
    assert done.returncode == 0, done.stdout + done.stderr


STRANGERS_TEXT = "run: echo ${{ github.event.pull_request.title }}"

FAULTS = [
    (validated, "runs-on: ubuntu-latest", "run-on: ubuntu-latest", "run-on"),
    (validated, "timeout-minutes: ", "timeout-minutes: about ", "timeout-minutes"),
    (audited, "        with:\n          persist-credentials: false\n", "", "artipacked"),
    (audited, "permissions:\n  contents: read\n", "permissions: write-all\n", "excessive-permissions"),
    (audited, "  pull_request:", "  pull_request_target:", "dangerous-triggers"),
    (audited, "@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7", "unpinned-uses"),
    (audited, "steps:\n", f"steps:\n      - {STRANGERS_TEXT}\n", "template-injection"),
]


@pytest.mark.parametrize(("check", "right", "wrong", "told"), FAULTS)
def test_a_planted_fault_is_found(
    check: Check, right: str, wrong: str, told: str, workflows: list[Path], tmp_path: Path
) -> None:
    for number, workflow in enumerate(workflows[:2]):  # the repository's, and one of a project
        text = workflow.read_text(encoding="utf-8")
        assert right in text
        faulty = tmp_path / str(number) / WORKFLOW
        faulty.parent.mkdir(parents=True)
        faulty.write_text(text.replace(right, wrong), encoding="utf-8")
        done = check([faulty])
        assert done.returncode != 0
        assert told in done.stdout + done.stderr
