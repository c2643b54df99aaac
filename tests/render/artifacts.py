"""How the tests of deployments read and spoil what was rendered."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from poolwright.questions import evaluate
from poolwright.render import render_project
from tests.render.conftest import COMBINATIONS


def with_options(deployment: str) -> dict[str, dict[str, Any]]:
    """A combination for each database and pooler, with all options: deploy/ does not depend on style and driver."""
    return {
        name: answers
        for name, answers in COMBINATIONS.items()
        if name.startswith("pooler-") and answers["deployment"] == deployment
    }


def deployed_by(deployment: str) -> dict[str, dict[str, Any]]:
    """The combinations whose deploy/ differs: each database and pooler with most options, and one worker alone."""
    found = with_options(deployment)
    one = {"database": "postgresql", "deployment": deployment, "project_name": "render-test", "workers": 1}
    return {**found, "one-worker": one}


def rendered(answers: dict[str, Any], target: Path) -> dict[str, Any]:
    """Render a project, and return all its values."""
    given = {**answers, "project_name": "render-test"}
    render_project(given, target)
    return evaluate(given).values


def project_of(name: str, others: Mapping[str, Mapping[str, Any]], projects: Mapping[str, Path], root: Path) -> Path:
    """The project of a combination, or of one of `others`, which is rendered below `root` when first asked for."""
    if name not in others:
        return projects[name]
    project = root / name
    if not project.exists():
        render_project({"project_name": "shop", **others[name]}, project)
    return project


def readme(project: Path) -> str:
    """What deploy/README.md says."""
    return (project / "deploy/README.md").read_text(encoding="utf-8")


def spoil(file: Path, text: str, instead: str) -> None:
    """Plant a fault: each `text` in the file becomes `instead`."""
    before = file.read_text(encoding="utf-8")
    assert text in before, f"{file.name} has no {text!r}"
    file.write_text(before.replace(text, instead), encoding="utf-8")


def complaints(command: Sequence[str | Path], where: Path) -> list[str]:
    """What a validator says, if it fails or says anything."""
    program = shutil.which(command[0]) or shutil.which(command[0], path="/usr/sbin")
    assert program is not None, f"{command[0]} is not installed: make test installs it"
    done = subprocess.run([program, *command[1:]], cwd=where, capture_output=True, text=True)
    said = (done.stdout + done.stderr).strip()
    return [said or f"{command[0]} ended with {done.returncode}"] if said or done.returncode else []
