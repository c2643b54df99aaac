"""Changes of the schema, made as a rendered project documents it."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import uv
from tests.servers import Database, Server
from tests.servers.base import migrator_url
from tests.service import environment, install, migrate
from tests.smoke.layers import Layer, all_layers, render

# What an owner adds to the models: a column after that of the stock, and a table that copies a column of the sample.
COLUMN = {
    "sqlalchemy": "    seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)",
    "tortoise": "    seen_at = fields.DatetimeField(null=True, db_index=True)",
}
TABLE = {
    "sqlalchemy": """

class TagRow(Base):
    __tablename__ = "tags"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(NAME, unique=True)
{moment}
""",
    "tortoise": """

class TagRow(Model):
    id = fields.UUIDField(primary_key=True)
    label = NameField(200, unique=True)
{moment}

    class Meta:
        table = "tags"
""",
}
NOTHING_LEFT = {
    "sqlalchemy": "alembic -c app/db/alembic.ini check",
    "tortoise": "python -m tortoise -c app.db.registry.CONFIG makemigrations | grep 'No changes'",
}


def run_all(project: Path, packages: Path, database_url: str, commands: list[str]) -> None:
    """Run shell commands, one after the other, in the project's development environment."""
    own = {"UV_PROJECT_ENVIRONMENT": packages / "development", "MYPY_CACHE_DIR": packages / "mypy"}
    done = subprocess.run(
        [uv(), "run", "--quiet", "--exact", "--python", sys.executable, "sh", "-exc", "\n".join(commands)],
        cwd=project,
        env=environment(database_url, own),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def each_layer(*styles: str) -> pytest.MarkDecorator:
    """Run a test with each layer of these styles, on the worker that has the layer's other tests.

    Tortoise's migrations know nothing of the driver: one layer for each database.
    """
    layers = [layer for layer in all_layers() if layer.style in styles and layer.database != "mongodb"]
    first = {(layer.database, layer.style): layer for layer in reversed(layers)}
    layers = [layer for layer in layers if layer.style != "tortoise" or layer is first[layer.database, layer.style]]
    marked = [pytest.param(layer, id=str(layer), marks=pytest.mark.xdist_group(str(layer))) for layer in layers]
    return pytest.mark.parametrize("layer_of_style", marked)


@each_layer("sqlalchemy", "tortoise")
def test_the_documented_command_writes_a_migration_that_runs_and_passes_the_checks(
    layer_of_style: Layer, packages: Path, started_databases: Callable[..., Database], tmp_path: Path
) -> None:
    project, style = tmp_path / "project", layer_of_style.style
    render(layer_of_style, project)
    server = started_databases(layer_of_style.database)
    url = migrator_url(server.url(server.create_database()))

    models = project / "app" / "db" / "models.py"
    source = models.read_text(encoding="utf-8")
    documented = re.findall(r"`((?:alembic|python|ruff) .*?)`", source)
    assert any(command in (project / "README.md").read_text(encoding="utf-8") for command in documented)
    moment = re.findall(r"^ +created_at\b.*$", source, re.MULTILINE)[0]
    stock = re.findall(r"^ +stock\b.*$", source, re.MULTILINE)[0]
    source = source.replace(stock, f"{stock}\n{COLUMN[style]}") + TABLE[style].format(moment=moment)
    models.write_text(source, encoding="utf-8")
    commands = ["python -m app.migrate", *documented, "python -m app.migrate", NOTHING_LEFT[style]]
    run_all(project, packages, url, [*commands, "ruff check", "ruff format --check"])
    [migration] = (project / "app" / "db" / "migrations").rglob("*_what_changed.py")
    assert "seen_at" in migration.read_text(encoding="utf-8")


TEXT = "INSERT INTO notes VALUES (2, '\n\n;% -- no comment');\n\n"  # an empty line, a semicolon and a percent sign
BODIES = {
    "postgresql": """
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $body$
        DECLARE
            words text := 'a;b';

        BEGIN
            INSERT INTO notes VALUES (1, words); -- it's a comment; with a semicolon

            RETURN NEW;
        END;
        $body$;
        CREATE TRIGGER note AFTER INSERT ON items FOR EACH ROW EXECUTE FUNCTION note();
    """,
    "mysql": """
        CREATE TRIGGER note AFTER INSERT ON items FOR EACH ROW
        BEGIN
            DECLARE words varchar(20) DEFAULT 'a;b';

            INSERT INTO notes VALUES (1, words); -- it's a comment; with a semicolon
        END;
    """,
    "sqlite": """
        CREATE TRIGGER note AFTER INSERT ON items
        BEGIN
            INSERT INTO notes VALUES (1, 'a;b'); -- it's a comment; with a semicolon

            UPDATE notes SET body = CASE WHEN id = 1 THEN body ELSE body END;
        END;
    """,
}
ID = {"postgresql": "00000000-0000-4000-8000-000000000001", "mysql": "0123456789abcdef", "sqlite": "1"}
# Fails where the trigger did not run, or a text arrived otherwise than it stands here.
PROOF = """/* ; */
INSERT INTO items VALUES ('{id}', 'x', 1, 1, '2026-01-01');
CREATE TABLE proof (found integer NOT NULL CHECK (found = 2));
INSERT INTO proof SELECT count(*) FROM notes WHERE id = 1 AND body = 'a;b' OR id = 2 AND body LIKE '%;\\%%' {escape}
"""


@each_layer("raw")
def test_a_file_of_a_raw_migration_is_read_as_the_server_reads_it(
    layer_of_style: Layer, packages: Path, started_databases: Callable[..., Database], tmp_path: Path
) -> None:
    project = tmp_path / "project"
    render(layer_of_style, project)
    install(project, packages / "plain")
    server = started_databases(layer_of_style.database)
    name = server.create_database()
    # MySQL's user of the other tests may make no triggers.
    url = (
        server.url_as("root", "", name)
        if layer_of_style.database == "mysql" and isinstance(server, Server)
        else server.url(name)
    )
    database = layer_of_style.database
    folder = project / "app" / "db" / "migrations"
    escape = "" if database == "mysql" else "ESCAPE '\\'"
    table = "CREATE TABLE notes (id integer, body varchar(40));\n\n"
    proof = PROOF.format(id=ID[database], escape=escape)
    (folder / "0002_bodies.sql").write_text(table + BODIES[database] + "\n\n" + TEXT + proof, encoding="utf-8")
    migrate(project, url)

    # What fails midway is told, and not recorded as done.
    failing = folder / "0003_fails.sql"
    failing.write_text("INSERT INTO notes VALUES (3, ''); INSERT INTO nowhere VALUES (1); SELECT 1", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="nowhere"):
            migrate(project, url)

    failing.unlink()
    (folder / "add_phone.sql").touch()
    with pytest.raises(
        RuntimeError, match=r"(?s)\A[^\n]*:\nmigrate: [^\n]*add_phone.sql: .* 0003_what_changed.sql\n\Z"
    ):
        migrate(project, url)
