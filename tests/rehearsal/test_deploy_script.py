"""deploy.sh of a virtual machine on real processes: what it says of a revision is what serves afterwards.

Only systemd is a stand-in (systemctl.py) that runs the units' own commands; paths and the port are the test's own.
"""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from poolwright.render import render_project
from tests.processes import free_port, wait_until
from tests.service import install

ANSWERS = {"project_name": "rehearsal", "database": "sqlite", "style": "raw", "deployment": "vm", "workers": 2}
REPOSITORY = Path(__file__).resolve().parents[2]
SYSTEMCTL = f"#!/bin/sh\nPYTHONPATH='{REPOSITORY}' exec '{sys.executable}' -P -m tests.rehearsal.systemctl \"$@\"\n"
BROKEN = "\nraise RuntimeError('this revision does not start')\n"


class Host:
    """A machine with a clone of the project, its units and its secrets; `origin` is where new code comes from."""

    def __init__(self, root: Path, packages: Path) -> None:
        self.root = root
        self.origin = root / "origin"
        self.place = root / "opt/rehearsal"
        self.settings = root / "etc/rehearsal"
        self._port = free_port()
        render_project(ANSWERS, self.origin)
        for file in (self.origin / "deploy").iterdir():
            text = file.read_text(encoding="utf-8")
            for path in ("/opt/", "/etc/"):
                text = text.replace(path, f"{root}{path}")
            file.write_text(text.replace("--port 8000", f"--port {self._port}").replace(":8000", f":{self._port}"))
        self._git("init", "--quiet", "--initial-branch=main")
        self.commit("the first version")
        subprocess.run(["git", "clone", "--quiet", self.origin, self.place], check=True)
        install(self.place, packages / "plain")
        self.settings.mkdir(parents=True)
        (root / "etc/systemd/system").mkdir(parents=True)
        (self.settings / "environment").write_text("STATEMENT_TIMEOUT_SECONDS=5\n")
        for secret in ("database_url", "migration_database_url"):
            (self.settings / secret).write_text(f"sqlite:///{root}/app.db")
        programs = root / "bin"
        programs.mkdir()
        (programs / "systemctl").write_text(SYSTEMCTL)
        (programs / "uv").write_text("#!/bin/sh\n")  # the packages are there
        for program in programs.iterdir():
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self._environment = {"PATH": f"{programs}:{os.environ['PATH']}", "SYSTEMD_ROOT": str(root)}

    def commit(self, what: str, file: str = "", addition: str = "") -> str:
        """Commit what is in origin's folder, with an addition to one of its files; the revision."""
        if file:
            with (self.origin / file).open("a", encoding="utf-8") as opened:
                opened.write(addition)
        self._git("add", "--all")
        self._git("-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "--quiet", "-m", what)
        return self._git("rev-parse", "HEAD").strip()

    def take_back(self, revision: str) -> None:
        """Bring origin's files back to a revision, for the next commit."""
        self._git("reset", "--quiet", "--hard", revision)

    def deploy(self, *revision: str, seconds: int = 60) -> subprocess.CompletedProcess[str]:
        """Run the script that the clone has."""
        given = {**self._environment, "DEPLOY_SECONDS": str(seconds)}
        command = ["sh", str(self.place / "deploy/deploy.sh"), *revision]
        return subprocess.run(command, env=given, capture_output=True, text=True, timeout=seconds + 120)

    def served(self) -> set[str]:
        """The revisions of all workers, as the service tells them."""
        lines = self._get("/metrics").text.splitlines()
        return {line.split('"')[1] for line in lines if line.startswith("app_processes{")}

    def systemctl(self, *words: str) -> bool:
        """Whether a command of systemctl's succeeds."""
        return subprocess.run([self.root / "bin/systemctl", *words], env=self._environment).returncode == 0

    def answers(self, path: str) -> int:
        """The status of an answer; 0 where there is none."""
        try:
            return self._get(path).status_code
        except httpx2.TransportError:
            return 0

    def process(self) -> str:
        """The id of the service's main process."""
        return (self.root / "run/rehearsal/pid").read_text()

    def workers(self) -> set[str]:
        """The ids of the processes that serve."""
        main = Path("/proc", self.process())
        children = (main / "task" / main.name / "children").read_text().split()
        return {child for child in children if b"spawn_main" in Path("/proc", child, "cmdline").read_bytes()}

    def _get(self, path: str) -> httpx2.Response:
        return httpx2.get(f"http://127.0.0.1:{self._port}{path}")

    def _git(self, *words: str) -> str:
        return subprocess.run(["git", *words], cwd=self.origin, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, packages: Path) -> Iterator[Host]:
    """A machine whose service runs a version that each test brings a newer one to."""
    made = Host(tmp_path_factory.mktemp("host"), packages)
    done = made.deploy()
    try:
        assert done.returncode == 0, done.stderr
        yield made
    finally:
        made.systemctl("stop", "rehearsal")


@pytest.fixture
def served(host: Host) -> Iterator[str]:
    """The revision that serves before a test; the next test begins with what it was made of."""
    (revision,) = host.served()
    yield revision
    host.take_back(revision)


def test_all_workers_serve_the_new_revision_when_the_script_says_so(host: Host, served: str) -> None:
    before = host.process()
    new = host.commit("another version", "app/main.py", "\n# changed\n")
    done = host.deploy()
    assert done.returncode == 0, done.stderr
    assert host.served() == {new}
    assert host.process() == before, done.stdout  # reloaded, not restarted


def test_code_that_does_not_start_is_no_success_and_the_way_back_is_said(host: Host, served: str) -> None:
    host.commit("a broken version", "app/main.py", BROKEN)
    done = host.deploy(seconds=8)
    assert done.returncode != 0
    assert "serves" not in done.stdout
    assert f"deploy/deploy.sh {served}" in done.stderr
    assert host.served() == {served}  # by the old workers
    back = host.deploy(served)
    assert back.returncode == 0, back.stderr
    assert host.served() == {served}


def test_the_revision_that_serves_is_brought_again_by_new_workers(host: Host, served: str) -> None:
    """Those of before say the same revision, and the next deployment's code would be imported by their successors."""
    before = host.workers()
    done = host.deploy(served)
    assert done.returncode == 0, done.stderr
    assert len(host.workers()) == len(before)
    assert not host.workers() & before


def test_a_migration_that_fails_leaves_the_old_code_serving(host: Host, served: str) -> None:
    host.commit("a migration that fails", "app/migrate.py", BROKEN)
    done = host.deploy()
    assert done.returncode != 0
    assert f"deploy/deploy.sh {served}" in done.stderr
    assert host.served() == {served}


@pytest.mark.parametrize("changed", ["environment", "credential", "unit"])
def test_what_a_reload_would_not_bring_is_a_restart(host: Host, served: str, changed: str) -> None:
    before = host.process()
    if changed == "environment":
        (host.settings / "environment").write_text("STATEMENT_TIMEOUT_SECONDS=4\n")
    elif changed == "credential":
        (host.settings / "database_url").write_text(f"sqlite:///{host.root}/app.db?mode=rwc")
    else:
        unit = host.origin / "deploy/rehearsal.service"
        unit.write_text(unit.read_text().replace("--workers 2", "--workers 1"))
    new = host.commit("another version", "app/main.py", "\n# changed\n")
    done = host.deploy()
    assert done.returncode == 0, done.stderr + done.stdout
    assert host.served() == {new}
    assert host.process() != before


def test_the_database_away_at_boot_is_waited_for(host: Host, served: str) -> None:
    """The service starts whatever the migration says, and serves when the database is there."""
    host.systemctl("stop", "rehearsal")
    database = host.root / "app.db"
    away = database.rename(host.root / "away.db")
    database.mkdir()  # it cannot be opened
    assert not host.systemctl("start", "rehearsal-migrate")
    assert host.systemctl("start", "rehearsal")
    wait_until(lambda: host.answers("/livez") == 200, 30, "the service lives")
    assert host.answers("/readyz") == 503
    database.rmdir()
    away.rename(database)
    wait_until(lambda: host.answers("/readyz") == 200, 30, "the service is ready")
