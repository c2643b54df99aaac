"""The generated project's own checks and tests, run as its owner runs them, on what it declares itself to need."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.processes import uv
from tests.servers import Database
from tests.servers.base import owner_url
from tests.service import environment
from tests.smoke.traffic import all_items, new_item


def run(
    project: Path, packages: Path, database_url: str, *command: str, **settings: str
) -> "subprocess.CompletedProcess[str]":
    # A second environment, with the development dependencies: the service runs without them. Whoever has it next keeps
    # what it needs of it, also what mypy knows of the libraries' types, and not a package more (--exact).
    own = {"UV_PROJECT_ENVIRONMENT": str(packages / "development"), "MYPY_CACHE_DIR": str(packages / "mypy")}
    return subprocess.run(
        [uv(), "run", "--quiet", "--exact", "--python", sys.executable, *command],
        cwd=project,
        env=environment(database_url, own | settings),
        capture_output=True,
        text=True,
        timeout=300,
    )


def run_in(project: Path, packages: Path, database_url: str, *command: str, **settings: str) -> None:
    done = run(project, packages, database_url, *command, **settings)
    assert done.returncode == 0, done.stdout + done.stderr


@dataclass(frozen=True)
class OwnTests:
    """How the project's own tests ended."""

    returncode: int
    output: str

    def passed(self, name: str) -> bool:
        return re.search(rf"::{name} PASSED", self.output) is not None


@pytest.fixture(scope="session")
def own_tests(project: Path, packages: Path, server: Database, database: str) -> OwnTests:
    done = run(project, packages, owner_url(server.url(database)), "pytest", "-v", "--color=no")
    return OwnTests(done.returncode, done.stdout + done.stderr)


@pytest.mark.parametrize("command", ["ruff check", "ruff format --check", "mypy --strict ."])
def test_the_projects_own_checks_pass(
    project: Path, packages: Path, server: Database, database: str, command: str
) -> None:
    run_in(project, packages, server.url(database), *command.split())


def test_the_projects_own_tests_pass_and_leave_the_database_alone(
    request: pytest.FixtureRequest, server: Database, client: httpx2.Client
) -> None:
    item = new_item(client)
    before = all_items(client)
    databases = server.databases()
    own_tests: OwnTests = request.getfixturevalue("own_tests")
    assert own_tests.returncode == 0, own_tests.output
    assert re.search(r"^=+ \d+ passed.* =+\n\Z", own_tests.output, re.MULTILINE), "something is said after the end"
    assert item in before
    assert all_items(client) == before
    assert server.databases() == databases


@pytest.mark.fault("cancelled")
def test_600_cancelled_requests_leave_the_pool_whole(own_tests: OwnTests) -> None:
    assert own_tests.passed("test_cancelled_requests_leave_the_pool_whole")


@pytest.mark.fault("raises")
def test_an_endpoint_that_raises_after_writing_commits_nothing(own_tests: OwnTests) -> None:
    assert own_tests.passed("test_an_endpoint_that_raises_after_writing_commits_nothing")
