"""What deploy/ holds for Docker Compose, and the plan's numbers in it."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import compose  # type: ignore[import-untyped]
import pytest
import yaml

from tests.render.artifacts import complaints, deployed_by, rendered, spoil

pytestmark = pytest.mark.xdist_group("render")

# The package's own command never fails; the program that it carries does.
COMPOSE = Path(compose.__file__).parent / "docker-compose"


def faults(project: Path, values: dict[str, Any]) -> list[str]:
    """What Compose itself and our own checks find."""
    deploy = project / "deploy"
    invalid = complaints([COMPOSE, "-f", "compose.yaml", "config", "-q"], deploy)
    invalid = invalid or complaints(["shellcheck", "secrets.sh"], deploy)
    if invalid:
        return invalid
    document = yaml.safe_load((deploy / "compose.yaml").read_text(encoding="utf-8"))
    missing = [f"{name} is mounted and not there" for name in mounted(document) if not (deploy / name).is_file()]
    return missing or [
        *number_faults(document, values),
        *secret_faults(document, values, deploy),
        *order_faults(document),
        *start_faults(document),
        *replica_faults(document, values, deploy),
    ]


def number_faults(document: dict[str, Any], values: dict[str, Any]) -> list[str]:
    settings, services = values["settings"], document["services"]
    app = services["app"]
    command = app["command"]
    options = dict(zip(command[2::2], command[3::2], strict=True))
    published = app["ports"][0].split(":")
    first, _, last = published[1].partition("-")
    expected = {
        "it is the app": command[:2] == ["uvicorn", "app.main:app"],
        "workers are the plan's": int(options["--workers"]) == values["workers"],
        "containers are the plan's": app["deploy"]["replicas"] == values["instances"],
        "the graceful stop is the plan's": int(options["--timeout-graceful-shutdown"])
        == settings["graceful_stop_seconds"],
        "the graceful stop ends before Docker kills": settings["graceful_stop_seconds"]
        < int(app["stop_grace_period"].rstrip("s")),
        "a worker that cannot connect is waited for": settings["connect_timeout_seconds"]
        < int(options["--timeout-worker-healthcheck"]),
        "each container has a port": int(last or first) - int(first) + 1 == values["instances"],
        "only this host reaches the ports": published[0] == "127.0.0.1",
        "the port is the app's": published[2] == options["--port"],
        "the health check asks the port": f":{options['--port']}/readyz" in app["healthcheck"]["test"][-1],
        "mongod ends the transaction of a killed process when the app would have given up": all(
            f"transactionLifetimeLimitSeconds={settings['command_timeout_seconds']}" in service["command"]
            for service in services.values()
            if service.get("command", [""])[0] == "mongod"
        ),
        "the server has the plan's limit": "database" not in services
        or any(str(values["server_limit"]) in word for word in services["database"]["command"]),
    }
    return [text for text, holds in expected.items() if not holds]


def secret_faults(document: dict[str, Any], values: dict[str, Any], deploy: Path) -> list[str]:
    made = made_secrets(deploy)
    found = []
    for name, service in document["services"].items():
        text = yaml.safe_dump(service)
        text += "".join((deploy / path).read_text(encoding="utf-8") for path in mounted({"services": {name: service}}))
        given, used = set(service.get("secrets", [])), set(re.findall(r"/run/secrets/(\w+)", text))
        found += [f"{name} does not use {secret}" for secret in given - used]
        found += [f"{name} is not given {secret}" for secret in used - given]
    for secret in document["secrets"].values():
        if not made.get(secret["file"].removeprefix("secrets/")):
            found.append(f"secrets.sh does not make {secret['file']}")
    wanted = {f"{secret.upper()}_FILE" for secret in values["secrets"]}
    found += [f"app is not given {name}" for name in wanted - document["services"]["app"]["environment"].keys()]
    return found


def order_faults(document: dict[str, Any]) -> list[str]:
    """Who needs whom, and whether what must be healthy has a way to say so and what must end ends."""
    services = document["services"]
    found = []
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy" and "healthcheck" not in services[needed]:
                found.append(f"{name} waits for ever for {needed}")
            if how["condition"] == "service_completed_successfully" and services[needed].get("restart", "no") != "no":
                found.append(f"{needed} never completes")
    if services["app"]["depends_on"].get("migrate", {}).get("condition") != "service_completed_successfully":
        found.append("the app starts without its schema")
    if "roles" in services and "roles" not in services["migrate"]["depends_on"]:
        found.append("the migration starts without its role")
    return found


def start_faults(document: dict[str, Any]) -> list[str]:
    """Whether a server is asked where its image's first, temporary one does not listen, and logs end somewhere."""
    services = document["services"]
    logs = {name: service["logging"]["options"] for name, service in services.items()}
    found = [f"the log of {name} never ends" for name, options in logs.items() if not options["max-size"]]
    asked = services.get("database", {}).get("healthcheck", {}).get("test", [])
    if asked[1:2] in (["pg_isready"], ["mysqladmin"]) and "--host=127.0.0.1" not in asked:
        found.append("the database is asked at its socket")
    for line in services.get("roles", {}).get("command", [""])[0].splitlines():
        if line.startswith(("psql", "mysql")):
            return [*found, "the roles are made once, whether the server is there or not"]
        if line.startswith("until "):
            break
    return found


def replica_faults(document: dict[str, Any], values: dict[str, Any], deploy: Path) -> list[str]:
    """Whether the second server, where there is one, has the plan's limit and data of its own, and serves the app."""
    services = document["services"]
    if "replica" not in services:
        return []
    replica, database = services["replica"], services["database"]
    url = made_secrets(deploy)["replica_database_url"]
    hosts = re.findall(r"[@/,](\w+):\d", url)
    if "pgbouncer" in services and url.endswith("@pgbouncer:6432/app_replica"):
        hosts = re.findall(r"^app_replica = host=(\w+)", (deploy / "pgbouncer.ini").read_text("utf-8"), re.MULTILINE)
    options = " ".join(database["command"])
    placed = {config["target"] for config in database.get("configs", [])}
    expected = {
        "the replica has the plan's limit": re.findall(
            r"(?:max_connections=|maxConns )(\d+)", " ".join(replica["command"])
        )
        == [str(values["server_limit"])],
        "the replica is the server's version": replica["image"] == database["image"],
        "the replica's data are its own": not set(replica["volumes"]) & set(database["volumes"]),
        "the replica's data are where the server's are": replica["volumes"][0].split(":")[1]
        == database["volumes"][0].split(":")[1],
        "the replica is what the app reads from": hosts[-1:] == ["replica"],
        "the app starts when it can read": services["app"]["depends_on"]["replica"]["condition"] == "service_healthy",
        "a replica set has the replica in it": ("--replSet" in options) == ("join" in services["app"]["depends_on"]),
        "the files that the server reads are there": set(re.findall(r"_file=(\S+)", options)) == placed,
    }
    return [text for text, holds in expected.items() if not holds]


def made_secrets(deploy: Path) -> dict[str, str]:
    """What secrets.sh writes, by name; those of the first run stay in the second."""
    found: list[dict[str, str]] = []
    for _ in range(2):
        subprocess.run(["sh", deploy / "secrets.sh"], check=True, cwd=deploy.parent)
        found.append({path.name: path.read_text(encoding="utf-8") for path in (deploy / "secrets").iterdir()})
    assert found[0] == found[1]
    assert (deploy / "secrets").stat().st_mode & 0o777 == 0o700
    shutil.rmtree(deploy / "secrets")
    return found[0]


def mounted(document: dict[str, Any]) -> list[str]:
    volumes = [volume for service in document["services"].values() for volume in service.get("volumes", [])]
    return [volume.split(":")[0][2:] for volume in volumes if volume.startswith("./")]


@pytest.mark.parametrize("name", deployed_by("compose"))
def test_the_artifact_is_valid_and_holds_the_plan(name: str, tmp_path: Path) -> None:
    values = rendered(deployed_by("compose")[name], tmp_path)
    assert faults(tmp_path, values) == []


def test_containers_have_a_port_each(tmp_path: Path) -> None:
    values = rendered({"deployment": "compose", "instances": 3}, tmp_path)
    assert faults(tmp_path, values) == []


@pytest.mark.parametrize(
    ("file", "text", "instead"),
    [
        ("compose.yaml", "condition: service_healthy", "condition: service_heathy"),
        ("compose.yaml", "restart: unless-stopped", "restart: [unless-stopped]"),
        ("compose.yaml", '--workers, "4"', '--workers, "5"'),
        ("compose.yaml", "replicas: 1", "replicas: 2"),
        ("compose.yaml", "max_connections=100", "max_connections=200"),
        ("compose.yaml", "stop_grace_period: 30s", "stop_grace_period: 10s"),
        ("compose.yaml", '--timeout-graceful-shutdown, "20"', '--timeout-graceful-shutdown, "2"'),
        ("compose.yaml", '--timeout-worker-healthcheck, "30"', '--timeout-worker-healthcheck, "5"'),
        ("compose.yaml", "127.0.0.1:8000:8000", "127.0.0.1:8000:80"),
        ("compose.yaml", "127.0.0.1:8000:8000", "0.0.0.0:8000:8000"),
        ("compose.yaml", "8000/readyz", "8080/readyz"),
        ("compose.yaml", "app.main:app", "app.app:main"),
        (
            "compose.yaml",
            "migrate: {condition: service_completed_successfully}",
            "migrate: {condition: service_started}",
        ),
        (
            "compose.yaml",
            "roles: {condition: service_completed_successfully}",
            "database: {condition: service_healthy}",
        ),
        ("compose.yaml", "DATABASE_URL_FILE: /run/secrets/database_url", "URL_FILE: /run/secrets/database_url"),
        ("compose.yaml", "secrets: [migration_database_url]", "secrets: [database_url]"),
        ("compose.yaml", "file: secrets/app_password", "file: secrets/app-password"),
        ("compose.yaml", "./roles.sql", "./role.sql"),
        ("compose.yaml", '"--host=127.0.0.1", ', ""),
        ("compose.yaml", "until pg_isready --quiet; do sleep 1; done", ":"),
        ("compose.yaml", "max-size: 10m", "max-size: null"),
        ("secrets.sh", "keep app_migrator_password", "keep migrator_password"),
    ],
)
def test_a_planted_fault_is_found(file: str, text: str, instead: str, tmp_path: Path) -> None:
    values = rendered({"database": "postgresql", "deployment": "compose"}, tmp_path)
    spoil(tmp_path / "deploy" / file, text, instead)
    assert faults(tmp_path, values)


POSTGRESQL, MONGODB = "postgresql", "mongodb"


@pytest.mark.parametrize(
    ("database", "file", "text", "instead"),
    [
        (POSTGRESQL, "compose.yaml", "exec postgres -c max_connections=100", "exec postgres -c max_connections=50"),
        (POSTGRESQL, "compose.yaml", "replica:/var/lib/postgresql", "data:/var/lib/postgresql"),
        (POSTGRESQL, "compose.yaml", "replica:/var/lib/postgresql", "replica:/var/lib/postgres"),
        (POSTGRESQL, "compose.yaml", "replica: {condition: service_healthy}", "replica: {condition: service_started}"),
        (POSTGRESQL, "compose.yaml", "user: postgres", "user: [postgres]"),
        (POSTGRESQL, "compose.yaml", "target: /etc/postgresql/pg_hba.conf", "target: /etc/pg_hba.conf"),
        (POSTGRESQL, "compose.yaml", "source: pg_hba.conf", "source: hba.conf"),
        (POSTGRESQL, "compose.yaml", 'secrets: ["app_replication_password"]', "secrets: []"),
        (POSTGRESQL, "compose.yaml", "  replica: {}", "  replicas: {}"),
        (POSTGRESQL, "secrets.sh", "@replica:5432", "@database:5432"),
        (POSTGRESQL, "secrets.sh", "keep app_replication_password", "keep replication_password"),
        (
            MONGODB,
            "compose.yaml",
            "join: {condition: service_completed_successfully}",
            "database: {condition: service_healthy}",
        ),
        (MONGODB, "compose.yaml", "transactionLifetimeLimitSeconds=20", "transactionLifetimeLimitSeconds=60"),
        (MONGODB, "compose.yaml", "replica:/data/db", "data:/data/db"),
        (MONGODB, "secrets.sh", "database:27017,replica:27017", "database:27017"),
    ],
)
def test_a_fault_of_the_replica_is_found(database: str, file: str, text: str, instead: str, tmp_path: Path) -> None:
    values = rendered({"database": database, "deployment": "compose", "read_replica": True}, tmp_path)
    assert faults(tmp_path, values) == []
    spoil(tmp_path / "deploy" / file, text, instead)
    assert faults(tmp_path, values)


def test_behind_pgbouncer_the_replica_is_a_database_of_its_own(tmp_path: Path) -> None:
    answers = {"database": "postgresql", "deployment": "compose", "read_replica": True, "pooler": "pgbouncer"}
    values = rendered(answers, tmp_path)
    assert faults(tmp_path, values) == []
    spoil(tmp_path / "deploy" / "pgbouncer.ini", "app_replica = host=replica", "app_replica = host=database")
    assert faults(tmp_path, values) == ["the replica is what the app reads from"]
