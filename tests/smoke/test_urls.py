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
from tests.smoke.url_table import ASYNCPG, PARAMETERS, PROVIDERS, PSYCOPG, REFUSED, Case

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

Answers = dict[str, dict[str, Any]]  # by URL
DRIVERS = {"asyncpg": ASYNCPG, "psycopg": PSYCOPG}


@pytest.fixture(scope="session")
def answers(layer: Layer, project: Path) -> Answers:
    """What the layer makes of each URL of its database, asked at once."""
    tables = (PROVIDERS, PARAMETERS, REFUSED)
    cases = [case for table in tables for case in table[layer.database]] + DRIVERS.get(layer.driver, [])
    urls = list(dict.fromkeys(case.url for case in cases))
    done = subprocess.run(
        [project / ".venv" / "bin" / "python", "-c", READ],
        cwd=project,
        env=environment("", {}),
        input=json.dumps([{"database_url": url} for url in urls]),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(urls, map(json.loads, done.stdout.splitlines()), strict=True))


def differences(cases: list[Case], found: Callable[[str], Mapping[str, Any]]) -> dict[str, object]:
    """What is not as expected, by URL."""
    wrong: dict[str, object] = {}
    for case in cases:
        answer = found(case.url)
        if differing := {name: answer.get(name) for name, value in case.read.items() if answer.get(name) != value}:
            wrong[case.url] = answer.get("said", differing)
    return wrong


@pytest.mark.each_driver
def test_each_provider_s_url_is_read_as_the_provider_means_it(layer: Layer, answers: Answers) -> None:
    cases = [*PROVIDERS[layer.database], *PARAMETERS[layer.database]]
    assert differences(cases, answers.__getitem__) == {}
    assert all("xyzzy" not in answers[case.url]["repr"] for case in cases)


@pytest.mark.each_driver
@pytest.mark.databases("postgresql")
def test_each_postgresql_driver_is_told_what_the_url_says(layer: Layer, answers: Answers) -> None:
    assert differences(DRIVERS[layer.driver], lambda url: answers[url].get("options", answers[url])) == {}


@pytest.mark.each_driver
def test_what_is_not_known_is_refused_in_one_line_that_names_it(layer: Layer, answers: Answers) -> None:
    for case in REFUSED[layer.database]:
        answer = answers[case.url]
        assert answer.get("code") == 3, (case.url, answer)
        said: str = answer["said"]
        assert said.startswith("settings: DATABASE_URL "), (case.url, said)
        assert said.count("\n") == 1, said
        assert case.read["said"] in said, (case.url, said)
        assert not re.search("xy|zzy", said), said
