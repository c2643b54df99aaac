"""The manifests for Kubernetes: valid, whole, and never more processes than the plan counts."""

import copy
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from poolwright.questions import evaluate
from tests.render.artifacts import project_of, readme, with_options
from tests.render.kubernetes_faults import WORKLOADS, Secrets, app_of, faults, of_kind, pod_of
from tests.render.manifests import Manifest, containers, kustomize, schema_faults

pytestmark = pytest.mark.xdist_group("render")

KUBERNETES = {"deployment": "kubernetes"}
RENDERED = with_options("kubernetes")
OTHERS: dict[str, dict[str, Any]] = {
    "plain": KUBERNETES,
    "workers": {**KUBERNETES, "workers": 3, "surge": 3},
    "no-surge": {**KUBERNETES, "surge": 0},
    "one-pod": {**KUBERNETES, "instances": 1, "surge": 1},
    "long-name": {**KUBERNETES, "project_name": "a" * 31 + "-" + "b" * 28},
    "sqlite-workers": {**KUBERNETES, "database": "sqlite", "workers": 2},
}
CASES = {**RENDERED, **OTHERS}


@pytest.fixture(scope="session")
def built(projects: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> "Built":
    """The project of a case, and what its overlay sends to a cluster, built once."""
    root = tmp_path_factory.mktemp("kubernetes")
    known: dict[str, tuple[Path, list[Manifest]]] = {}

    def build(name: str) -> tuple[Path, list[Manifest]]:
        if name not in known:
            project = project_of(name, OTHERS, projects, root)
            known[name] = project, kustomize(project / "deploy/overlays/production")
        project, manifests = known[name]
        return project, copy.deepcopy(manifests)

    return build


def secrets_made(project: Path) -> Secrets:
    """The Secrets that deploy/README.md makes, with their keys."""
    text = readme(project)
    commands = re.findall(r"create secret generic (\S+)((?: --from-file=\S+)+)", text)
    return {name: set(re.findall(r"--from-file=deploy/secrets/(\S+)", files)) for name, files in commands}


def faults_of(project: Path, manifests: list[Manifest], values: Mapping[str, Any]) -> list[str]:
    found = [fault for manifest in manifests for fault in schema_faults(manifest)]
    return found + faults(manifests, secrets_made(project), values)


Built = Callable[[str], tuple[Path, list[Manifest]]]


@pytest.mark.parametrize("case", CASES)
def test_the_manifests_are_without_fault(case: str, built: Built) -> None:
    project, manifests = built(case)
    assert faults_of(project, manifests, evaluate(CASES[case]).values) == []


@pytest.mark.parametrize("case", CASES)
def test_the_overlay_adds_namespace_registry_and_version(case: str, built: Built) -> None:
    project, manifests = built(case)
    base = kustomize(project / "deploy/base")
    assert [fault for manifest in base for fault in schema_faults(manifest)] == []
    (namespace,) = {manifest["metadata"].pop("namespace") for manifest in manifests}
    assert f"create namespace {namespace}\n" in readme(project)
    for workload in of_kind(manifests, *WORKLOADS):
        for container in containers(pod_of(workload)):
            container["image"] = container["image"].removeprefix("registry.example.com/").removesuffix(":1")
    assert sorted(base, key=str) == sorted(manifests, key=str)


def test_all_parts_are_there(built: Built) -> None:
    _, manifests = built("pooler-postgresql-kubernetes-pgbouncer")
    found = {(manifest["kind"], re.sub(r"-[a-z0-9]{10}$", "", manifest["metadata"]["name"])) for manifest in manifests}
    name = "render-test"
    assert found == {
        *((kind, name) for kind in ("ConfigMap", "Deployment", "Service", "ServiceAccount")),
        *((kind, name) for kind in ("HorizontalPodAutoscaler", "PodDisruptionBudget")),
        ("Job", f"{name}-migrate"),
        *((kind, "pgbouncer") for kind in ("ConfigMap", "Deployment", "Service", "NetworkPolicy")),
        *((kind, "redis") for kind in ("Deployment", "Service", "NetworkPolicy")),
    }


def test_a_file_is_served_by_one_pod_that_migrates_first(built: Built) -> None:
    _, manifests = built("sqlite-workers")
    assert of_kind(manifests, "Job", "HorizontalPodAutoscaler", "PodDisruptionBudget") == []
    app = app_of(manifests)
    assert (app["spec"]["replicas"], app["spec"]["strategy"]) == (1, {"type": "Recreate"})
    (migrate,) = pod_of(app)["initContainers"]
    assert migrate["command"] == ["python", "-m", "app.migrate"]
    (claim,) = of_kind(manifests, "PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_no_secret_is_in_the_repository(built: Built) -> None:
    for case in CASES:
        project, manifests = built(case)
        assert of_kind(manifests, "Secret") == []
        assert not (project / "deploy/secrets").exists()
        assert "deploy/secrets/" in (project / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_workers_share_their_metrics_in_a_place_that_can_be_written(built: Built) -> None:
    def metrics(case: str) -> tuple[list[str], set[str]]:
        (container,) = pod_of(app_of(built(case)[1]))["containers"]
        writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
        return [e["value"] for e in container["env"] if e["name"] == "PROMETHEUS_MULTIPROC_DIR"], writable

    assert metrics("plain") == ([], {"/tmp"})
    assert metrics("workers") == (["/tmp"], {"/tmp"})


def test_the_migration_comes_before_the_app(built: Built) -> None:
    """README applies all but the app, waits for the Job, and then applies the app."""
    project, manifests = built("plain")
    commands = re.findall(r"^    (kubectl .*)$", readme(project), re.M)
    verbs = [re.sub(r"kubectl (--namespace \S+ )?(\S+).*", r"\2", command) for command in commands]
    assert verbs == ["create", "create", "delete", "apply", "wait", "apply", "rollout"]
    (selector,) = re.findall(r"--selector '(\S+)!=(\S+)'", commands[3])
    left_out = [m for m in manifests if m["metadata"].get("labels", {}).get(selector[0]) == selector[1]]
    assert left_out == [app_of(manifests)]
    (job,) = of_kind(manifests, "Job")
    assert commands[2].endswith(f"delete job {job['metadata']['name']} --ignore-not-found")
    assert commands[4].endswith(f"job/{job['metadata']['name']}")


@pytest.mark.parametrize("case", CASES)
def test_the_readme_has_the_numbers(case: str, built: Built) -> None:
    project, _ = built(case)
    values = evaluate(CASES[case]).values
    text = readme(project)
    each, total = values["connections_per_process"], values["planned_total"]
    assert re.search(rf"{values['processes']} process(es)? x {each} connections = {total} of the ", text)
    assert f"of the {values['capacity']} that are left" in text
    assert (f" opens at most {values['pooler_connections']} to the server." in text) == values["pooled"]
    if values["surge"]:
        assert f"At most {values['instances']} pod" in text
        assert f"{values['surge']} more during a rollout" in text
        assert ("and 1 while a node is drained" in text) == (values["surge"] % 2 == 0)


def test_a_name_that_is_cut_is_still_one_of_kubernetes(built: Built) -> None:
    _, manifests = built("long-name")
    for manifest in manifests:
        assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", manifest["metadata"]["name"])


# --- Planted faults: each is found ------------------------------------------------------------------------------------


def first(manifests: list[Manifest], kind: str, name: str = "render-test") -> Manifest:
    return next(m for m in of_kind(manifests, kind) if m["metadata"]["name"].startswith(name))


def container_of(manifests: list[Manifest], kind: str = "Deployment", name: str = "render-test") -> Manifest:
    found: Manifest = pod_of(first(manifests, kind, name))["containers"][0]
    return found


def app_container(manifests: list[Manifest]) -> Manifest:
    found: Manifest = first(manifests, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    return found


def set_option(manifests: list[Manifest], name: str, value: str) -> None:
    command = container_of(manifests)["command"]
    command[command.index(name) + 1] = value


Plant = Callable[[list[Manifest]], object]

PLANTED: dict[str, tuple[Plant, str]] = {
    # what kubernetes-validate finds
    "a misspelt field": (lambda ms: container_of(ms).update(comand=["uvicorn"]), "'comand' was unexpected"),
    "text for a number": (
        lambda ms: first(ms, "HorizontalPodAutoscaler")["spec"].update(maxReplicas="four"),
        "'four' is not of type 'integer'",
    ),
    "a missing field": (lambda ms: first(ms, "Deployment")["spec"].pop("selector"), "'selector' is a required"),
    # what it does not
    "another label on the pods": (
        lambda ms: first(ms, "Deployment")["spec"]["template"]["metadata"]["labels"].update(
            {"app.kubernetes.io/component": "web"}
        ),
        "does not select its own pods",
    ),
    "another spread": (
        lambda ms: pod_of(first(ms, "Deployment"))["topologySpreadConstraints"][0].update(labelSelector={}),
        "does not spread its own pods",
    ),
    "a Service without pods": (
        lambda ms: first(ms, "Service")["spec"]["selector"].update({"app.kubernetes.io/component": "web"}),
        "Service render-test: selects 0 workloads",
    ),
    "a Service with everybody's pods": (
        lambda ms: first(ms, "Service")["spec"]["selector"].pop("app.kubernetes.io/component"),
        "Service render-test: selects 4 workloads",
    ),
    "a port that no container has": (
        lambda ms: first(ms, "Service")["spec"]["ports"][0].update(targetPort="web"),
        "Service render-test: no port web",
    ),
    "a PDB without pods": (
        lambda ms: first(ms, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"].update(x="y"),
        "PodDisruptionBudget render-test: selects 0 workloads",
    ),
    "a policy that lets nobody in": (
        lambda ms: first(ms, "NetworkPolicy", "redis")["spec"]["ingress"][0]["from"][0]["podSelector"].update(
            matchLabels={"x": "y"}
        ),
        "NetworkPolicy redis: lets nobody in",
    ),
    "a policy for another port": (
        lambda ms: first(ms, "NetworkPolicy", "redis")["spec"]["ingress"][0]["ports"][0].update(port="web"),
        "NetworkPolicy redis: opens a port that is not there",
    ),
    "a probe of no port": (
        lambda ms: container_of(ms)["readinessProbe"]["httpGet"].update(port="web"),
        "readinessProbe: no port web",
    ),
    "a probe of no path": (
        lambda ms: container_of(ms)["livenessProbe"]["httpGet"].update(path="/health"),
        "livenessProbe: no path /health",
    ),
    "no probe": (lambda ms: container_of(ms).pop("readinessProbe"), "not probed"),
    "a server on another port": (lambda ms: set_option(ms, "--port", "8080"), "listens on another port"),
    "a Secret that nobody makes": (
        lambda ms: pod_of(first(ms, "Deployment"))["volumes"][0]["secret"].update(secretName="urls"),
        "Secret urls is made without database_url",
    ),
    "a key that the Secret has not": (
        lambda ms: pod_of(first(ms, "Job"))["volumes"][0]["secret"]["items"].append({"key": "token", "path": "token"}),
        "Secret render-test is made without token",
    ),
    "a variable for another file": (
        lambda ms: container_of(ms)["env"][0].update(value="/run/secret/database_url"),
        "DATABASE_URL_FILE: no file /run/secret/database_url",
    ),
    "a volume that is not there": (
        lambda ms: container_of(ms)["volumeMounts"][0].update(name="files"),
        "no volume files",
    ),
    "a ConfigMap that is not there": (
        lambda ms: container_of(ms)["envFrom"][0]["configMapRef"].update(name="plan"),
        "no ConfigMap plan",
    ),
    "a ConfigMap of another pooler": (
        lambda ms: ms.remove(first(ms, "ConfigMap", "pgbouncer")),
        "Deployment pgbouncer: no ConfigMap pgbouncer",
    ),
    "no ServiceAccount": (lambda ms: ms.remove(first(ms, "ServiceAccount")), "no ServiceAccount render-test"),
    "a token": (
        lambda ms: pod_of(first(ms, "Job")).pop("automountServiceAccountToken"),
        "the token of the service account is mounted",
    ),
    "root": (lambda ms: pod_of(first(ms, "Deployment"))["securityContext"].pop("runAsUser"), "runs as root"),
    "no seccomp": (
        lambda ms: pod_of(first(ms, "Deployment"))["securityContext"].pop("seccompProfile"),
        "no seccomp profile",
    ),
    "a root file system to write to": (
        lambda ms: container_of(ms)["securityContext"].pop("readOnlyRootFilesystem"),
        "its root file system or its privileges can be changed",
    ),
    "capabilities": (
        lambda ms: container_of(ms, name="redis")["securityContext"]["capabilities"].update(drop=[]),
        "keeps capabilities",
    ),
    "no requests": (lambda ms: container_of(ms)["resources"].pop("requests"), "no requests or limits"),
    "too short a grace period": (
        lambda ms: pod_of(first(ms, "Deployment")).update(terminationGracePeriodSeconds=30),
        "10 + 20 s do not fit into 30 s",
    ),
    "too long a stop": (
        lambda ms: set_option(ms, "--timeout-graceful-shutdown", "30"),
        "10 + 30 s do not fit into 40 s",
    ),
    "an autoscaler of nothing": (
        lambda ms: first(ms, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"].update(name="web"),
        "HorizontalPodAutoscaler render-test: no Deployment web",
    ),
    "more replicas than planned": (
        lambda ms: first(ms, "HorizontalPodAutoscaler")["spec"].update(maxReplicas=5),
        "5 replicas, not 4",
    ),
    "a least above the most": (
        lambda ms: first(ms, "HorizontalPodAutoscaler")["spec"].update(minReplicas=5),
        "the autoscaler's least is more than its most",
    ),
    "a hasty scale-up": (
        lambda ms: first(ms, "HorizontalPodAutoscaler")["spec"]["behavior"]["scaleUp"].update(
            stabilizationWindowSeconds=0
        ),
        "a scale-up does not wait",
    ),
    "replicas beside the autoscaler": (
        lambda ms: first(ms, "Deployment")["spec"].update(replicas=4),
        "replicas are said twice",
    ),
    "more workers": (lambda ms: set_option(ms, "--workers", "2"), "2 workers, not 1"),
    "more surge": (
        lambda ms: first(ms, "Deployment")["spec"]["strategy"]["rollingUpdate"].update(maxSurge=2),
        "maxSurge 2, maxUnavailable 0: not 2 pods",
    ),
    "another strategy": (
        lambda ms: first(ms, "Deployment")["spec"].update(strategy={"type": "Recreate"}),
        "strategy Recreate with a surge of 2",
    ),
    "a hasty rollout": (
        lambda ms: app_container(ms)["readinessProbe"].update(initialDelaySeconds=0),
        "a rollout does not wait for the pods that end",
    ),
    "a hasty drain": (
        lambda ms: app_container(ms)["readinessProbe"].update(initialDelaySeconds=4),
        "a drain does not wait for the pods that end",
    ),
    "a drain that does not wait for readiness": (
        lambda ms: first(ms, "PodDisruptionBudget")["spec"].update(unhealthyPodEvictionPolicy="AlwaysAllow"),
        "a drain does not wait for the pods that end",
    ),
    "a wide drain": (
        lambda ms: first(ms, "PodDisruptionBudget")["spec"].update(maxUnavailable=2),
        "2 pods are drained at once, not 1",
    ),
    "another pool": (
        lambda ms: first(ms, "ConfigMap")["data"].update(POOL_SIZE="20"),
        "the ConfigMap is not the plan's",
    ),
    "two PgBouncers": (
        lambda ms: first(ms, "Deployment", "pgbouncer")["spec"].update(replicas=2),
        "there can be two PgBouncers",
    ),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(fault: str, built: Built) -> None:
    case = "pooler-postgresql-kubernetes-pgbouncer"
    project, manifests = built(case)
    plant, expected = PLANTED[fault]
    plant(manifests)
    schema = [found for manifest in manifests for found in schema_faults(manifest)]
    if schema:
        assert expected in "\n".join(schema)
    else:
        assert expected in "\n".join(faults_of(project, manifests, evaluate(CASES[case]).values))


def test_kustomize_refuses_a_resource_that_is_not_there(built: Built, tmp_path: Path) -> None:
    project, _ = built("plain")
    broken = tmp_path / "base"
    broken.mkdir()
    for file in (project / "deploy/base").iterdir():
        if file.name != "service.yaml":
            (broken / file.name).write_bytes(file.read_bytes())
    with pytest.raises(RuntimeError, match=r"service\.yaml"):
        kustomize(broken)


def test_a_file_of_one_machine_has_no_surge() -> None:
    evaluation = evaluate({**KUBERNETES, "database": "sqlite"})
    assert "surge" not in evaluation.answers
    assert (evaluation.values["surge"], evaluation.values["processes"]) == (0, 1)
