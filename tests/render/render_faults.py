"""What can be checked of render.yaml without Render: its shape, names, times, and the plan.

Which fields there are, and what they mean: https://render.com/docs/blueprint-spec (2026-11). Its JSON schema is not in
a package of the registries.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import yaml

Service = dict[str, Any]

INSTANCES = 100  # of a service, at most: https://render.com/docs/scaling
SHUTDOWN_SECONDS = 300  # maxShutdownDelaySeconds, at most
RESERVED_PORTS = {10000, 18012, 18013, 19099}  # https://github.com/render-oss/skills, render-networking (2026-08)
SECRET_FILES = "/etc/secrets/"
CPUS = {"starter": 0.5, "standard": 1, "pro": 2, "pro plus": 4, "pro max": 4, "pro ultra": 8}

TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
VARIABLE: dict[str, Any] = {
    "oneOf": [
        {"required": ["fromGroup"], "properties": {"fromGroup": TEXT}, "additionalProperties": False},
        {
            "required": ["key", "value"],
            "properties": {"key": TEXT, "value": {"type": "string"}},
            "additionalProperties": False,
        },
        {
            "required": ["key", "sync"],
            "properties": {"key": TEXT, "sync": {"const": False}},
            "additionalProperties": False,
        },
    ]
}
SERVICE: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": [
        *("type", "name", "runtime", "region", "plan", "dockerCommand", "preDeployCommand", "numInstances"),
        *("healthCheckPath", "maxShutdownDelaySeconds", "envVars"),
    ],
    "properties": {
        "type": {"enum": ["web", "pserv", "worker", "cron", "keyvalue"]},
        "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]*$"},
        "runtime": {"enum": ["docker", "image", "python", "node", "go", "ruby", "rust", "elixir", "static"]},
        "region": {"enum": ["oregon", "ohio", "virginia", "frankfurt", "singapore"]},
        "plan": {"enum": list(CPUS)},
        "dockerfilePath": TEXT,
        "dockerContext": TEXT,
        "dockerCommand": TEXT,
        "preDeployCommand": TEXT,
        "numInstances": {"type": "integer", "minimum": 1, "maximum": INSTANCES},
        "healthCheckPath": {"type": "string", "pattern": "^/"},
        "maxShutdownDelaySeconds": {"type": "integer", "minimum": 1, "maximum": SHUTDOWN_SECONDS},
        "autoDeployTrigger": {"enum": ["commit", "checksPass", "off"]},
        "envVars": {"type": "array", "items": VARIABLE},
    },
}
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["services"],
    "properties": {"services": {"type": "array", "minItems": 1, "maxItems": 1, "items": SERVICE}},
}


def read_blueprint(project: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((project / "deploy/render.yaml").read_text(encoding="utf-8"))
    return found


def faults(blueprint: dict[str, Any], readme: str, values: Mapping[str, Any]) -> list[str]:
    """Each fault of render.yaml in a sentence, held against its README.md; `values`: the evaluation's."""
    found = [
        f"{'.'.join(map(str, error.absolute_path)) or 'render.yaml'}: {error.message}"
        for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(blueprint)
    ]
    if found:
        return found
    (service,) = blueprint["services"]
    return [
        *_kind_faults(service),
        *_variable_faults(service, readme, values),
        *_serving_faults(service),
        *_plan_faults(service, values),
    ]


def variables(service: Service) -> dict[str, str]:
    """The variables whose values the Blueprint has."""
    return {row["key"]: row["value"] for row in service["envVars"] if "value" in row}


def asked_for(service: Service) -> list[str]:
    """The variables whose values Render asks for."""
    return [row["key"] for row in service["envVars"] if "sync" in row]


def option(service: Service, name: str) -> str:
    words = shlex.split(service["dockerCommand"])
    return words[words.index(name) + 1]


def _kind_faults(service: Service) -> Iterator[str]:
    if (service["type"], service["runtime"]) != ("web", "docker"):
        yield f"a {service['type']} of {service['runtime']}, no web service of Docker"
    for name in ("dockerCommand", "preDeployCommand"):
        # Of quotes, variables and operators it is not known what Render makes: it runs no shell.
        if re.search(r"[\"'$&|;<>`\\]", service[name]):
            yield f"{name}: needs a shell"
    if service["preDeployCommand"] != "python -m app.migrate":
        yield f"migrates by {service['preDeployCommand']}"
    if service.get("autoDeployTrigger") != "checksPass":
        yield "deploys what no check has passed"


def _variable_faults(service: Service, readme: str, values: Mapping[str, Any]) -> Iterator[str]:
    keys = [row["key"] for row in service["envVars"] if "key" in row]
    if len(set(keys)) < len(keys):
        yield "a variable twice"
    urls = [name.upper() for name in [*values["secrets"], values["migration_secret"]]]
    if asked_for(service) != urls:
        yield f"asks for {asked_for(service)}, not {urls}"
    told = re.findall(r"^    - (\w+): ", readme, flags=re.MULTILINE)
    if sorted(told) != sorted(urls):
        yield f"the README tells of {told}"
    given = variables(service)
    for name in given:
        if name.endswith(("_URL", "_PASSWORD")):
            yield f"{name}: a secret in a file"
    files = set(re.findall(r"secret file called `(\w+)`", readme))
    groups = [row["fromGroup"] for row in service["envVars"] if "fromGroup" in row]
    if groups != re.findall(r"environment group called `([\w-]+)`", readme):
        yield f"nobody makes the groups {groups}"
    for name, value in given.items():
        if name.endswith("_FILE") and value.removeprefix(SECRET_FILES) not in files:
            yield f"{name}: no file {value}"
    is_verified = "DATABASE_CA_FILE" in given
    if is_verified == (values["pooler"] == "pgbouncer") or is_verified == ("DATABASE_TLS" in given):
        yield "the way to the database is not as planned"
    if given.get("REVISION_VARIABLE") != "RENDER_GIT_COMMIT":
        yield "does not say which code it is"


def _serving_faults(service: Service) -> Iterator[str]:
    port = option(service, "--port")
    if option(service, "--host") != "0.0.0.0" or variables(service).get("PORT") != port:
        yield "listens elsewhere"
    if int(port) in RESERVED_PORTS:
        yield f"port {port} is Render's own"
    if service["healthCheckPath"] != "/readyz":
        yield f"new instances are asked for {service['healthCheckPath']}"


def _plan_faults(service: Service, values: Mapping[str, Any]) -> Iterator[str]:
    if service["numInstances"] != values["instances"]:
        yield f"{service['numInstances']} instances, not {values['instances']}"
    if option(service, "--workers") != str(values["workers"]):
        yield f"{option(service, '--workers')} workers, not {values['workers']}"
    if CPUS[service["plan"]] < min(values["workers"], max(CPUS.values())):
        yield f"{values['workers']} workers on the plan {service['plan']}"
    graceful = int(option(service, "--timeout-graceful-shutdown"))
    if graceful != values["settings"]["graceful_stop_seconds"]:
        yield "another graceful stop than the plan's"
    if service["maxShutdownDelaySeconds"] < graceful + values["catalog"]["plan"]["closing_seconds"]:
        yield f"killed {service['maxShutdownDelaySeconds']} s after SIGTERM"
