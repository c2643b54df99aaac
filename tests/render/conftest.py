"""Every valid layer on every deployment, and every layer and every pooler with options; each rendered once."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from poolwright.questions import combinations
from poolwright.render import render_project

LAYER = ("database", "style", "driver")
PLAIN = {"pooler": "none", "read_replica": False, "cache": "none"}


def name_of(answers: dict[str, Any], *axes: str) -> str:
    return "-".join(str(answers[axis]) for axis in axes)


COMBINATIONS = {
    **{name_of(row, *LAYER, "deployment"): row for row in combinations() if row.items() >= PLAIN.items()},
    # The last of each name is rendered: the one with the most options.
    **{f"options-{name_of(row, *LAYER)}": row for row in combinations()},
    **{f"pooler-{name_of(row, 'database', 'deployment', 'pooler')}": row for row in combinations()},
}


class Projects(Mapping[str, Path]):
    """The directory of each combination's project, which is rendered when it is first asked for."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __getitem__(self, name: str) -> Path:
        project = self._root / name
        if not project.exists():
            render_project({**COMBINATIONS[name], "project_name": "render-test"}, project)
        return project

    def __iter__(self) -> Iterator[str]:
        return iter(COMBINATIONS)

    def __len__(self) -> int:
        return len(COMBINATIONS)


@pytest.fixture(scope="session")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Projects:
    return Projects(tmp_path_factory.mktemp("projects"))


@pytest.fixture(params=COMBINATIONS)
def combination(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def answers(combination: str) -> dict[str, Any]:
    return COMBINATIONS[combination]


@pytest.fixture
def project(combination: str, projects: Projects) -> Path:
    return projects[combination]
