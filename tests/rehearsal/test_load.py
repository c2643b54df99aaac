"""How long requests wait at a deployment's own processes, beside what `plan --rps --hold-ms` says of them.

One deployment and layer: the gate in front of the pool, and the model, are the same in all.
"""

from concurrent.futures import wait
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from poolwright.load import assess
from poolwright.load_model import Demand
from poolwright.questions import evaluate
from poolwright.render import render_project
from tests.rehearsal.reading import read
from tests.rehearsal.stage import Instance
from tests.servers import PostgreSQL
from tests.service import install, migrate
from tests.smoke.test_waiting import DELAY_SECONDS, TRIES, measured
from tests.smoke.traffic import parallel
from tests.wire import Proxy

ANSWERS: dict[str, Any] = {"style": "raw", "deployment": "kubernetes", "instances": 2, "project_name": "rehearsal"}
POOL = 4

pytestmark = pytest.mark.xdist_group("rehearsal-postgresql")


def answers_with_a_pool_of(size: int) -> dict[str, Any]:
    """The answers with the lowest limit that gives each process so many connections."""
    limits = ({**ANSWERS, "max_connections": limit} for limit in range(20, 100))
    return next(row for row in limits if evaluate(row).values["connections_per_process"] == size)


def test_the_processes_of_a_deployment_wait_as_its_plan_says(packages: Path, tmp_path: Path) -> None:
    answers = answers_with_a_pool_of(POOL)
    project = tmp_path / "project"
    render_project(answers, project)
    install(project, packages / "rehearsal")
    evaluation = evaluate(answers)
    deployment = read("kubernetes", project, evaluation.answers)
    with ExitStack() as stack:
        server = PostgreSQL(answers["max_connections"])
        stack.callback(server.close)
        server.start()
        name = server.create_database()
        migrate(project, server.url(name))
        proxy = stack.enter_context(Proxy(server.port, delay_seconds=DELAY_SECONDS))
        clients, sends = [], []
        for _ in range(deployment.instances):
            instance = Instance(deployment, project, server.url(name, proxy.port))
            stack.callback(instance.stop)
            instance.wait_until_ready()
            clients.append(stack.enter_context(instance.client()))
            sends.append(stack.enter_context(parallel(instance)))
        # Every connection is open, and has its statement prepared.
        wait([send("GET", f"/items/{uuid4()}") for send in sends for _ in range(20 * POOL)])
        seen = []
        for seed in range(TRIES):
            rate, hold, mean_wait = measured(sends, clients, seed)
            # As the processes saw it: whatever the machine does besides is part of the time that a connection is held.
            planned = assess(evaluation, Demand(rate, 1000 * hold, None), lambda more: evaluate({**answers, **more}))
            planned_ms, seen_ms = planned.values["load"]["mean_wait_ms"], 1000 * mean_wait
            seen.append((rate, hold, planned_ms, seen_ms))
            # The times that connections are held are all but equal, which makes about half of the wait.
            if planned_ms is not None and planned_ms * 0.25 <= seen_ms <= planned_ms * 1.5:
                return
    pytest.fail(f"(rate, hold, mean wait as planned, as seen): {seen}")
