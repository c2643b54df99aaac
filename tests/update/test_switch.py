"""A project that gets another style or deployment becomes a fresh render of it; what is the owner's stays."""

from itertools import cycle, permutations
from pathlib import Path
from typing import Any

import pytest

from poolwright.questions import combinations
from tests.products import neighbours, product
from tests.smoke.layers import all_layers
from tests.update.projects import HEAD, edit, edited, files, make, render
from tests.update.test_releases import updated

DATABASES = {
    layer.database: sorted({x.style for x in all_layers() if x.database == layer.database}) for layer in all_layers()
}
DEPLOYMENTS = {
    database: tuple(sorted({x["deployment"] for x in combinations() if x["database"] == database}))
    for database in DATABASES
}
TURNS = {deployments: cycle(neighbours(deployments)) for deployments in set(DEPLOYMENTS.values())}
# Each style is left once and entered once on each database, on the way from one deployment to the next.
COVER = [
    (database, *styles, *next(TURNS[DEPLOYMENTS[database]]))
    for database, names in DATABASES.items()
    for styles in neighbours(names)
]
WHOLE = [
    (database, *styles, "vm", "vm") for database, names in DATABASES.items() for styles in permutations(names, 2)
] + [("postgresql", "raw", "raw", *pair) for pair in permutations(DEPLOYMENTS["postgresql"], 2)]


def check(before: dict[str, Any], changes: dict[str, Any], tmp_path: Path) -> None:
    project, fresh = tmp_path / "project", tmp_path / "fresh"
    stored = make(HEAD, before, project, tmp_path)
    edit(project)
    assert updated(project, changes) == ([], [])
    rendered = render(HEAD, {**stored, **changes}, fresh, tmp_path)
    assert rendered.items() >= changes.items()
    assert files(project) == edited(files(fresh))


@pytest.mark.parametrize(("database", "style", "other", "deployment", "next_one"), product([*COVER, *WHOLE], COVER))
def test_styles_and_deployments(
    database: str, style: str, other: str, deployment: str, next_one: str, tmp_path: Path
) -> None:
    one_instance = {} if database == "sqlite" else {"instances": 2}
    before = {"database": database, "style": style, "deployment": deployment, **one_instance}
    check(before, {"style": other, "deployment": next_one}, tmp_path)


@pytest.mark.parametrize(
    ("before", "changes"),
    [
        ({"style": "raw"}, {"driver": "psycopg"}),
        ({"cache": "redis", "read_replica": True}, {"cache": "none", "read_replica": False, "pooler": "pgbouncer"}),
        ({"database": "postgresql", "pooler": "pgbouncer", "read_replica": True}, {"database": "sqlite"}),
        ({"pooler": "pgbouncer"}, {"pooler": "managed", "pooler_mode": "session", "pooler_pool_size": 60}),
        ({"pooler": "managed", "pooler_max_clients": 90, "deployment": "kubernetes"}, {"pooler": "none"}),
        ({"database": "sqlite"}, {"database": "mongodb"}),
        ({"database": "mongodb", "style": "beanie"}, {"database": "mysql"}),
    ],
)
def test_other_answers(before: dict[str, Any], changes: dict[str, Any], tmp_path: Path) -> None:
    check(before, changes, tmp_path)
