"""What deploy/ holds for a virtual machine: systemd, nginx, a shell script, and the plan's numbers in them."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.render.artifacts import complaints, deployed_by, readme, rendered, spoil
from tests.servers.nginx import configuration
from tests.units import read_unit

pytestmark = pytest.mark.xdist_group("render")

TARGETS = ["sysinit", "basic", "network-online", "shutdown", "multi-user"]
PROGRAMS = ["opt/render-test/.venv/bin/uvicorn", "opt/render-test/.venv/bin/python", "bin/kill"]


def faults(project: Path, values: dict[str, Any], scratch: Path) -> list[str]:
    """What the validators and our own checks find."""
    deploy = project / "deploy"
    return [
        *systemd_faults(deploy, scratch / "root"),
        *nginx_faults(deploy, scratch),
        *complaints(["shellcheck", "deploy.sh"], deploy),
        *number_faults(deploy, values),
        *name_faults(project, values),
    ]


def systemd_faults(deploy: Path, root: Path) -> list[str]:
    units = root / "etc/systemd/system"
    units.mkdir(parents=True)
    for target in TARGETS:
        file = root / "usr/lib/systemd/system" / f"{target}.target"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"[Unit]\nDescription={target}\n")
    for program in PROGRAMS:
        file = root / program
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("#!/bin/sh\n")
        file.chmod(0o755)
    names = []
    for unit in deploy.glob("*.service"):
        (units / unit.name).write_bytes(unit.read_bytes())
        names.append(unit.name)
    return complaints(["systemd-analyze", f"--root={root}", "verify", *names], root)


def nginx_faults(deploy: Path, scratch: Path) -> list[str]:
    site = (deploy / "nginx.conf").read_text(encoding="utf-8")
    wrapper = configuration(site, scratch, f"unix:{scratch}/secure")
    return complaints(["nginx", "-q", "-t", "-c", wrapper, "-e", "stderr", "-p", scratch], scratch)


def option(command: str, name: str) -> int:
    words = shlex.split(command)
    return int(words[words.index(name) + 1])


def number_faults(deploy: Path, values: dict[str, Any]) -> list[str]:
    """The plan's numbers, and time limits in the order that makes them work."""
    settings = values["settings"]
    (file,) = (path for path in deploy.glob("*.service") if not path.stem.endswith("-migrate"))
    unit = read_unit(file)
    (start,) = unit["ExecStart"]
    (stop,) = unit["TimeoutStopSec"]
    nginx = (deploy / "nginx.conf").read_text(encoding="utf-8")
    (read,) = re.findall(r"proxy_read_timeout (\d+)s;", nginx)
    (port,) = set(re.findall(r"server 127\.0\.0\.1:(\d+)", nginx))
    graceful = option(start, "--timeout-graceful-shutdown")
    expected = {
        "workers are the plan's": option(start, "--workers") == values["workers"],
        "a reload only where a supervisor is": ("ExecReload" in unit) == (values["workers"] > 1),
        "the graceful stop is the plan's": graceful == settings["graceful_stop_seconds"],
        "the graceful stop ends before systemd kills": graceful < int(stop),
        "requests have time to end": graceful >= settings["command_timeout_seconds"],
        "a worker that cannot connect is waited for": settings["connect_timeout_seconds"]
        < option(start, "--timeout-worker-healthcheck"),
        "nginx has somebody to ask again": nginx.count(f"server 127.0.0.1:{port} max_fails=0;") == 2,
        "nginx waits for every answer": int(read)
        > settings["pool_timeout_seconds"] + settings["command_timeout_seconds"],
        "nginx finds the app": int(port) == option(start, "--port"),
        "only nginx finds the app": "--host 127.0.0.1" in start,
    }
    return [text for text, holds in expected.items() if not holds]


def name_faults(project: Path, values: dict[str, Any]) -> list[str]:
    """Every file that a unit reads is one that README.md says to make, and every secret arrives."""
    found = []
    text = readme(project)
    for file in (project / "deploy").glob("*.service"):
        unit = read_unit(file)
        loaded = dict(credential.split(":") for credential in unit["LoadCredential"])
        found += [f"{file.name}: {path} is not in README.md" for path in loaded.values() if f"`{path}`" not in text]
        environment = dict(pair.split("=", 1) for pair in unit["Environment"])
        given = {name: path for name, path in environment.items() if path.startswith("%d/")}
        found += [f"{file.name}: {path} is not loaded" for path in given.values() if path[3:] not in loaded]
        wanted = {"DATABASE_URL_FILE"}
        if not file.stem.endswith("-migrate"):
            wanted = {f"{secret.upper()}_FILE" for secret in values["secrets"]}
        found += [f"{file.name}: {name} is not given" for name in wanted - given.keys()]
        found += [
            f"{file.name}: {path} is not in README.md" for path in unit["EnvironmentFile"] if path[1:] not in text
        ]
    return found


@pytest.mark.parametrize("name", deployed_by("vm"))
def test_the_artifacts_are_valid_and_hold_the_plan(name: str, tmp_path: Path) -> None:
    values = rendered(deployed_by("vm")[name], tmp_path / "project")
    assert faults(tmp_path / "project", values, tmp_path) == []


@pytest.mark.parametrize(
    ("file", "text", "instead"),
    [
        ("render-test.service", "Type=exec", "Type=exce"),
        ("render-test.service", "ProtectHome", "ProtectHouse"),
        ("render-test.service", "/.venv/bin/uvicorn", "/venv/bin/uvicorn"),
        ("render-test.service", "--workers 4", "--workers 5"),
        ("render-test.service", "TimeoutStopSec=30", "TimeoutStopSec=20"),
        ("render-test.service", "--timeout-graceful-shutdown 20", "--timeout-graceful-shutdown 10"),
        ("render-test.service", "--timeout-worker-healthcheck 30", "--timeout-worker-healthcheck 5"),
        ("render-test.service", "ExecReload=/bin/kill -HUP $MAINPID", ""),
        ("render-test.service", "%d/database_url", "%d/database_uri"),
        ("render-test.service", "DATABASE_URL_FILE", "DATABASE_URI_FILE"),
        ("render-test-migrate.service", "/etc/render-test/migration", "/etc/render/migration"),
        ("render-test-migrate.service", "LoadCredential=", "LoadCredentials="),
        ("nginx.conf", "8000 max_fails=0", "8000"),
        ("nginx.conf", "proxy_read_timeout 30s", "proxy_read_timeout 15s"),
        ("nginx.conf", "proxy_http_version 1.1;", "proxy_http_version 1.1"),
        ("nginx.conf", "http://render-test", "http://render"),
        ("nginx.conf", "127.0.0.1:8000", "127.0.0.1:8080"),
        ("deploy.sh", '"$revision"', "$revision"),
        ("deploy.sh", "set -eu", "set -eu; if"),
    ],
)
def test_a_planted_fault_is_found(file: str, text: str, instead: str, tmp_path: Path) -> None:
    answers = {"database": "postgresql", "deployment": "vm"}
    values = rendered(answers, tmp_path / "project")
    spoil(tmp_path / "project/deploy" / file, text, instead)
    try:
        found = faults(tmp_path / "project", values, tmp_path)
    except (KeyError, ValueError) as error:
        found = [repr(error)]
    assert found
