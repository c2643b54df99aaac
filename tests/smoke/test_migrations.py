"""Changes of the schema, made as a rendered project documents it."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import uv
from tests.servers import Database
from tests.service import environment
from tests.smoke.layers import Layer, all_layers, render

SQLALCHEMY = [layer for layer in all_layers() if layer.style == "sqlalchemy"]
TABLE = """

class TagRow(Base):
    __tablename__ = "tags"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(NAME, unique=True)
{moment}
"""


def run_all(project: Path, packages: Path, database_url: str, commands: list[str]) -> None:
    """Run shell commands, one after the other, in the project's development environment."""
    own = {"UV_PROJECT_ENVIRONMENT": packages / "development", "MYPY_CACHE_DIR": packages / "mypy"}
    done = subprocess.run(
        [uv(), "run", "--quiet", "--exact", "--python", sys.executable, "sh", "-exc", "\n".join(commands)],
        cwd=project,
        env=environment(database_url, own),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "layer_of_style",
    [pytest.param(layer, id=str(layer), marks=pytest.mark.xdist_group(str(layer))) for layer in SQLALCHEMY],
)
def test_the_documented_command_writes_a_migration_that_runs_and_passes_the_checks(
    layer_of_style: Layer, packages: Path, started_databases: Callable[..., Database], tmp_path: Path
) -> None:
    project = tmp_path / "project"
    render(layer_of_style, project)
    server = started_databases(layer_of_style.database)
    url = server.url(server.create_database())

    models = project / "app" / "db" / "models.py"
    source = models.read_text(encoding="utf-8")
    documented = re.findall(r"`(?:uv run )?(alembic .*)`", source)
    assert len(documented) == 1
    # A table that copies the sample's created_at, a column, and an index.
    [moment] = re.findall(r"^ +created_at: .*(?<!index=True\))$", source, re.MULTILINE)
    stock = re.findall(r"^ +stock: .*$", source, re.MULTILINE)[0]
    source = source.replace(
        stock, f"{stock}\n    seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)"
    )
    models.write_text(source + TABLE.format(moment=moment), encoding="utf-8")
    commands = [*documented, "python -m app.migrate", "alembic -c app/db/alembic.ini check"]
    run_all(project, packages, url, [*commands, "ruff check", "ruff format --check", "mypy"])
    [migration] = (project / "app/db/migrations/versions").glob("*_what_changed.py")
    assert "seen_at" in migration.read_text(encoding="utf-8")
