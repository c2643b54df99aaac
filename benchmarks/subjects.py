"""The apps that are compared: rendered projects, and minimal apps that run in a rendered project's environment."""

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.load import store_items
from tests.processes import uv
from tests.servers import Database
from tests.servers.base import owner_url
from tests.service import Service, migrate
from tests.smoke.layers import Layer, render

MINIMAL = Path(__file__).with_name("minimal")
ITEMS = 60  # more than a page
POOL_SIZE = 8
PACKAGES = """
import json, platform
from importlib.metadata import distributions
print(json.dumps({"python": platform.python_version(), **{d.name.lower(): d.version for d in distributions()}}))
"""


@dataclass
class Subject:
    """An app and what it runs in; `minimal` names a module of benchmarks/minimal instead of the project's own app."""

    name: str
    project: Path
    driver: str
    minimal: str = ""
    item: str = field(init=False, default="")

    def start(self, server: Database, *, pool_size: int = POOL_SIZE, port: int | None = None) -> Service:
        """The app with a database of its own, with a few items in it. `port`: of a proxy to the server."""
        name = server.create_database()
        if not self.minimal:
            migrate(self.project, server.url(name))
        through = {} if port is None else {"port": port}
        url = server.url(name, **through)
        if self.minimal:  # it makes its tables itself
            url = owner_url(url)
        settings: dict[str, object] = {"POOL_SIZE": pool_size, "MAX_OVERFLOW": 0}
        if self.minimal:
            settings |= {"DRIVER": self.driver, "PYTHONPATH": MINIMAL}
        app = f"{self.minimal}:app" if self.minimal else "app.main:app"
        service = Service(self.project, url, app=app, **settings)  # type: ignore[arg-type]
        self.item = asyncio.run(store_items(service.port, ITEMS))
        return service


def make_project(layer: Layer, directory: Path) -> Path:
    """A rendered project with what it needs at run time."""
    project = directory / str(layer)
    if not project.exists():
        render(layer, project)
        sync = [uv(), "sync", "--quiet", "--no-dev", "--python", sys.executable]
        subprocess.run(sync, cwd=project, check=True)
    return project


def versions(project: Path) -> dict[str, str]:
    """The versions of Python and of all packages that are installed in a project's environment."""
    python = project / ".venv" / "bin" / "python"
    output = subprocess.run([python, "-c", PACKAGES], capture_output=True, text=True, check=True).stdout
    found: dict[str, str] = json.loads(output)
    return found
