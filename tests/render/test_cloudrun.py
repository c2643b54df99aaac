"""The manifests for Cloud Run: whole, in Cloud Run's limits, and never more processes than the plan counts."""

import copy
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from poolwright.questions import evaluate
from tests.render.artifacts import project_of, readme, with_options
from tests.render.cloudrun_faults import KILLED_AFTER_SECONDS, PLACEHOLDERS, job_faults, service_faults
from tests.render.manifests import Manifest, read

pytestmark = pytest.mark.xdist_group("render")

CLOUD_RUN = {"deployment": "cloudrun"}
RENDERED = with_options("cloudrun")
OTHERS: dict[str, dict[str, Any]] = {
    "plain": CLOUD_RUN,
    "workers": {**CLOUD_RUN, "workers": 3, "instances": 2},
    "many-workers": {**CLOUD_RUN, "workers": 20, "instances": 1},
}
CASES = {**RENDERED, **OTHERS}

Built = Callable[[str], tuple[Path, Manifest, Manifest]]


@pytest.fixture(scope="session")
def built(projects: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The project of a case, its service and its job."""
    root = tmp_path_factory.mktemp("cloudrun")

    def build(name: str) -> tuple[Path, Manifest, Manifest]:
        project = project_of(name, OTHERS, projects, root)
        (service,) = read(project / "deploy/service.yaml")
        (job,) = read(project / "deploy/migrate-job.yaml")
        return project, service, job

    return build


def secrets_made(project: Path) -> set[str]:
    """The names of the secrets that deploy/README.md makes."""
    (names,) = re.findall(r"for secret in (.*); do", readme(project))
    (created,) = re.findall(r'gcloud secrets create "(\S+)\$secret"', readme(project))
    return {created + name for name in names.split()}


def faults_of(project: Path, service: Manifest, job: Manifest, values: Mapping[str, Any]) -> list[str]:
    secrets = secrets_made(project)
    return service_faults(service, secrets, values) + job_faults(job, secrets, service)


@pytest.mark.parametrize("case", CASES)
def test_the_manifests_are_without_fault(case: str, built: Built) -> None:
    assert faults_of(*built(case), evaluate(CASES[case]).values) == []


@pytest.mark.parametrize("case", CASES)
def test_the_readme_has_the_numbers(case: str, built: Built) -> None:
    values = evaluate(CASES[case]).values
    text = readme(built(case)[0])
    each, total = values["connections_per_process"], values["planned_total"]
    assert f"{values['processes']} processes x {each} connections = {total} of the {values['capacity']} " in text
    assert text.startswith(f"# On Cloud Run\n\nAt most {values['instances']} instance")
    assert (f" opens at most {values['pooler_connections']} to the server." in text) == values["pooled"]
    assert values["processes"] == 2 * values["instances"] * values["workers"]


@pytest.mark.parametrize("case", CASES)
def test_the_secrets_are_those_of_the_answers(case: str, built: Built) -> None:
    project, service, _ = built(case)
    values = evaluate(CASES[case]).values
    (container,) = service["spec"]["template"]["spec"]["containers"]
    named = {e["name"] for e in container["env"] if e["name"].endswith("_FILE")}
    assert named == {f"{name.upper()}_FILE" for name in values["secret_files"]}
    assert ("DATABASE_CA_FILE" in named) == (values["pooler"] != "pgbouncer")
    assert ({"name": "DATABASE_TLS", "value": "off"} in container["env"]) == (values["pooler"] == "pgbouncer")
    for name in values["secret_files"]:
        assert f"> deploy/secrets/{name}" in readme(project) or f"cp CA.pem deploy/secrets/{name}" in readme(project)


def test_the_time_limits_keep_their_order_within_those_of_cloud_run() -> None:
    settings = evaluate(CLOUD_RUN).values["settings"]
    # 20 x 75 % = 15 elsewhere; 8 x 75 % = 6 here
    assert settings["pool_timeout_seconds"] == 2
    assert settings["statement_timeout_seconds"] == 6
    assert settings["command_timeout_seconds"] == 8
    assert settings["graceful_stop_seconds"] == 8 < KILLED_AFTER_SECONDS


def test_what_is_to_fill_in_is_filled_in_by_the_readme(built: Built, tmp_path: Path) -> None:
    project, _, _ = built("plain")
    (script,) = re.findall(r"sed (\"[^\"]+\") ", readme(project))
    shell = f"PROJECT_ID=mine REGION=here IMAGE_TAG=7; sed {script}"
    for name in ("service", "migrate-job"):
        file = project / "deploy" / f"{name}.yaml"
        done = subprocess.run(["sh", "-c", f"{shell} {shlex.quote(str(file))}"], capture_output=True, text=True)
        assert "here-docker.pkg.dev/mine/shop/app:7\n" in done.stdout
        assert "shop@mine.iam.gserviceaccount.com\n" in done.stdout
        assert not [word for word in PLACEHOLDERS if word in done.stdout]


@pytest.mark.parametrize("case", ["plain", "pooler-mysql-cloudrun-none"])
def test_cloud_sql_is_a_comment_away(case: str, built: Built) -> None:
    project, *_ = built(case)
    found = []
    for name in ("service", "migrate-job"):
        text = (project / "deploy" / f"{name}.yaml").read_text(encoding="utf-8")
        found += list(yaml.safe_load_all(text.replace("# run.googleapis.com/cloudsql", "run.googleapis.com/cloudsql")))
    service, job = found
    assert faults_of(project, service, job, evaluate(CASES[case]).values) == []
    for template in (service["spec"]["template"], job["spec"]["template"]):
        annotations = template["metadata"]["annotations"]
        assert annotations["run.googleapis.com/cloudsql-instances"] == "PROJECT_ID:REGION:INSTANCE"
    assert "=/cloudsql/PROJECT_ID:REGION:INSTANCE" in readme(project)


def test_one_instance_of_many_is_not_scraped(built: Built) -> None:
    project, *_ = built("plain")
    assert not (project / "deploy/alerts.yaml").exists()
    assert "do not scrape it" in readme(project)


def test_the_migration_comes_before_the_service(built: Built) -> None:
    project, service, job = built("plain")
    commands = [line.strip() for line in readme(project).splitlines() if line.startswith("    gcloud run ")]
    assert commands == [
        'gcloud run jobs replace dist/migrate-job.yaml --region "$REGION"',
        f'gcloud run jobs execute {job["metadata"]["name"]} --region "$REGION" --wait',
        'gcloud run services replace dist/service.yaml --region "$REGION"',
    ]
    assert service["metadata"]["name"] == "shop"


def test_workers_get_processors_and_memory(built: Built) -> None:
    def limits(case: str) -> dict[str, str]:
        (container,) = built(case)[1]["spec"]["template"]["spec"]["containers"]
        found: dict[str, str] = container["resources"]["limits"]
        return found

    assert limits("plain") == {"cpu": "1", "memory": "512Mi"}
    assert limits("workers") == {"cpu": "4", "memory": "2048Mi"}
    assert limits("many-workers") == {"cpu": "8", "memory": "5120Mi"}


# --- Planted faults: each is found ------------------------------------------------------------------------------------


def task_of(job: Manifest) -> Any:
    return job["spec"]["template"]["spec"]["template"]["spec"]


def spec_of(service: Manifest) -> Manifest:
    found: Manifest = service["spec"]["template"]["spec"]
    return found


def container_of(service: Manifest) -> Manifest:
    found: Manifest = spec_of(service)["containers"][0]
    return found


def set_option(service: Manifest, name: str, value: str) -> None:
    command = container_of(service)["command"]
    command[command.index(name) + 1] = value


Plant = Callable[[Manifest, Manifest], object]

PLANTED: dict[str, tuple[Plant, str]] = {
    "another kind": (lambda s, j: s.update(apiVersion="serving.knative.dev/v2"), "not serving.knative.dev/v1 Service"),
    "a misspelt field": (lambda s, j: container_of(s).update(comand=[]), "'comand' was unexpected"),
    "a misspelt volume": (lambda s, j: spec_of(s)["volumes"][0].update(secrets={}), "'secrets' was unexpected"),
    "a field of Kubernetes'": (lambda s, j: spec_of(s).update(nodeSelector={}), "no field nodeSelector"),
    "a number for text": (
        lambda s, j: s["spec"]["template"]["metadata"]["annotations"].update({"autoscaling.knative.dev/maxScale": 10}),
        "annotation autoscaling.knative.dev/maxScale is not text",
    ),
    "a misspelt annotation": (
        lambda s, j: s["spec"]["template"]["metadata"]["annotations"].update({"autoscaling.knative.dev/max": "10"}),
        "no annotation autoscaling.knative.dev/max",
    ),
    "the default account": (lambda s, j: spec_of(s).update(serviceAccountName="default"), "default account"),
    "a secret that nobody makes": (
        lambda s, j: spec_of(s)["volumes"][0]["secret"].update(secretName="urls"),
        "nobody makes the secret urls",
    ),
    "two secrets in one folder": (
        lambda s, j: [mount.update(mountPath="/secrets") for mount in container_of(s)["volumeMounts"]],
        "two secrets in one folder",
    ),
    "a volume that is not mounted": (lambda s, j: container_of(s)["volumeMounts"].pop(), "mounted are"),
    "a variable for another file": (
        lambda s, j: container_of(s)["env"][0].update(value="/secrets/url"),
        "DATABASE_URL_FILE: no file /secrets/url",
    ),
    "three processors": (
        lambda s, j: container_of(s)["resources"]["limits"].update(cpu="3"),
        "no size of 3 CPUs",
    ),
    "another port": (lambda s, j: set_option(s, "--port", "8080"), "listens elsewhere"),
    "loopback": (lambda s, j: set_option(s, "--host", "127.0.0.1"), "listens elsewhere"),
    "no probe": (lambda s, j: container_of(s).pop("livenessProbe"), "no livenessProbe"),
    "a probe of no path": (
        lambda s, j: container_of(s)["startupProbe"]["httpGet"].update(path="/health"),
        "startupProbe: nothing at",
    ),
    "a probe longer than its period": (
        lambda s, j: container_of(s)["startupProbe"].update(timeoutSeconds=11),
        "startupProbe: longer than its period",
    ),
    "a long start": (
        lambda s, j: container_of(s)["startupProbe"].update(failureThreshold=25),
        "a start may take 240 s",
    ),
    "too long a stop": (
        lambda s, j: set_option(s, "--timeout-graceful-shutdown", "20"),
        "killed before its requests end: 20 s",
    ),
    "another stop": (
        lambda s, j: set_option(s, "--timeout-graceful-shutdown", "5"),
        "another graceful stop than the plan's",
    ),
    "too short a request": (lambda s, j: spec_of(s).update(timeoutSeconds=10), "a request may take 10 s, not 10"),
    "more instances": (
        lambda s, j: s["spec"]["template"]["metadata"]["annotations"].update(
            {"autoscaling.knative.dev/maxScale": "11"}
        ),
        "11 instances of a revision, not 10",
    ),
    "no limit of the service": (
        lambda s, j: s["metadata"]["annotations"].pop("run.googleapis.com/maxScale"),
        "None instances of the service, not 10",
    ),
    "more workers": (lambda s, j: set_option(s, "--workers", "2"), "2 workers, not 1"),
    "the default concurrency": (lambda s, j: spec_of(s).update(containerConcurrency=80), "80 requests at once, not"),
    "a split of the traffic": (
        lambda s, j: s["spec"]["traffic"].append({"revisionName": "shop-1", "percent": 50}),
        "traffic for more than one revision",
    ),
    "many migrations": (
        lambda s, j: j["spec"]["template"]["spec"].update(taskCount=2),
        "more than one migration",
    ),
    "a job that serves": (
        lambda s, j: task_of(j)["containers"][0].update(command=["uvicorn"]),
        "runs ['uvicorn']",
    ),
    "another image": (
        lambda s, j: container_of(s).update(image="REGION-docker.pkg.dev/PROJECT_ID/shop/app:1"),
        "another image than the service's",
    ),
    "an old version of a secret": (
        lambda s, j: task_of(j)["volumes"][0]["secret"]["items"][0].update(key="1"),
        "an old version of a secret",
    ),
    "the service's role for migrations": (
        lambda s, j: task_of(j)["volumes"][0].update(name="database-url"),
        "other secrets than the migrator's",
    ),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(fault: str, built: Built) -> None:
    case = "pooler-postgresql-cloudrun-none"
    project, service, job = copy.deepcopy(built(case))
    plant, expected = PLANTED[fault]
    plant(service, job)
    assert expected in "\n".join(faults_of(project, service, job, evaluate(CASES[case]).values))
