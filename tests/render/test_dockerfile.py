"""The Dockerfiles; they are the same for every project, so they are read in the template."""

import json
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

TEMPLATE = Path(__file__).resolve().parents[2] / "template"
DOCKERFILES = sorted(TEMPLATE.rglob("*Dockerfile"))
APP = TEMPLATE / "Dockerfile"


def faults(text: str) -> list[str]:
    """What hadolint says of a Dockerfile: the codes of its rules."""
    hadolint = shutil.which("hadolint", path=sysconfig.get_path("scripts")) or "hadolint"
    done = subprocess.run(
        [hadolint, "--no-fail", "--format", "json", "-"], input=text, capture_output=True, text=True, check=True
    )
    return [finding["code"] for finding in json.loads(done.stdout)]


def last_stage(text: str) -> list[list[str]]:
    """The instructions of the image itself, in words."""
    lines = [line.split() for line in text.splitlines() if line and not line.startswith(("#", " "))]
    start = max(number for number, words in enumerate(lines) if words[0] == "FROM")
    return lines[start:]


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: str(file.relative_to(TEMPLATE)))
def test_hadolint_is_content(file: Path) -> None:
    assert faults(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: str(file.relative_to(TEMPLATE)))
def test_the_image_runs_as_the_user_of_the_deployments_and_in_exec_form(file: Path) -> None:
    words = last_stage(file.read_text(encoding="utf-8"))
    assert [line for line in words if line[0] == "USER"] == [["USER", "10001"]]
    assert json.loads(" ".join(words[-1][1:]))
    assert words[-1][0] == "CMD"


PLANTED = {
    "a version that moves": ("FROM python:3.14-slim\n", "FROM python\n", "DL3006"),
    "a package without version": ("uv==0.13.8", "uv", "DL3013"),
    "a shell around the server": (
        'CMD ["uvicorn", "app.main:app", "--host", "0.0.0.0", "--port", "8000", "--timeout-graceful-shutdown", "20"]',
        "CMD uvicorn app.main:app",
        "DL3025",
    ),
    "root": ("USER 10001", "USER root", "DL3002"),
    "a word that is none": ("EXPOSE 8000", "EXPOSES 8000", "DL1000"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(fault: str) -> None:
    right, wrong, code = PLANTED[fault]
    text = APP.read_text(encoding="utf-8")
    assert text.count(right) == 1
    assert code in faults(text.replace(right, wrong))
