"""What the validators of Kubernetes' manifests pass and a cluster would not: names, labels, ports, times, the plan."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.render.manifests import Manifest, containers, option

#: Keys of Secrets that a person makes, by the Secret's name.
Secrets = Mapping[str, set[str]]

PATHS = {"/livez", "/readyz"}
WORKLOADS = ("Deployment", "Job")


def faults(manifests: Sequence[Manifest], secrets: Secrets, values: Mapping[str, Any]) -> list[str]:
    """Each fault in a sentence; [] where there is none. `values`: those of the answers' evaluation."""
    found: list[str] = []
    for workload in of_kind(manifests, *WORKLOADS):
        found += [f"{called(workload)}: {fault}" for fault in _pod_faults(workload, manifests, secrets, values)]
    found += _selector_faults(manifests)
    found += _plan_faults(manifests, values)
    return found


def of_kind(manifests: Sequence[Manifest], *kinds: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def app_of(manifests: Sequence[Manifest]) -> Manifest:
    """The Deployment of the app."""
    (app,) = [m for m in of_kind(manifests, "Deployment") if pod_of(m)["containers"][0]["name"] == "app"]
    return app


def called(manifest: Manifest) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def pod_of(workload: Manifest) -> Manifest:
    spec: Manifest = workload["spec"]["template"]["spec"]
    return spec


def _pod_faults(
    workload: Manifest, manifests: Sequence[Manifest], secrets: Secrets, values: Mapping[str, Any]
) -> Iterator[str]:
    pod = pod_of(workload)
    names = {(m["kind"], m["metadata"]["name"]) for m in manifests}
    if "serviceAccountName" in pod and ("ServiceAccount", pod["serviceAccountName"]) not in names:
        yield f"no ServiceAccount {pod['serviceAccountName']}"
    if pod.get("automountServiceAccountToken") is not False:
        yield "the token of the service account is mounted"
    safe = pod.get("securityContext", {})
    if not (safe.get("runAsNonRoot") and safe.get("runAsUser")):
        yield "runs as root"
    if safe.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "no seccomp profile"
    volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
    for volume in volumes.values():
        yield from _volume_faults(volume, names, secrets)
    for container in containers(pod):
        yield from _container_faults(container, volumes, names)
    if "lifecycle" in pod["containers"][0]:
        yield from _time_faults(pod)


def _volume_faults(volume: Manifest, names: set[tuple[str, str]], secrets: Secrets) -> Iterator[str]:
    if secret := volume.get("secret"):
        missing = {item["key"] for item in secret["items"]} - secrets.get(secret["secretName"], set())
        if missing:
            yield f"Secret {secret['secretName']} is made without {', '.join(sorted(missing))}"
    if (config := volume.get("configMap")) and ("ConfigMap", config["name"]) not in names:
        yield f"no ConfigMap {config['name']}"
    claim = volume.get("persistentVolumeClaim")
    if claim and ("PersistentVolumeClaim", claim["claimName"]) not in names:
        yield f"no PersistentVolumeClaim {claim['claimName']}"


def _container_faults(
    container: Manifest, volumes: Mapping[str, Manifest], names: set[tuple[str, str]]
) -> Iterator[str]:
    for reference in container.get("envFrom", []):
        if ("ConfigMap", reference["configMapRef"]["name"]) not in names:
            yield f"no ConfigMap {reference['configMapRef']['name']}"
    files = set()
    for mount in container.get("volumeMounts", []):
        volume = volumes.get(mount["name"])
        if volume is None:
            yield f"no volume {mount['name']}"
        elif "secret" in volume:
            files |= {f"{mount['mountPath']}/{item['path']}" for item in volume["secret"]["items"]}
    for variable in container.get("env", []):
        if variable["name"].endswith("_FILE") and variable["value"] not in files:
            yield f"{variable['name']}: no file {variable['value']}"
    own = {port["name"] for port in container.get("ports", [])}
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        probe = container.get(name, {})
        asked = probe.get("httpGet") or probe.get("tcpSocket")
        if asked and asked["port"] not in own:
            yield f"{name}: no port {asked['port']}"
        if "httpGet" in probe and asked["path"] not in PATHS:
            yield f"{name}: no path {asked['path']}"
    if container.get("ports") and not {"livenessProbe", "readinessProbe"} <= container.keys():
        yield "not probed"
    if option(container, "--port") and int(option(container, "--port")) not in {
        port["containerPort"] for port in container["ports"]
    }:
        yield "listens on another port than its own"
    safe = container.get("securityContext", {})
    if not safe.get("readOnlyRootFilesystem") or safe.get("allowPrivilegeEscalation") is not False:
        yield "its root file system or its privileges can be changed"
    if safe.get("capabilities", {}).get("drop") != ["ALL"]:
        yield "keeps capabilities"
    if not {"requests", "limits"} <= container.get("resources", {}).keys():
        yield "no requests or limits"


def _time_faults(pod: Manifest) -> Iterator[str]:
    (container,) = pod["containers"]
    drain = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    stop = int(option(container, "--timeout-graceful-shutdown"))
    grace = pod["terminationGracePeriodSeconds"]
    if not drain + stop < grace:
        yield f"{drain} + {stop} s do not fit into {grace} s"


def _selector_faults(manifests: Sequence[Manifest]) -> Iterator[str]:
    pods = [(m, m["spec"]["template"]["metadata"]["labels"]) for m in of_kind(manifests, *WORKLOADS)]
    for deployment in of_kind(manifests, "Deployment"):
        if not _matches(deployment["spec"]["selector"], deployment["spec"]["template"]["metadata"]["labels"]):
            yield f"{called(deployment)}: does not select its own pods"
        for constraint in pod_of(deployment).get("topologySpreadConstraints", []):
            if not _matches(constraint["labelSelector"], deployment["spec"]["template"]["metadata"]["labels"]):
                yield f"{called(deployment)}: does not spread its own pods"
    for service in of_kind(manifests, "Service"):
        selected = [m for m, labels in pods if _matches({"matchLabels": service["spec"]["selector"]}, labels)]
        ports = {p["name"] for m in selected for c in containers(pod_of(m)) for p in c.get("ports", [])}
        if len(selected) != 1:
            yield f"{called(service)}: selects {len(selected)} workloads"
        for port in service["spec"]["ports"]:
            if port["targetPort"] not in ports:
                yield f"{called(service)}: no port {port['targetPort']}"
    for manifest in of_kind(manifests, "PodDisruptionBudget", "NetworkPolicy"):
        key = "selector" if manifest["kind"] == "PodDisruptionBudget" else "podSelector"
        selected = [m for m, labels in pods if _matches(manifest["spec"][key], labels)]
        if len(selected) != 1:
            yield f"{called(manifest)}: selects {len(selected)} workloads"
        for rule in manifest["spec"].get("ingress", []):
            sources = [source["podSelector"] for source in rule["from"]]
            if not all(any(_matches(source, labels) for _, labels in pods) for source in sources):
                yield f"{called(manifest)}: lets nobody in"
            ports = {p["name"] for m in selected for c in containers(pod_of(m)) for p in c.get("ports", [])}
            if not {port["port"] for port in rule["ports"]} <= ports:
                yield f"{called(manifest)}: opens a port that is not there"
    for scaler in of_kind(manifests, "HorizontalPodAutoscaler"):
        target = (scaler["spec"]["scaleTargetRef"]["kind"], scaler["spec"]["scaleTargetRef"]["name"])
        if target not in {(m["kind"], m["metadata"]["name"]) for m in manifests}:
            yield f"{called(scaler)}: no {' '.join(target)}"


def _plan_faults(manifests: Sequence[Manifest], values: Mapping[str, Any]) -> Iterator[str]:
    """Whether no more processes and connections can be there than the plan counts."""
    app = app_of(manifests)
    spec, (container,) = app["spec"], pod_of(app)["containers"]
    grace = pod_of(app)["terminationGracePeriodSeconds"]
    if int(option(container, "--workers")) != values["workers"]:
        yield f"{option(container, '--workers')} workers, not {values['workers']}"
    scalers = of_kind(manifests, "HorizontalPodAutoscaler")
    most = spec.get("replicas", 0) if not scalers else scalers[0]["spec"]["maxReplicas"]
    if most != values["instances"]:
        yield f"{most} replicas, not {values['instances']}"
    if scalers and "replicas" in spec:
        yield "replicas are said twice: each apply would undo what the autoscaler did"
    for scaler in scalers:
        if not 1 <= scaler["spec"]["minReplicas"] <= scaler["spec"]["maxReplicas"]:
            yield "the autoscaler's least is more than its most"
        if scaler["spec"]["behavior"]["scaleUp"]["stabilizationWindowSeconds"] < grace:
            yield "a scale-up does not wait for the pods of a scale-down"
    rolling = spec["strategy"].get("rollingUpdate", {"maxSurge": 0, "maxUnavailable": 0})
    if 2 * rolling["maxSurge"] + rolling["maxUnavailable"] != values["surge"]:
        yield f"maxSurge {rolling['maxSurge']}, maxUnavailable {rolling['maxUnavailable']}: not {values['surge']} pods"
    if spec["strategy"]["type"] != ("RollingUpdate" if values["surge"] else "Recreate"):
        yield f"strategy {spec['strategy']['type']} with a surge of {values['surge']}"
    delay = container.get("readinessProbe", {}).get("initialDelaySeconds", 0)
    if scalers and delay + spec.get("minReadySeconds", 0) < grace:
        yield "a rollout does not wait for the pods that end"
    for budget in of_kind(manifests, "PodDisruptionBudget"):
        if budget["spec"].get("maxUnavailable") != 1:
            yield f"{budget['spec'].get('maxUnavailable')} pods are drained at once, not 1"
        if delay < grace or budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
            yield "a drain does not wait for the pods that end"
    names = [reference["configMapRef"]["name"] for reference in container["envFrom"]]
    for config in of_kind(manifests, "ConfigMap"):
        if config["metadata"]["name"] in names:
            planned = {key.lower(): int(value) for key, value in config["data"].items() if value.isdigit()}
            if not planned or not planned.items() <= values["settings"].items():
                yield "the ConfigMap is not the plan's"
    for pooler in of_kind(manifests, "Deployment"):
        if pooler["metadata"]["name"] == "pgbouncer" and (
            pooler["spec"]["replicas"] != 1 or pooler["spec"]["strategy"]["type"] != "Recreate"
        ):
            yield "there can be two PgBouncers"


def _matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    listed = all(labels.get(e["key"]) in e["values"] for e in selector.get("matchExpressions", []))
    return bool(selector) and wanted and listed
