"""A project that gets another style or deployment becomes a fresh render of it; what is the owner's stays."""

from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from tests.products import neighbours, product
from tests.smoke.layers import all_layers
from tests.update.projects import HEAD, edit, edited, files, make, render
from tests.update.test_releases import updated

DATABASES = {
    layer.database: sorted({x.style for x in all_layers() if x.database == layer.database}) for layer in all_layers()
}
STYLES = product(
    [(database, *pair) for database, styles in DATABASES.items() for pair in permutations(styles, 2)],
    [(database, *pair) for database, styles in DATABASES.items() for pair in neighbours(styles)],
)
DEPLOYMENTS = ["vm", "compose", "kubernetes", "lambda", "cloudrun"]
DEPLOYMENT_PAIRS = product(list(permutations(DEPLOYMENTS, 2)), neighbours(DEPLOYMENTS))


def check(before: dict[str, Any], changes: dict[str, Any], tmp_path: Path) -> None:
    project, fresh = tmp_path / "project", tmp_path / "fresh"
    stored = make(HEAD, before, project, tmp_path)
    edit(project)
    assert updated(project, changes) == ([], [])
    rendered = render(HEAD, {**stored, **changes}, fresh, tmp_path)
    assert rendered.items() >= changes.items()
    assert files(project) == edited(files(fresh))


@pytest.mark.parametrize(("database", "style", "other"), STYLES)
def test_styles(database: str, style: str, other: str, tmp_path: Path) -> None:
    check({"database": database, "style": style}, {"style": other}, tmp_path)


@pytest.mark.parametrize(("deployment", "other"), DEPLOYMENT_PAIRS)
def test_deployments(deployment: str, other: str, tmp_path: Path) -> None:
    check({"deployment": deployment, "instances": 2}, {"deployment": other}, tmp_path)


@pytest.mark.parametrize(
    ("before", "changes"),
    [
        ({"style": "raw"}, {"driver": "psycopg"}),
        ({"cache": "redis", "read_replica": True}, {"cache": "none", "read_replica": False, "pooler": "pgbouncer"}),
        ({"database": "postgresql", "pooler": "pgbouncer", "read_replica": True}, {"database": "sqlite"}),
        ({"database": "sqlite"}, {"database": "mongodb"}),
        ({"database": "mongodb", "style": "beanie"}, {"database": "mysql"}),
    ],
)
def test_other_answers(before: dict[str, Any], changes: dict[str, Any], tmp_path: Path) -> None:
    check(before, changes, tmp_path)
