"""render.yaml: whole, within Render's limits, and never more processes than the plan counts."""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from poolwright.errors import InvalidAnswer
from poolwright.questions import evaluate
from tests.render.artifacts import project_of, readme, with_options
from tests.render.render_faults import INSTANCES, SHUTDOWN_SECONDS, Service, faults, read_blueprint, variables

pytestmark = pytest.mark.xdist_group("render")

RENDER = {"deployment": "render", "project_name": "render-test"}
RENDERED = with_options("render")
OTHERS: dict[str, dict[str, Any]] = {
    "plain": RENDER,
    "workers": {**RENDER, "workers": 3, "instances": 3},
    "many-workers": {**RENDER, "workers": 20, "instances": 1},
}
CASES = {**RENDERED, **OTHERS}

Built = Callable[[str], tuple[dict[str, Any], str]]


@pytest.fixture(scope="session")
def built(projects: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The Blueprint of a case, and deploy/README.md."""
    root = tmp_path_factory.mktemp("render")

    def build(name: str) -> tuple[dict[str, Any], str]:
        project = project_of(name, OTHERS, projects, root)
        return read_blueprint(project), readme(project)

    return build


@pytest.mark.parametrize("case", CASES)
def test_the_blueprint_is_without_fault(case: str, built: Built) -> None:
    assert faults(*built(case), evaluate(CASES[case]).values) == []


@pytest.mark.parametrize("case", CASES)
def test_the_readme_has_the_numbers(case: str, built: Built) -> None:
    values = evaluate(CASES[case]).values
    blueprint, text = built(case)
    each, total = values["connections_per_process"], values["planned_total"]
    assert f"{values['processes']} processes x {each} connections = {total} of the {values['capacity']} " in text
    assert (f" opens at most {values['pooler_connections']} to the server." in text) == values["pooled"]
    # The new instances are alive beside the old ones.
    assert values["processes"] == 2 * blueprint["services"][0]["numInstances"] * values["workers"]


def test_a_stop_is_shorter_than_render_waits() -> None:
    values = evaluate(RENDER).values
    # 20 s for requests + 10 s for the pool; Render's default is 30
    assert values["rollout"]["grace_seconds"] == 30 <= SHUTDOWN_SECONDS


def test_connections_end_before_an_idle_one_is_forgotten() -> None:
    # 80 % of 350 s
    assert evaluate(RENDER).values["settings"]["pool_recycle_seconds"] == 280


def test_more_instances_than_render_runs_are_refused() -> None:
    many = {**RENDER, "max_connections": 5000}
    assert evaluate({**many, "instances": INSTANCES}).values["fits"]
    with pytest.raises(InvalidAnswer, match=f"from 1 to {INSTANCES}, not 101"):
        evaluate({**many, "instances": INSTANCES + 1})


def test_workers_get_processors(built: Built) -> None:
    plans = [built(case)[0]["services"][0]["plan"] for case in ("plain", "workers", "many-workers")]
    assert plans == ["standard", "pro plus", "pro ultra"]


def test_behind_pgbouncer_only_the_migration_verifies_the_server(built: Built) -> None:
    blueprint, text = built("pooler-postgresql-render-pgbouncer")
    assert variables(blueprint["services"][0])["DATABASE_TLS"] == "off"
    assert "?sslmode=verify-full&sslrootcert=/etc/secrets/database_ca`" in text


def test_one_instance_of_many_is_not_scraped(built: Built, projects: Mapping[str, Path]) -> None:
    _, text = built("pooler-postgresql-render-none")
    assert not (projects["pooler-postgresql-render-none"] / "deploy/alerts.yaml").exists()
    assert "do not scrape it" in text


def test_the_workers_share_their_metrics(built: Built) -> None:
    shared = ["PROMETHEUS_MULTIPROC_DIR" in variables(built(case)[0]["services"][0]) for case in ("plain", "workers")]
    assert shared == [False, True]


# --- Planted faults: each is found ------------------------------------------------------------------------------------


def set_option(service: Service, name: str, value: str) -> None:
    words = service["dockerCommand"].split()
    words[words.index(name) + 1] = value
    service["dockerCommand"] = " ".join(words)


def set_variable(service: Service, key: str, value: str) -> None:
    (row,) = (row for row in service["envVars"] if row.get("key") == key)
    row["value"] = value


def drop_variable(service: Service, key: str) -> None:
    service["envVars"] = [row for row in service["envVars"] if row.get("key") != key]


Plant = Callable[[Service], object]

PLANTED: dict[str, tuple[Plant, str]] = {
    "a misspelt field": (lambda s: s.update(healthcheckPath="/readyz"), "'healthcheckPath' was unexpected"),
    "an old field": (lambda s: s.update(env="docker"), "'env' was unexpected"),
    "a number for text": (lambda s: set_variable(s, "PORT", 8000), "envVars."),  # type: ignore[arg-type]
    "two sources": (
        lambda s: s["envVars"][0].update(value="postgresql://database/app"),
        "is not valid under any of the given schemas",
    ),
    "too long a shutdown": (lambda s: s.update(maxShutdownDelaySeconds=301), "301 is greater than the maximum of 300"),
    "too many instances": (lambda s: s.update(numInstances=101), "101 is greater than the maximum of 100"),
    "no such region": (lambda s: s.update(region="europe"), "'europe' is not one of"),
    "a private service": (lambda s: s.update(type="pserv"), "a pserv of docker"),
    "another runtime": (lambda s: s.update(runtime="python"), "a web of python"),
    "a variable of a shell": (lambda s: set_option(s, "--workers", "$WORKERS"), "dockerCommand: needs a shell"),
    "two commands": (
        lambda s: s.update(preDeployCommand="python -m app.migrate && true"),
        "preDeployCommand: needs a shell",
    ),
    "no migration": (lambda s: s.update(preDeployCommand="true"), "migrates by true"),
    "each commit": (lambda s: s.update(autoDeployTrigger="commit"), "deploys what no check has passed"),
    "a variable twice": (
        lambda s: s["envVars"].append({"key": "PORT", "value": "8000"}),
        "a variable twice",
    ),
    "no URL to migrate by": (lambda s: drop_variable(s, "MIGRATION_DATABASE_URL"), "asks for ['DATABASE_URL', "),
    "a secret in the file": (
        lambda s: s["envVars"].append({"key": "CACHE_URL", "value": "redis://cache"}),
        "CACHE_URL: a secret in a file",
    ),
    "another group": (
        lambda s: s["envVars"].append({"fromGroup": "all"}),
        "nobody makes the groups ['render-test', 'all']",
    ),
    "a file that nobody makes": (
        lambda s: set_variable(s, "DATABASE_CA_FILE", "/etc/secrets/ca.pem"),
        "DATABASE_CA_FILE: no file /etc/secrets/ca.pem",
    ),
    "no verification": (lambda s: drop_variable(s, "DATABASE_CA_FILE"), "the way to the database is not as planned"),
    "no revision": (lambda s: drop_variable(s, "REVISION_VARIABLE"), "does not say which code it is"),
    "another port": (lambda s: set_variable(s, "PORT", "8080"), "listens elsewhere"),
    "loopback": (lambda s: set_option(s, "--host", "127.0.0.1"), "listens elsewhere"),
    "Render's port": (lambda s: set_option(s, "--port", "10000"), "port 10000 is Render's own"),
    "a check of liveness": (lambda s: s.update(healthCheckPath="/livez"), "new instances are asked for /livez"),
    "more instances": (lambda s: s.update(numInstances=3), "3 instances, not 2"),
    "more workers": (lambda s: set_option(s, "--workers", "2"), "2 workers, not 1"),
    "half a processor": (lambda s: s.update(plan="starter"), "1 workers on the plan starter"),
    "another stop": (
        lambda s: set_option(s, "--timeout-graceful-shutdown", "5"),
        "another graceful stop than the plan's",
    ),
    "too short a shutdown": (lambda s: s.update(maxShutdownDelaySeconds=20), "killed 20 s after SIGTERM"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(fault: str, built: Built) -> None:
    case = "pooler-postgresql-render-none"
    blueprint, text = copy.deepcopy(built(case))
    plant, expected = PLANTED[fault]
    plant(blueprint["services"][0])
    assert expected in "\n".join(faults(blueprint, text, evaluate(CASES[case]).values))


def test_a_readme_that_makes_other_secrets_is_found(built: Built) -> None:
    case = "pooler-postgresql-render-none"
    blueprint, text = built(case)
    values = evaluate(CASES[case]).values
    assert "the README tells of ['DATABASE_URL', 'REPLICA_DATABASE_URL', 'REDIS_URL']" in faults(
        blueprint, text.replace("- MIGRATION_DATABASE_URL: ", "- "), values
    )
    assert "DATABASE_CA_FILE: no file /etc/secrets/database_ca" in faults(
        blueprint, text.replace("file called `database_ca`", "file"), values
    )
