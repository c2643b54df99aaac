"""DATABASE_URL as providers hand it out: what each driver is told, and what is refused, in one line, at start."""

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.service import environment
from tests.smoke.layers import Layer
from tests.smoke.url_table import ASYNCPG, PARAMETERS, PROVIDERS, PSYCOPG, REFUSED

# Settings in, one object a line out: what the reader says, and what the driver would be called with.
READ = """
import contextlib, importlib, io, json, ssl, sys
from dataclasses import asdict
from app.settings import read_settings

def plain(value):
    if isinstance(value, ssl.SSLContext):
        verified = value.verify_mode == ssl.CERT_REQUIRED
        return "name" if verified and value.check_hostname else "authority" if verified else "anybody"
    return str(value)

def options(settings):
    for module, name in (("options", "connection_options"), ("connecting", "connection_options"),
                         ("connection", "client_options")):
        with contextlib.suppress(ImportError, AttributeError):
            return getattr(importlib.import_module(f"app.db.{module}"), name)(settings, time_limits=True)
    return {}

for given in json.load(sys.stdin):
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            settings = read_settings(**given)
        found = {**asdict(settings.database), "options": options(settings), "repr": repr(settings.database)}
    except SystemExit as error:
        found = {"said": said.getvalue(), "code": error.code}
    print(json.dumps(found, default=plain))
"""

Reader = Callable[[list[dict[str, str]]], list[dict[str, Any]]]


@pytest.fixture(scope="session")
def read(project: Path) -> Reader:
    def run(settings: list[dict[str, str]]) -> list[dict[str, Any]]:
        done = subprocess.run(
            [project / ".venv" / "bin" / "python", "-c", READ],
            cwd=project,
            env=environment("", {}),
            input=json.dumps(settings),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


def differing(found: Mapping[str, Any], expected: Mapping[str, Any]) -> dict[str, Any]:
    return {name: found.get(name) for name, value in expected.items() if found.get(name) != value}


@pytest.mark.each_driver
def test_each_provider_s_url_is_read_as_the_provider_means_it(layer: Layer, read: Reader) -> None:
    cases = [*PROVIDERS[layer.database], *PARAMETERS[layer.database]]
    found = read([{"database_url": case.url} for case in cases])
    wrong = {
        case.url: answer.get("said") or differing(answer, case.read)
        for case, answer in zip(cases, found, strict=True)
        if "said" in answer or differing(answer, case.read)
    }
    assert wrong == {}
    assert all("xyzzy" not in answer["repr"] for answer in found)


@pytest.mark.each_driver
@pytest.mark.databases("postgresql")
def test_each_postgresql_driver_is_told_what_the_url_says(layer: Layer, read: Reader) -> None:
    cases = {"asyncpg": ASYNCPG, "psycopg": PSYCOPG}[layer.driver]
    found = read([{"database_url": case.url} for case in cases])
    told = {case.url: differing(answer["options"], case.read) for case, answer in zip(cases, found, strict=True)}
    assert {url: wrong for url, wrong in told.items() if wrong} == {}


@pytest.mark.each_driver
def test_what_is_not_known_is_refused_in_one_line_that_names_it(layer: Layer, read: Reader) -> None:
    cases = REFUSED[layer.database]
    found = read([{"database_url": case.url} for case in cases])
    for case, answer in zip(cases, found, strict=True):
        assert answer.get("code") == 3, (case.url, answer)
        said: str = answer["said"]
        assert said.startswith("settings: DATABASE_URL "), (case.url, said)
        assert said.count("\n") == 1, said
        assert case.read["said"] in said, (case.url, said)
        assert not re.search("xy|zzy", said), said
