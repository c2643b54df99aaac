"""What can be checked of deploy/main.bicep without Azure: syntax, names, types, the platform's limits, and the plan.

The types are those of Azure's own client for this version of the API, azure-mgmt-appcontainers, whose models come from
the description that Bicep's types are made of.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from azure.mgmt.appcontainers import ContainerAppsAPIClient, models

from tests.bicep import BicepError, Resource, read
from tests.render.manifests import option

PARAMETERS = {"imageTag": "7", "registryName": "registry", "vaultName": "vault", "serve": True}
(VERSION,) = re.findall(r'api_version: Api Version. Default value is "(\S+)"', ContainerAppsAPIClient.__doc__ or "")
MODELS = {"Microsoft.App/containerApps": "ContainerApp", "Microsoft.App/jobs": "Job"}
# What the file may ask of resources that it does not make. D https://learn.microsoft.com/azure/templates/ (2026-11)
KNOWN = {
    "Microsoft.App/managedEnvironments": {"id"},
    "Microsoft.ContainerRegistry/registries": {"id", "properties.loginServer"},
    "Microsoft.KeyVault/vaults": {"id", "properties.vaultUri"},
    "Microsoft.ManagedIdentity/userAssignedIdentities": {"id"},
}
# D https://learn.microsoft.com/cli/azure/containerapp/job (2026-11): fewer than 32 letters, and no two dashes
NAME = re.compile(r"(?!.*--)[a-z][a-z0-9-]{0,29}[a-z0-9]")
# D https://learn.microsoft.com/azure/container-apps/containers (2026-11): steps of 0.25, of which we take whole ones
SIZES = {(1, "2Gi"), (2, "4Gi"), (3, "6Gi"), (4, "8Gi")}
MOST_REPLICAS = 1000  # D https://learn.microsoft.com/azure/container-apps/scale-app (2026-11)
# D the description of each property in Azure's own client (2026-11): the least and the most
PROBE_LIMITS = {"failureThreshold": (1, 10), "periodSeconds": (1, 240), "timeoutSeconds": (1, 240)}
PROBES = {"Startup": "/livez", "Liveness": "/livez", "Readiness": "/readyz"}
INGRESS_SECONDS = 240  # D https://learn.microsoft.com/azure/container-apps/ingress-overview (2026-11)
PRIMITIVES: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}


def bicep_faults(path: Path, values: Mapping[str, Any]) -> list[str]:
    """One sentence for each fault of main.bicep; values: the plan's, as `evaluate(...).values`."""
    try:
        resources = read(path, **PARAMETERS)
        without = read(path, **{**PARAMETERS, "serve": False})
    except BicepError as error:
        return [str(error)]
    found = [*_resource_faults(resources), *_order_faults(resources, without)]
    if found:
        return found  # what follows relies on them
    app, job = resources["app"].body, resources["migration"].body
    return [
        *_shared_faults("app", app, values["secret_files"]),
        *_shared_faults("migration", job, values["migration_files"]),
        *_serving_faults(app["properties"], values),
        *_plan_faults(app["properties"], values),
        *_job_faults(job["properties"], app["properties"]),
    ]


def _resource_faults(resources: Mapping[str, Resource]) -> Iterator[str]:
    for name, resource in resources.items():
        if resource.kind.startswith("Microsoft.App/") and resource.version != VERSION:
            yield f"{name}: version {resource.version}, not {VERSION}"
        if resource.existing:
            if resource.kind not in KNOWN:
                yield f"{name}: nobody makes a {resource.kind}"
            if resource.body.keys() != {"name"}:
                yield f"{name}: more than a name of something that exists"
            continue
        if resource.kind not in MODELS:
            yield f"{name}: no {resource.kind} is expected"
            continue
        if not NAME.fullmatch(resource.body["name"]):
            yield f"{name}: the platform takes no name {resource.body['name']}"
        yield from _type_faults(name, MODELS[resource.kind], resource.body, given={"name"})
        for asked in _asked(resource.body):
            owner, _, part = asked.partition(".")
            if owner in resources and part not in KNOWN.get(resources[owner].kind, set()):
                yield f"{name}: {resources[owner].kind} has no {part}"


def _order_faults(resources: Mapping[str, Resource], without: Mapping[str, Resource]) -> Iterator[str]:
    made = {name for name, resource in resources.items() if not resource.existing}
    if made != {"app", "migration"}:
        yield f"makes {sorted(made)}, not an app and its migration"
    elif not all(resources[name].serving for name in made):
        yield "serve=true leaves something out"
    elif not without["migration"].serving or without["app"].serving:
        yield "serve=false is not the migration alone"


def _asked(value: Any) -> Iterator[str]:
    """The expressions in a value that only Azure can tell."""
    if isinstance(value, str):
        yield from re.findall(r"\$\{([^}]+)\}", value)
    elif isinstance(value, list):
        for element in value:
            yield from _asked(element)
    elif isinstance(value, dict):
        if value.keys() == {"$"}:
            yield value["$"]
            return
        for key, element in value.items():
            yield from _asked(key)
            yield from _asked(element)


# --- Types ------------------------------------------------------------------------------------------------------------


def _type_faults(path: str, kind: str, value: Any, given: frozenset[str] | set[str] = frozenset()) -> Iterator[str]:
    """Where a value is not of a type of the client's: "int", "[Secret]", "{str}". given: what Bicep has beside it."""
    if kind == "object" or (isinstance(value, dict) and value.keys() == {"$"}):
        return
    if kind in PRIMITIVES:
        if not isinstance(value, PRIMITIVES[kind]) or (isinstance(value, bool) and kind != "bool"):
            yield f"{path}: {value!r} is no {kind}"
    elif kind.startswith("["):
        if not isinstance(value, list):
            yield f"{path}: {value!r} is no list"
            return
        for number, element in enumerate(value):
            yield from _type_faults(f"{path}[{number}]", kind[1:-1], element)
    elif not isinstance(value, dict):
        yield f"{path}: {value!r} is no object"
    elif kind.startswith("{"):
        for key, element in value.items():
            yield from _type_faults(f"{path}.{key}", kind[1:-1], element)
    else:
        yield from _model_faults(path, kind, value, given)


def _model_faults(path: str, kind: str, value: dict[str, Any], given: frozenset[str] | set[str]) -> Iterator[str]:
    model = getattr(models, kind)
    rules = getattr(model, "_validation", {})
    flat = dict(_flat(value, {"properties"} if kind in MODELS.values() else set()))
    fields = {row["key"]: (attribute, row["type"]) for attribute, row in model._attribute_map.items()}
    for key, element in flat.items():
        if key in given:
            continue
        attribute, field = fields.get(key, ("", ""))
        if not attribute:
            yield f"{path}: no property {key}"
        elif rules.get(attribute, {}).get("readonly"):
            yield f"{path}: {key} is Azure's to say"
        else:
            yield from _type_faults(f"{path}.{key}", field, element)
            allowed = _choices(model, attribute)
            if allowed and isinstance(element, str) and element not in allowed:
                yield f"{path}.{key}: {element}, not one of {', '.join(allowed)}"
    for attribute, rule in rules.items():
        key = model._attribute_map[attribute]["key"]
        if rule.get("required") and not rule.get("readonly") and key not in flat:
            yield f"{path}: no {key}"


def _flat(value: dict[str, Any], nested: set[str]) -> Iterator[tuple[str, Any]]:
    """The client's models have properties.template of a resource as one property."""
    for key, element in value.items():
        if key in nested and isinstance(element, dict):
            for inner, content in element.items():
                yield f"{key}.{inner}", content
        else:
            yield key, element


def _choices(model: Any, attribute: str) -> list[str]:
    """The values of an enumeration, or nothing where any text will do."""
    parameter = inspect.signature(model.__init__).parameters.get(attribute)
    named = re.search(r"_models\.(\w+)", str(parameter.annotation)) if parameter else None
    found = getattr(models, named[1]) if named else None
    return [member.value for member in found] if isinstance(found, type) and issubclass(found, Enum) else []


# --- What the platform and the plan want ------------------------------------------------------------------------------


def _shared_faults(name: str, body: dict[str, Any], files: list[str]) -> Iterator[str]:
    """What app and migration have alike: identity, image, secrets as files."""
    configuration, template = body["properties"]["configuration"], body["properties"]["template"]
    identity = {"$": "identity.id"}
    if body["identity"] != {"type": "UserAssigned", "userAssignedIdentities": {"${identity.id}": {}}}:
        yield f"{name}: runs as another identity"
    if configuration.get("identitySettings") != [{"identity": identity, "lifecycle": "None"}]:
        yield f"{name}: its code may use the identity"
    if configuration["registries"] != [{"server": {"$": "registry.properties.loginServer"}, "identity": identity}]:
        yield f"{name}: pulls from elsewhere"
    secrets = {}
    for secret in configuration["secrets"]:
        secrets[secret["name"]] = secret
        if "value" in secret or secret.get("identity") != identity:
            yield f"{name}: {secret['name']} is no reference"
        elif secret["keyVaultUrl"] != f"${{vault.properties.vaultUri}}secrets/{secret['name']}":
            yield f"{name}: {secret['name']} is another secret of the vault"
    (container,) = template["containers"]
    (volume,) = template["volumes"]
    (mount,) = container["volumeMounts"]
    if volume["storageType"] != "Secret" or mount["volumeName"] != volume["name"]:
        yield f"{name}: no secrets are mounted"
    there = {f"{mount['mountPath']}/{item['path']}": item["secretRef"] for item in volume["secrets"]}
    if missing := set(there.values()) ^ secrets.keys():
        yield f"{name}: {', '.join(sorted(missing))} is not both a secret and a file"
    if set(there.values()) != {file.replace("_", "-") for file in files}:
        yield f"{name}: the files {sorted(there)}, not {sorted(files)}"
    for variable in container["env"]:
        if variable["name"].endswith("_FILE") and variable["value"] not in there:
            yield f"{name}: {variable['name']}: no file {variable['value']}"
        if variable["name"].endswith("_URL"):
            yield f"{name}: {variable['name']} is read by everybody who may see the app"
    pair = (container["resources"]["cpu"], container["resources"]["memory"])
    if pair not in SIZES:
        yield f"{name}: no size of {pair[0]} CPUs and {pair[1]}"


def _serving_faults(properties: dict[str, Any], values: Mapping[str, Any]) -> Iterator[str]:
    (container,) = properties["template"]["containers"]
    ingress = properties["configuration"]["ingress"]
    port = ingress["targetPort"]
    if option(container, "--port") != str(port) or option(container, "--host") != "0.0.0.0":
        yield "listens elsewhere"
    if ingress.get("allowInsecure", False):
        yield "serves without TLS"
    probes = {probe["type"]: probe for probe in container["probes"]}
    if probes.keys() != PROBES.keys() or len(container["probes"]) > len(probes):
        yield f"the probes {sorted(probe['type'] for probe in container['probes'])}"
    for kind, probe in probes.items():
        if probe["httpGet"] != {"path": PROBES[kind], "port": port}:
            yield f"{kind}: nothing at {probe['httpGet']}"
        for name, (least, most) in PROBE_LIMITS.items():
            if not least <= probe[name] <= most:
                yield f"{kind}: {name} is from {least} to {most}, not {probe[name]}"
        if probe["timeoutSeconds"] > probe["periodSeconds"]:
            yield f"{kind}: longer than its period"
    if "Startup" in probes:
        started = probes["Startup"]["periodSeconds"] * probes["Startup"]["failureThreshold"]
        if started <= int(option(container, "--timeout-worker-healthcheck")):
            yield f"killed after {started} s, in the middle of a start"
    stop, grace = (
        int(option(container, "--timeout-graceful-shutdown")),
        properties["template"]["terminationGracePeriodSeconds"],
    )
    if stop + values["catalog"]["plan"]["closing_seconds"] > grace:
        yield f"killed before its pool is closed: {stop} s of {grace}"
    held = values["settings"]["pool_timeout_seconds"] + values["settings"]["command_timeout_seconds"]
    if held >= INGRESS_SECONDS:
        yield f"a request may take {held} s, the ingress waits {INGRESS_SECONDS}"


def _plan_faults(properties: dict[str, Any], values: Mapping[str, Any]) -> Iterator[str]:
    configuration, template = properties["configuration"], properties["template"]
    (container,) = template["containers"]
    scale = template["scale"]
    if configuration["activeRevisionsMode"] != "Single":
        yield "several revisions may serve"
    if scale["maxReplicas"] != values["instances"] or not 1 <= scale["maxReplicas"] <= MOST_REPLICAS:
        yield f"{scale['maxReplicas']} replicas, not {values['instances']}"
    if not 1 <= scale["minReplicas"] <= scale["maxReplicas"]:
        yield f"{scale['minReplicas']} to {scale['maxReplicas']} replicas"
    if option(container, "--workers") != str(values["workers"]):
        yield f"{option(container, '--workers')} workers, not {values['workers']}"
    if option(container, "--timeout-graceful-shutdown") != str(values["settings"]["graceful_stop_seconds"]):
        yield "another graceful stop than the plan's"
    requests = str(values["instance_requests_per_second"])
    if scale["rules"] != [{"name": "requests", "http": {"metadata": {"concurrentRequests": requests}}}]:
        yield f"the rules {scale['rules']}, not {requests} requests a second"


def _job_faults(job: dict[str, Any], app: dict[str, Any]) -> Iterator[str]:
    configuration = job["configuration"]
    if configuration["triggerType"] != "Manual":
        yield "runs of itself"
    if configuration["manualTriggerConfig"] != {"parallelism": 1, "replicaCompletionCount": 1}:
        yield "more than one migration"
    (container,), (serving,) = job["template"]["containers"], app["template"]["containers"]
    if container["command"] != ["python", "-m", "app.migrate"]:
        yield f"runs {container['command']}"
    if container["image"] != serving["image"]:
        yield "another image than the app's"
    if job["environmentId"] != app["environmentId"]:
        yield "in another environment than the app"
