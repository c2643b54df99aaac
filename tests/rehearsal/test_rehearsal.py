"""Each deployment's own command, environment and number of processes, on a server that has the planned connections.

Requests hold every connection of every pool, also in the middle of a rollout, when old and new processes are alive:
blocked by the server, so that the surge shows.
"""

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from poolwright.questions import evaluate
from poolwright.render import render_project
from tests.processes import wait_until
from tests.rehearsal.reading import read
from tests.rehearsal.stage import Instance, Load, terminate, wait_for_all
from tests.rehearsal.table import Row, record
from tests.servers import MongoDB, MySQL, PostgreSQL, Server
from tests.service import install, migrate
from tests.wire import Proxy

DEPLOYMENTS: dict[str, dict[str, Any]] = {
    "vm": {"instances": 2, "workers": 2, "surge": 1},
    "compose": {"instances": 2, "workers": 2},
    "kubernetes": {"instances": 3, "workers": 1, "surge": 2},
    "cloudrun": {"instances": 2, "workers": 1},
    "ecs": {"instances": 3, "workers": 1, "surge": 3},
    "azure": {"instances": 2, "workers": 1},
    "fly": {"instances": 3, "workers": 1},
    "render": {"instances": 2, "workers": 1},
}
SERVERS: dict[str, Callable[[int], Server]] = {"postgresql": PostgreSQL, "mysql": MySQL, "mongodb": MongoDB}
COVER = {
    "vm": "postgresql",
    "compose": "mysql",
    "kubernetes": "mongodb",
    "cloudrun": "postgresql",
    "ecs": "mongodb",
    "azure": "mysql",
    "fly": "mysql",
    "render": "mongodb",
}
LIMIT = 40  # of the server: max_connections


def on(deployment: str, database: str) -> Any:
    """A combination: those of a database share a server, in one process; `make test` takes one of each deployment."""
    marks = [pytest.mark.xdist_group(f"rehearsal-{database}")]
    if database != COVER[deployment]:
        marks.append(pytest.mark.beyond_cover)
    return pytest.param(deployment, database, marks=marks)


class Rehearsal:
    """A rendered project, its deployment, and a server of its own behind a proxy that counts connections."""

    def __init__(self, project: Path, answers: dict[str, Any], server: Server, clients: int | None = None) -> None:
        evaluation = evaluate(answers)
        values = evaluation.values
        self.planned: int = values["planned_total"]
        self.pool: int = values["settings"]["pool_size"] + values["settings"]["max_overflow"]
        self.deployment = read(answers["deployment"], project, evaluation.answers)
        self.server = server
        self.database = server.create_database()
        migrate(project, server.url(self.database))
        self.refused_before = server.refused_connections()
        self.proxy = Proxy(server.port, server.conversation)
        self._project = project
        self.running: list[Instance] = []
        self.peaks: dict[str, int] = {}
        # Several times as many as the pools have connections: every pool fills, whichever worker takes a request.
        self.load = Load(clients or 3 * self.deployment.workers * self.pool)

    def start(self, count: int) -> list[Instance]:
        """Start instances and load them when they are ready."""
        url = self.server.url(self.database, self.proxy.port)
        new = [Instance(self.deployment, self._project, url) for _ in range(count)]
        self.running += new
        for instance in new:
            instance.wait_until_ready()
        self.load.add(new)
        return new

    def hold_all(self, extra_workers: int = 0) -> None:
        """Wait until requests hold all connections of all processes."""
        each = (self.deployment.workers + extra_workers) * self.pool
        wait_for_all(self.running, lambda one: one.in_use() == each, f"{each} connections of each instance in use")

    def end(self, old: list[Instance]) -> None:
        """End instances while all connections of everybody are held; their requests must be answered."""
        with self.server.held(self.database):
            self.hold_all()
            self.load.drain(old)
            wait_for_all(old, lambda one: self.load.unanswered(one) == one.in_use(), "no request on the way")
            terminate(old)
        self.load.settle(old)
        for instance in old:
            instance.ended()
            self.running.remove(instance)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Note the most connections that are open at once while entered."""
        self.proxy.peak = self.proxy.open
        yield
        self.peaks[name] = self.proxy.peak

    def crash(self) -> None:
        """Kill an instance with all of its connections in use, and start it again at once, until all are in use again.

        What its statements wait for is over with it: how long the server goes on with them, where they have to wait, is
        a fault of its own (tests/smoke).
        """
        victim = self.running[0]
        with self.server.held(self.database):
            self.hold_all()
            self.load.give_up([victim])
            victim.process.kill_tree()
        self.running.remove(victim)
        victim.stop()
        self.load.settle([victim])
        self.start(1)
        with self.server.held(self.database):
            self.hold_all()

    def drain(self) -> None:
        """Empty hosts as far as the deployment lets the platform: instances end while their successors start."""
        old = self.running[: self.deployment.drained]
        self.start(len(old))
        self.end(old)

    def roll_out(self) -> None:
        """Replace every process as the deployment does."""
        kind = self.deployment.rollout
        if kind == "side by side":
            self.start(self.deployment.drained)
        old = list(self.running)
        if kind == "reload":
            self._reload()
        elif kind == "stop first":
            for instance in old:
                self.end([instance])
                self.start(1)
        elif kind == "side by side":
            self.start(len(old))
            self.end(old)
        else:
            self._roll(old)

    def _reload(self) -> None:
        workers = self.deployment.workers
        with self.server.held(self.database):
            for instance in self.running:
                instance.process.send(signal.SIGHUP)
            wait_for_all(self.running, lambda one: one.started_workers() > workers, "a new worker")
            # Those that ask already all wait at old workers.
            self.load.add(self.running)
            self.hold_all(extra_workers=1)  # an old worker ends only when its requests are answered
        wait_for_all(self.running, lambda one: one.finished_workers() == workers, "every worker replaced")

    def _roll(self, old: list[Instance]) -> None:
        """New ones first, as many as may be more; then old ones end, while as many new ones start.

        In the middle of the first step a host is drained: others end, too, and their successors start.
        """
        before, ending = self.deployment.started_before, self.deployment.ended_before
        waiting = len(old)
        drained = max(self.deployment.drained - ending, 0)  # a rollout that has pods away leaves drains the rest
        self.start(min(before, waiting))
        waiting -= before
        while old:
            count = before + ending + drained
            batch, old, drained = old[:count], old[count:], 0
            self.start(max(0, min(len(batch), waiting)))
            waiting -= len(batch)
            self.end(batch)

    def row(self, deployment: str, database: str) -> Row:
        refused = self.server.refused_connections() - self.refused_before
        drain = self.peaks.get("drain", "-")
        lost = len(self.load.lost)
        return Row(deployment, database, self.planned, self.peaks["rollout"], self.peaks["crash"], drain, refused, lost)

    def close(self) -> None:
        self.load.close()
        for instance in self.running:
            instance.stop()
        self.proxy.close()


@pytest.fixture(scope="module")
def server(database: str) -> Iterator[Server]:
    with SERVERS[database](LIMIT) as made:
        yield made


@pytest.mark.parametrize(
    ("deployment", "database"), [on(*pair) for pair in product(DEPLOYMENTS, SERVERS)], scope="module"
)
def test_a_deployment_keeps_to_its_plan(
    deployment: str,
    database: str,
    server: Server,
    packages: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    answers = {"deployment": deployment, "database": database, "max_connections": LIMIT, **DEPLOYMENTS[deployment]}
    project = tmp_path / "project"
    render_project({**answers, "project_name": "rehearsal"}, project)
    install(project, packages / "rehearsal")
    rehearsal = Rehearsal(project, answers, server)
    try:
        rehearsal.start(rehearsal.deployment.instances)
        with rehearsal.phase("crash"):
            rehearsal.crash()
        if rehearsal.deployment.drained:
            with rehearsal.phase("drain"):
                rehearsal.drain()
        with rehearsal.phase("rollout"):
            rehearsal.roll_out()
        rehearsal.end(list(rehearsal.running))
    finally:
        rehearsal.close()
    row = rehearsal.row(deployment, database)
    record(request, row)
    assert rehearsal.load.lost == []
    assert row.refused == 0
    # All pools of all processes were full at once, those of the rollout too: more than that would be more than planned.
    assert row.peak == row.planned
    assert all(rehearsal.pool < peak <= row.planned for peak in rehearsal.peaks.values()), row
    assert rehearsal.load.answers[200] > 0


@pytest.mark.parametrize(
    "database",
    [pytest.param(name, marks=pytest.mark.xdist_group(f"rehearsal-{name}")) for name in SERVERS],
    scope="module",
)
def test_a_plan_that_is_too_big_is_found(
    database: str,
    server: Server,
    packages: Path,
    tmp_path: Path,
) -> None:
    """The proof that the figures can be bad: each process may take all of the server's connections."""
    answers = {"deployment": "compose", "database": database, "max_connections": LIMIT, "instances": 1, "workers": 2}
    project = tmp_path / "project"
    render_project({**answers, "project_name": "rehearsal"}, project)
    install(project, packages / "rehearsal")
    spoil_plan(project / "app/plan.py", LIMIT)
    rehearsal = Rehearsal(project, answers, server, clients=2 * LIMIT)
    try:
        with server.held(rehearsal.database):
            rehearsal.start(1)
            wait_until(lambda: server.refused_connections() > rehearsal.refused_before, 60, "the server refuses one")
        assert rehearsal.proxy.peak > rehearsal.planned
    finally:
        rehearsal.close()


def spoil_plan(file: Path, size: int) -> None:
    text, changes = re.subn(r"^POOL_SIZE = \d+$", f"POOL_SIZE = {size}", file.read_text(), flags=re.MULTILINE)
    assert changes == 1
    file.write_text(text)
