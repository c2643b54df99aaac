"""What can be checked of Cloud Run's manifests without Cloud Run: their shape, names, times, and the plan.

Its YAML is Knative's, whose containers and volumes are those of Kubernetes' core/v1; what it allows of them is in
https://cloud.google.com/run/docs/reference/yaml/v1 (2026-11).
"""

from collections.abc import Iterator, Mapping, Set
from typing import Any

from tests.render.manifests import Manifest, option, part_faults

KILLED_AFTER_SECONDS = 10  # SIGKILL, after SIGTERM
STARTED_WITHIN_SECONDS = 240  # failureThreshold x periodSeconds of a startup probe, at most
REQUEST_SECONDS = 3600  # timeoutSeconds, at most
CONCURRENCY = 1000  # containerConcurrency, at most
CPUS = {"1", "2", "4", "6", "8"}
PATHS = {"/livez", "/readyz"}
PLACEHOLDERS = {"PROJECT_ID", "REGION", "IMAGE_TAG"}

REVISION_KEYS = {
    *("containerConcurrency", "containers", "serviceAccountName", "timeoutSeconds", "volumes"),
}
TASK_KEYS = {"containers", "maxRetries", "serviceAccountName", "timeoutSeconds", "volumes"}
ANNOTATIONS = {
    *("autoscaling.knative.dev/minScale", "autoscaling.knative.dev/maxScale"),
    *("run.googleapis.com/cloudsql-instances", "run.googleapis.com/cpu-throttling"),
    *("run.googleapis.com/execution-environment", "run.googleapis.com/network-interfaces"),
    *("run.googleapis.com/startup-cpu-boost", "run.googleapis.com/vpc-access-egress"),
}


def service_faults(service: Manifest, secrets: Set[str], values: Mapping[str, Any]) -> list[str]:
    """Each fault of service.yaml in a sentence; `secrets`: the names in Secret Manager; `values`: the evaluation's."""
    return [
        *_kind_faults(service, "serving.knative.dev/v1", "Service"),
        *_annotation_faults(service["spec"]["template"]),
        *_spec_faults(service["spec"]["template"]["spec"], REVISION_KEYS, secrets),
        *_serving_faults(service["spec"]["template"]["spec"], values),
        *_plan_faults(service, values),
    ]


def job_faults(job: Manifest, secrets: Set[str], service: Manifest) -> list[str]:
    """Each fault of migrate-job.yaml, which runs the image, the secrets and the network of the service."""
    execution = job["spec"]["template"]
    task = execution["spec"]["template"]["spec"]
    return [
        *_kind_faults(job, "run.googleapis.com/v1", "Job"),
        *_annotation_faults(execution),
        *_spec_faults(task, TASK_KEYS, secrets),
        *_job_faults(execution["spec"], service),
    ]


def _kind_faults(manifest: Manifest, version: str, kind: str) -> Iterator[str]:
    if (manifest["apiVersion"], manifest["kind"]) != (version, kind):
        yield f"{manifest['apiVersion']} {manifest['kind']}, not {version} {kind}"


def _annotation_faults(template: Manifest) -> Iterator[str]:
    for name, value in template["metadata"]["annotations"].items():
        if name not in ANNOTATIONS:
            yield f"no annotation {name}"
        if not isinstance(value, str):
            yield f"annotation {name} is not text"


def _spec_faults(spec: Manifest, keys: Set[str], secrets: Set[str]) -> Iterator[str]:
    if unknown := spec.keys() - keys:
        yield f"no field {', '.join(sorted(unknown))}"
    for volume in spec["volumes"]:
        yield from part_faults("Volume", volume)
    for container in spec["containers"]:
        yield from part_faults("Container", container)
    if not spec["serviceAccountName"].endswith("@PROJECT_ID.iam.gserviceaccount.com"):
        yield "runs as the project's default account"
    files = {}
    for volume in spec["volumes"]:
        files[volume["name"]] = [item["path"] for item in volume["secret"]["items"]]
        if volume["secret"]["secretName"] not in secrets:
            yield f"nobody makes the secret {volume['secret']['secretName']}"
    (container,) = spec["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    if len(set(mounts.values())) < len(mounts):
        yield "two secrets in one folder"
    if mounts.keys() != files.keys():
        yield f"volumes {sorted(files)}, mounted are {sorted(mounts)}"
    there = {f"{mounts[name]}/{path}" for name, paths in files.items() if name in mounts for path in paths}
    for variable in container["env"]:
        if variable["name"].endswith("_FILE") and variable["value"] not in there:
            yield f"{variable['name']}: no file {variable['value']}"
    if container["resources"]["limits"]["cpu"] not in CPUS:
        yield f"no size of {container['resources']['limits']['cpu']} CPUs"


def _serving_faults(spec: Manifest, values: Mapping[str, Any]) -> Iterator[str]:
    (container,) = spec["containers"]
    (port,) = container["ports"]
    if option(container, "--port") != str(port["containerPort"]) or option(container, "--host") != "0.0.0.0":
        yield "listens elsewhere"
    for name in ("startupProbe", "livenessProbe"):
        probe = container.get(name)
        if probe is None:
            yield f"no {name}"
            continue
        if probe["httpGet"]["port"] != port["containerPort"] or probe["httpGet"]["path"] not in PATHS:
            yield f"{name}: nothing at {probe['httpGet']}"
        if probe["timeoutSeconds"] > probe["periodSeconds"]:
            yield f"{name}: longer than its period"
    startup = container.get("startupProbe", {"failureThreshold": 0, "periodSeconds": 0})
    if startup["failureThreshold"] * startup["periodSeconds"] > STARTED_WITHIN_SECONDS:
        yield f"a start may take {STARTED_WITHIN_SECONDS} s"
    if int(option(container, "--timeout-graceful-shutdown")) >= KILLED_AFTER_SECONDS:
        yield f"killed before its requests end: {option(container, '--timeout-graceful-shutdown')} s"
    held = values["settings"]["pool_timeout_seconds"] + values["settings"]["command_timeout_seconds"]
    if not held < spec["timeoutSeconds"] <= REQUEST_SECONDS:
        yield f"a request may take {held} s, not {spec['timeoutSeconds']}"


def _plan_faults(service: Manifest, values: Mapping[str, Any]) -> Iterator[str]:
    template = service["spec"]["template"]
    (container,) = template["spec"]["containers"]
    limits = {
        "a revision": template["metadata"]["annotations"].get("autoscaling.knative.dev/maxScale"),
        "the service": service["metadata"]["annotations"].get("run.googleapis.com/maxScale"),
    }
    for what, limit in limits.items():
        if limit != str(values["instances"]):
            yield f"{limit} instances of {what}, not {values['instances']}"
    if option(container, "--workers") != str(values["workers"]):
        yield f"{option(container, '--workers')} workers, not {values['workers']}"
    if option(container, "--timeout-graceful-shutdown") != str(values["settings"]["graceful_stop_seconds"]):
        yield "another graceful stop than the plan's"
    if template["spec"]["containerConcurrency"] != min(values["instance_requests"], CONCURRENCY):
        yield f"{template['spec']['containerConcurrency']} requests at once, not {values['instance_requests']}"
    if service["spec"]["traffic"] != [{"latestRevision": True, "percent": 100}]:
        yield "traffic for more than one revision"


def _job_faults(execution: Manifest, service: Manifest) -> Iterator[str]:
    revision = service["spec"]["template"]
    task = execution["template"]["spec"]
    if (execution["taskCount"], execution["parallelism"]) != (1, 1):
        yield "more than one migration"
    (container,), (app,) = task["containers"], revision["spec"]["containers"]
    if container["command"] != ["python", "-m", "app.migrate"]:
        yield f"runs {container['command']}"
    if container["image"] != app["image"]:
        yield "another image than the service's"
    secrets = sorted(volume["name"] for volume in task["volumes"])
    if secrets != ["database-ca", "migration-database-url"]:
        yield "other secrets than the migrator's"
    if any(item["key"] != "latest" for volume in task["volumes"] for item in volume["secret"]["items"]):
        yield "an old version of a secret"
