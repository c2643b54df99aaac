"""The load test of a rendered project: a short one, on one layer, since nothing in it depends on the layer."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.processes import uv
from tests.servers import SQLite
from tests.service import Service, environment, migrate
from tests.smoke.layers import Layer, render

pytestmark = pytest.mark.xdist_group("sqlite-sqlalchemy-aiosqlite")


def test_the_load_test_shows_each_level_and_marks_where_the_pool_is_full(tmp_path: Path) -> None:
    project = tmp_path / "project"
    render(Layer("sqlite", "sqlalchemy", "aiosqlite"), project)
    sync = [uv(), "sync", "--quiet", "--no-dev", "--group", "load", "--python", sys.executable]
    subprocess.run(sync, cwd=project, check=True)
    database = SQLite()
    url = database.url("load.db")
    migrate(project, url)
    service = Service(project, url, POOL_SIZE=1, MAX_OVERFLOW=0)
    try:
        command = [str(project / ".venv" / "bin" / "locust"), "--config", "load/locust.conf"]
        command += ["--host", service.base_url, "--levels", "1,8", "--level-seconds", "4"]
        done = subprocess.run(
            command, cwd=project, env=environment(url, {}), capture_output=True, text=True, timeout=120
        )
    finally:
        service.stop()
        database.close()
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    levels = [line.split() for line in lines if line.split()[:1] in (["1"], ["8"])]
    assert [level[0] for level in levels] == ["1", "8"], done.stdout
    assert all(float(level[1]) > 0 for level in levels), done.stdout
    assert levels[1][5] == "1/1", done.stdout
    assert done.stdout.count("the pool is full from here") == 1
    assert ElementTree.parse(project / "load" / "result.svg").getroot().tag.endswith("svg")
