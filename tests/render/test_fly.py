"""fly.toml: whole, within Fly.io's limits, and never more processes than the plan counts."""

import copy
import shlex
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from poolwright.questions import evaluate
from tests.render.artifacts import project_of, readme, with_options
from tests.render.fly_faults import KILL_TIMEOUT_SECONDS, Config, faults, read_config, scale_count

pytestmark = pytest.mark.xdist_group("render")

FLY = {"deployment": "fly", "project_name": "render-test"}
RENDERED = with_options("fly")
OTHERS: dict[str, dict[str, Any]] = {
    "plain": FLY,
    "one": {**FLY, "instances": 1},
    "workers": {**FLY, "workers": 3, "instances": 2},
    "many-workers": {**FLY, "workers": 20, "instances": 1},
}
CASES = {**RENDERED, **OTHERS}

Built = Callable[[str], tuple[Config, str]]


@pytest.fixture(scope="session")
def built(projects: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The fly.toml of a case, and deploy/README.md."""
    root = tmp_path_factory.mktemp("fly")

    def build(name: str) -> tuple[Config, str]:
        project = project_of(name, OTHERS, projects, root)
        return read_config(project), readme(project)

    return build


@pytest.mark.parametrize("case", CASES)
def test_the_configuration_is_without_fault(case: str, built: Built) -> None:
    assert faults(*built(case), evaluate(CASES[case]).values) == []


@pytest.mark.parametrize("case", CASES)
def test_the_readme_has_the_numbers(case: str, built: Built) -> None:
    values = evaluate(CASES[case]).values
    _, text = built(case)
    each, total = values["connections_per_process"], values["planned_total"]
    assert f"{values['processes']} processes x {each} connections = {total} of the {values['capacity']} " in text
    assert (f" opens at most {values['pooler_connections']} to the server." in text) == values["pooled"]
    # No Machine is started beside those that are there.
    assert values["processes"] == scale_count(text) * values["workers"]


def test_a_stop_is_shorter_than_fly_waits() -> None:
    values = evaluate(FLY).values
    # 20 s for requests + 10 s for the pool
    assert values["rollout"]["grace_seconds"] == 30 <= KILL_TIMEOUT_SECONDS


def test_connections_end_before_flys_proxy_ends_them() -> None:
    # 80 % of the 10 minutes that a proxy waits when it restarts; Fly.io recommends 600 s at most
    assert evaluate(FLY).values["settings"]["pool_recycle_seconds"] == 480


def test_machines_get_processors_and_memory(built: Built) -> None:
    def size(case: str) -> tuple[int, str]:
        (machine,) = built(case)[0]["vm"]
        return machine["cpus"], machine["memory"]

    assert size("plain") == (1, "512mb")
    assert size("workers") == (4, "1024mb")
    assert size("many-workers") == (8, "5120mb")


def test_a_single_machine_always_runs(built: Built) -> None:
    assert built("one")[0]["http_service"]["min_machines_running"] == 1
    assert built("plain")[0]["http_service"]["min_machines_running"] == 2


def test_behind_pgbouncer_only_the_migration_verifies_the_server(built: Built) -> None:
    config, text = built("pooler-postgresql-fly-pgbouncer")
    assert config["env"]["DATABASE_TLS"] == "off"
    (file,) = config["files"]
    assert f"?sslmode=verify-full&sslrootcert={file['guest_path']}'" in text


def test_the_secrets_come_from_a_file_that_git_ignores(built: Built, tmp_path: Path) -> None:
    """The commands of the README, run: what `fly secrets import` would read."""
    _, text = built("pooler-postgresql-fly-none")
    lines = [line.strip() for line in text.splitlines() if line.startswith(("    mkdir ", "    echo "))]
    (tmp_path / "deploy").mkdir()
    (tmp_path / "CA.pem").write_text("-----BEGIN CERTIFICATE-----\nof the authority\n" * 20, encoding="utf-8")
    subprocess.run(["sh", "-euc", "\n".join(lines)], cwd=tmp_path, check=True)
    assert (tmp_path / "deploy/secrets").stat().st_mode & 0o777 == 0o700
    written = (tmp_path / "deploy/secrets/fly.env").read_text(encoding="utf-8").splitlines()
    names = [line.split("=", 1)[0] for line in written]
    assert names == ["DATABASE_URL", "MIGRATION_DATABASE_URL", "DATABASE_CA", "REPLICA_DATABASE_URL", "REDIS_URL"]
    certificate = shlex.quote(written[2].removeprefix("DATABASE_CA="))
    decoded = subprocess.run(["sh", "-c", f"echo {certificate} | base64 --decode"], capture_output=True, check=True)
    assert decoded.stdout == (tmp_path / "CA.pem").read_bytes()
    assert "    fly secrets import --stage --app render-test < deploy/secrets/fly.env" in text


# --- Planted faults: each is found ------------------------------------------------------------------------------------


def set_option(config: Config, name: str, value: str) -> None:
    words = shlex.split(config["processes"]["app"])
    words[words.index(name) + 1] = value
    config["processes"]["app"] = shlex.join(words)


Plant = Callable[[Config], object]

PLANTED: dict[str, tuple[Plant, str]] = {
    "a misspelt section": (lambda c: c.update(http_services={}), "'http_services' was unexpected"),
    "a misspelt key": (lambda c: c["deploy"].update(max_unavailble=1), "'max_unavailble' was unexpected"),
    "a number for text": (lambda c: c["env"].update(API_DOCS=False), "env.API_DOCS: False is not of type 'string'"),
    "no checks": (lambda c: c["http_service"].pop("checks"), "'checks' is a required property"),
    "no file": (lambda c: c.update(files=[]), "DATABASE_CA_FILE: no file /secrets/database_ca"),
    "two sources of a file": (lambda c: c["files"][0].update(local_path="CA.pem"), "not one source"),
    "a secret that nobody makes": (
        lambda c: c["files"][0].update(secret_name="CA"),
        "nobody makes the secret CA",
    ),
    "a secret in the file": (lambda c: c["env"].update(REDIS_URL="redis://cache"), "REDIS_URL: a secret in a file"),
    "a name of Fly.io's": (lambda c: c["env"].update(FLY_REGION="iad"), "FLY_REGION: a name of Fly.io's"),
    "no verification": (lambda c: c["env"].pop("DATABASE_CA_FILE"), "the way to the database is not as planned"),
    "another port": (lambda c: set_option(c, "--port", "8080"), "listens elsewhere"),
    "loopback": (lambda c: set_option(c, "--host", "127.0.0.1"), "listens elsewhere"),
    "metrics elsewhere": (lambda c: c["metrics"][0].update(port=9091), "no metrics at that port"),
    "requests for another process": (
        lambda c: c["http_service"].update(processes=["web"]),
        "requests for ['web'], processes ['app']",
    ),
    "no encryption": (lambda c: c["http_service"].update(force_https=False), "answers without encryption"),
    "a check of liveness": (lambda c: c["http_service"]["checks"][0].update(path="/livez"), "checks /livez"),
    "an impatient check": (
        lambda c: c["http_service"]["checks"][0].update(timeout="2s"),
        "a check of 2 s every 10 s",
    ),
    "a rare check": (lambda c: c["http_service"]["checks"][0].update(interval="2m"), "a check of 3 s every 120 s"),
    "a short grace": (
        lambda c: c["http_service"]["checks"][0].update(grace_period="5s"),
        "a start may not take 5 s",
    ),
    "too little memory": (lambda c: c["vm"][0].update(cpus=4), "no size of 4 CPUs and 512 MB"),
    "an odd memory": (lambda c: c["vm"][0].update(memory="600mb"), "no size of 1 CPUs and 600 MB"),
    "another signal": (lambda c: c.update(kill_signal="SIGINT"), "stopped by SIGINT"),
    "the default timeout": (lambda c: c.update(kill_timeout=5), "killed 5 s after SIGTERM"),
    "too long a timeout": (lambda c: c.update(kill_timeout=301), "killed 301 s after SIGTERM"),
    "another stop": (
        lambda c: set_option(c, "--timeout-graceful-shutdown", "5"),
        "another graceful stop than the plan's",
    ),
    "no migration": (lambda c: c["deploy"].update(release_command="true"), "migrates by true"),
    "a canary": (
        lambda c: c["deploy"].update(strategy="canary"),
        "a canary deployment starts Machines that are not planned",
    ),
    "a second set": (
        lambda c: c["deploy"].update(strategy="bluegreen"),
        "a bluegreen deployment starts Machines that are not planned",
    ),
    "a third away": (lambda c: c["deploy"].update(max_unavailable=0.33), "0.33 of the Machines are away at once"),
    "more workers": (lambda c: set_option(c, "--workers", "2"), "2 workers, not 1"),
    "suspended": (
        lambda c: c["http_service"].update(auto_stop_machines="suspend"),
        "a suspended Machine keeps its connections",
    ),
    "never started again": (
        lambda c: c["http_service"].update(auto_start_machines=False),
        "a Machine that stops does not start again",
    ),
    "none at night": (
        lambda c: c["http_service"].update(min_machines_running=0),
        "0 of 4 Machines always run",
    ),
    "the usual concurrency": (
        lambda c: c["http_service"]["concurrency"].update(soft_limit=200, hard_limit=250),
        "'soft_limit': 200, 'hard_limit': 250}, not ",
    ),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(fault: str, built: Built) -> None:
    case = "pooler-postgresql-fly-none"
    config, text = copy.deepcopy(built(case))
    plant, expected = PLANTED[fault]
    plant(config)
    assert expected in "\n".join(faults(config, text, evaluate(CASES[case]).values))


README_PLANTED = {
    "more Machines": ("fly scale count 4 ", "fly scale count 5 ", "5 Machines, not 4"),
    "two Machines at first": (" --ha=false", "", "makes two Machines: fly deploy"),
    "no revision": ("REVISION", "VERSION", "does not say which code it is: fly deploy"),
    "no URL to migrate by": ("'MIGRATION_DATABASE_URL=", "'MIGRATION_URL=", "the secrets made are ["),
    "no certificate": ('"DATABASE_CA=', '"CA=', "nobody makes the secret DATABASE_CA"),
}


@pytest.mark.parametrize("fault", README_PLANTED)
def test_a_planted_fault_of_the_readme_is_found(fault: str, built: Built) -> None:
    case = "pooler-postgresql-fly-none"
    config, text = built(case)
    before, instead, expected = README_PLANTED[fault]
    assert before in text
    found = faults(config, text.replace(before, instead), evaluate(CASES[case]).values)
    assert expected in "\n".join(found)
