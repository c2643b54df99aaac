"""What can be checked of fly.toml without Fly.io: its shape, names, times, and the plan.

Which keys there are is what `fly config validate --strict` knows: flyctl, internal/appconfig/config.go and service.go
(2026-08). What they mean: https://fly.io/docs/reference/configuration/ (2026-08).
"""

import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

import jsonschema

Config = dict[str, Any]

KILL_TIMEOUT_SECONDS = 300  # kill_timeout, at most
CHECK_SECONDS = 60  # a check's interval, timeout and grace period: longer ones are cut to it (validation.go)
READY_SECONDS = 2  # /readyz answers within
MEMORY_STEP, LEAST_MEMORY, MOST_MEMORY = 256, 256, 2048  # MB of a shared CPU


def section(required: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required.split(),
        "properties": properties,
    }


TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
COUNT = {"type": "integer", "minimum": 0}
NAMES = {"type": "array", "items": TEXT}
DURATION = {"type": "string", "pattern": r"^\d+(ms|s|m)$"}
SCHEMA = section(
    "app primary_region kill_signal kill_timeout env files deploy processes http_service vm metrics",
    app={"type": "string", "pattern": "^[a-z0-9][a-z0-9-]*$"},
    primary_region={"type": "string", "pattern": "^[a-z]{3}$"},
    kill_signal={"enum": ["SIGINT", "SIGTERM", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGKILL", "SIGSTOP"]},
    kill_timeout=COUNT,
    env={"type": "object", "additionalProperties": {"type": "string"}},
    files={
        "type": "array",
        "items": section("guest_path", guest_path=TEXT, local_path=TEXT, secret_name=TEXT, raw_value=TEXT),
    },
    deploy=section(
        "strategy max_unavailable release_command",
        strategy={"enum": ["rolling", "immediate", "canary", "bluegreen"]},
        max_unavailable={"type": "number", "exclusiveMinimum": 0},
        release_command=TEXT,
        release_command_timeout=DURATION,
        wait_timeout=DURATION,
    ),
    processes={"type": "object", "additionalProperties": TEXT},
    http_service=section(
        "processes internal_port concurrency checks",
        processes=NAMES,
        internal_port=COUNT,
        force_https={"type": "boolean"},
        auto_stop_machines={"enum": ["off", "stop", "suspend"]},
        auto_start_machines={"type": "boolean"},
        min_machines_running=COUNT,
        concurrency=section(
            "type soft_limit hard_limit", type={"enum": ["connections", "requests"]}, soft_limit=COUNT, hard_limit=COUNT
        ),
        checks={
            "type": "array",
            "items": section(
                "path grace_period interval timeout",
                **dict.fromkeys(("grace_period", "interval", "timeout"), DURATION),
                method=TEXT,
                path=TEXT,
            ),
        },
    ),
    vm={
        "type": "array",
        "items": section(
            "cpu_kind cpus memory",
            cpu_kind={"enum": ["shared", "performance"]},
            cpus={"enum": [1, 2, 4, 8, 16]},
            memory={"type": "string", "pattern": r"^\d+mb$"},
        ),
    },
    metrics={"type": "array", "items": section("port path", port=COUNT, path=TEXT)},
)


def read_config(project: Path) -> Config:
    return tomllib.loads((project / "deploy/fly.toml").read_text(encoding="utf-8"))


def faults(config: Config, readme: str, values: Mapping[str, Any]) -> list[str]:
    """Each fault of fly.toml, and of the commands of its README.md, in a sentence; `values`: the evaluation's."""
    found = [
        f"{'.'.join(map(str, error.absolute_path)) or 'fly.toml'}: {error.message}"
        for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(config)
    ]
    return found or [
        *_secret_faults(config, secrets_made(readme), values),
        *_serving_faults(config),
        *_stopping_faults(config, values),
        *_deploying_faults(config, readme),
        *_plan_faults(config, readme, values),
    ]


def secrets_made(readme: str) -> set[str]:
    """The names of the secrets that deploy/README.md hands to Fly.io."""
    return set(re.findall(r"^    echo ['\"](\w+)=", readme, flags=re.MULTILINE))


def scale_count(readme: str) -> int:
    """How many Machines deploy/README.md makes: fly.toml has no place for it."""
    (count,) = re.findall(r"^    fly scale count (\d+) ", readme, flags=re.MULTILINE)
    return int(count)


def command(config: Config) -> list[str]:
    return shlex.split(config["processes"]["app"])


def option(config: Config, name: str) -> str:
    words = command(config)
    return words[words.index(name) + 1]


def _secret_faults(config: Config, secrets: Set[str], values: Mapping[str, Any]) -> Iterator[str]:
    urls = {name.upper() for name in [*values["secrets"], values["migration_secret"]]}
    if secrets != urls | {"DATABASE_CA"}:
        yield f"the secrets made are {sorted(secrets)}"
    for file in config["files"]:
        if len(file) != 2:
            yield f"{file['guest_path']}: not one source"
        if file.get("secret_name", "DATABASE_CA") not in secrets:
            yield f"nobody makes the secret {file['secret_name']}"
    paths = {file["guest_path"] for file in config["files"]}
    for name, value in config["env"].items():
        if name.startswith("FLY_"):
            yield f"{name}: a name of Fly.io's"
        if name.endswith(("_URL", "_PASSWORD")):
            yield f"{name}: a secret in a file"
        if name.endswith("_FILE") and value not in paths:
            yield f"{name}: no file {value}"
    is_verified = "DATABASE_CA_FILE" in config["env"]
    if is_verified == (values["pooler"] == "pgbouncer") or is_verified == ("DATABASE_TLS" in config["env"]):
        yield "the way to the database is not as planned"


def _serving_faults(config: Config) -> Iterator[str]:
    service = config["http_service"]
    if service["processes"] != list(config["processes"]):
        yield f"requests for {service['processes']}, processes {list(config['processes'])}"
    if option(config, "--port") != str(service["internal_port"]) or option(config, "--host") != "0.0.0.0":
        yield "listens elsewhere"
    if [metrics["port"] for metrics in config["metrics"]] != [service["internal_port"]]:
        yield "no metrics at that port"
    if not service.get("force_https"):
        yield "answers without encryption"
    for check in service["checks"]:
        interval, timeout, grace = (seconds(check[name]) for name in ("interval", "timeout", "grace_period"))
        if check["path"] != "/readyz":
            yield f"checks {check['path']}"
        if not READY_SECONDS < timeout < interval <= CHECK_SECONDS:
            yield f"a check of {timeout} s every {interval} s"
        if not int(option(config, "--timeout-worker-healthcheck")) <= grace <= CHECK_SECONDS:
            yield f"a start may not take {grace} s"
    for size in config["vm"]:
        memory = int(size["memory"].removesuffix("mb"))
        cpus = size["cpus"]
        if memory % MEMORY_STEP or not LEAST_MEMORY * cpus <= memory <= MOST_MEMORY * cpus:
            yield f"no size of {cpus} CPUs and {memory} MB"


def _stopping_faults(config: Config, values: Mapping[str, Any]) -> Iterator[str]:
    graceful = int(option(config, "--timeout-graceful-shutdown"))
    if config["kill_signal"] != "SIGTERM":
        yield f"stopped by {config['kill_signal']}"
    if graceful != values["settings"]["graceful_stop_seconds"]:
        yield "another graceful stop than the plan's"
    if not graceful + values["catalog"]["plan"]["closing_seconds"] <= config["kill_timeout"] <= KILL_TIMEOUT_SECONDS:
        yield f"killed {config['kill_timeout']} s after SIGTERM"


def _deploying_faults(config: Config, readme: str) -> Iterator[str]:
    deploy = config["deploy"]
    if shlex.split(deploy["release_command"]) != ["python", "-m", "app.migrate"]:
        yield f"migrates by {deploy['release_command']}"
    if deploy["strategy"] != "rolling":
        yield f"a {deploy['strategy']} deployment starts Machines that are not planned"
    if deploy["max_unavailable"] < 1 or deploy["max_unavailable"] % 1:
        yield f"{deploy['max_unavailable']} of the Machines are away at once"
    for line in re.findall(r"^    (fly deploy .*)", readme, flags=re.MULTILINE):
        if "--ha=false" not in line:
            yield f"makes two Machines: {line}"
        if "REVISION" not in line:
            yield f"does not say which code it is: {line}"


def _plan_faults(config: Config, readme: str, values: Mapping[str, Any]) -> Iterator[str]:
    service, machines = config["http_service"], scale_count(readme)
    if machines != values["instances"]:
        yield f"{machines} Machines, not {values['instances']}"
    if option(config, "--workers") != str(values["workers"]):
        yield f"{option(config, '--workers')} workers, not {values['workers']}"
    if service.get("auto_stop_machines") == "suspend":
        yield "a suspended Machine keeps its connections"
    if not service.get("auto_start_machines") and service.get("auto_stop_machines") != "off":
        yield "a Machine that stops does not start again"
    if not 1 <= service.get("min_machines_running", 0) <= machines:
        yield f"{service.get('min_machines_running', 0)} of {machines} Machines always run"
    settings = values["settings"]
    pool = values["workers"] * (settings["pool_size"] + settings["max_overflow"])
    limits = service["concurrency"]
    if limits != {"type": "requests", "soft_limit": pool, "hard_limit": values["instance_requests"]}:
        yield f"a Machine takes {limits}, not {pool} to {values['instance_requests']} requests"


def seconds(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(s|m)", text).groups()  # type: ignore[union-attr]
    return int(number) * {"s": 1, "m": 60}[unit]
