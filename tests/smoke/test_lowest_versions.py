"""The lowest versions that a rendered project allows are some that it runs on."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.processes import uv
from tests.service import environment
from tests.smoke.layers import Layer, render

# The layer whose libraries did the most for the pool lately, and which needs no server.
LAYER = Layer("sqlite", "sqlalchemy", "aiosqlite")


@pytest.mark.xdist_group(str(LAYER))
def test_a_project_s_own_tests_pass_on_the_lowest_versions_that_it_allows(tmp_path: Path) -> None:
    project = tmp_path / "project"
    render(LAYER, project)
    packages = tmp_path / "packages"
    url = f"sqlite:///{tmp_path / 'own.db'}"

    def run(*command: str) -> str:
        own = environment(url, {"UV_PROJECT_ENVIRONMENT": packages})
        done = subprocess.run([uv(), *command], cwd=project, env=own, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("sync", "--quiet", "--resolution", "lowest-direct", "--python", sys.executable)
    # That these are the lowest: an environment with the newest would pass, too.
    frozen = run("pip", "freeze", "--exclude-editable", "--python", str(packages)).splitlines()
    installed = dict(line.split("==") for line in frozen)
    declared = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    lowest = {re.split(r"[\[>]", text)[0]: re.findall(r">=([\d.]+)", text)[0] for text in declared}
    assert {"sqlalchemy", "aiosqlite", "fastapi"} <= lowest.keys()
    for name, version in lowest.items():
        assert re.fullmatch(rf"{re.escape(version)}(\.0)*", installed[name]), (name, version, installed[name])
    run("run", "--no-sync", "pytest", "-q")
