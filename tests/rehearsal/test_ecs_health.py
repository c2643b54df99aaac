"""The health check of a task on Amazon ECS, by its own code, on a real process.

What it asks is the same on every database; SQLite needs no server. Port, files and the process are the test's own.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from poolwright.render import render_project
from tests import cloudformation
from tests.processes import wait_until
from tests.render.ecs_faults import containers
from tests.service import NO_TLS, START_SECONDS, Service, install, migrate

pytestmark = pytest.mark.xdist_group("rehearsal-sqlite")


class Task:
    """A service, and the check of its container."""

    def __init__(self, root: Path) -> None:
        self.url = f"sqlite:///{root}/app.db"
        self.project = root / "service"
        self.ready = root / "ready"
        answers = {"project_name": "rehearsal", "style": "raw"}
        render_project({**answers, "database": "sqlite"}, self.project)
        install(self.project, root / "packages")
        render_project({**answers, "deployment": "ecs"}, root / "ecs")
        template = cloudformation.read(root / "ecs/deploy/template.yaml")
        app = containers(template["Resources"]["Task"]["Properties"])["app"]
        *_, self.code = app["HealthCheck"]["Command"]
        self.service = Service(self.project, self.url)

    def check(self, seconds: int = 60) -> str:
        """What the check says where tasks end within so many seconds; nothing where the task is healthy."""
        code = self.code
        for text, instead in {
            "127.0.0.1:8000": f"127.0.0.1:{self.service.port}",
            "/proc/1/stat": f"/proc/{self.service.process.pid}/stat",
            "/tmp/ready": str(self.ready),
            "started + 60": f"started + {seconds}",
        }.items():
            assert code.count(text) == 1
            code = code.replace(text, instead)
        environment = {name: value for name, value in os.environ.items() if not name.endswith("_proxy")}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
        assert done.returncode in (0, 1)
        assert bool(done.returncode) == bool(done.stderr)
        return done.stderr.strip().rpartition("\n")[2]

    def readiness(self) -> int:
        return httpx2.get(f"{self.service.base_url}/readyz", verify=NO_TLS).status_code


@pytest.fixture
def task(tmp_path: Path) -> Iterator[Task]:
    made = Task(tmp_path)
    yield made
    made.service.stop()


def test_a_task_is_healthy_when_it_was_ready_and_is_old_enough(task: Task) -> None:
    assert task.readiness() == 503
    assert "503" in task.check(seconds=0)
    migrate(task.project, task.url)
    wait_until(lambda: task.readiness() == 200, START_SECONDS, "ready")
    age = 3600  # none is as old here
    assert task.check(age) == "too young"
    assert not task.ready.exists()
    assert task.check(seconds=0) == ""
    assert task.ready.exists()
    Path(task.url.removeprefix("sqlite:///")).unlink()
    task.service.stop()
    assert "refused" in task.check(seconds=0)
    # Once it was ready, a database that is not is no reason to replace it.
    task.service = Service(task.project, task.url)
    assert task.readiness() == 503
    assert task.check(seconds=0) == ""
