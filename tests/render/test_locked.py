"""Whatever installs or packs a rendered project takes the versions of its uv.lock, and fails without one."""

import re
from pathlib import Path

import pytest
import yaml

from poolwright.render import render_project

USERS = {".github/workflows/ci.yml": 5, "Dockerfile": 1}


@pytest.mark.parametrize(
    ("deployment", "others"),
    [("vm", {"deploy/deploy.sh": 1, "deploy/README.md": 1}), ("lambda", {"deploy/package.sh": 1})],
)
def test_every_step_after_the_first_uses_the_lock_file(deployment: str, others: dict[str, int], tmp_path: Path) -> None:
    render_project({"project_name": "shop", "deployment": deployment}, tmp_path / "shop")
    for name, count in (USERS | others).items():
        text = (tmp_path / "shop" / name).read_text(encoding="utf-8")
        commands = re.findall(r"\buv (?:sync|export|run)\b(?! --quiet --no-project| python| \S*-c).*", text)
        assert len(commands) == count, (name, commands)
        assert all("--locked" in command for command in commands), (name, commands)


def test_what_is_archived_or_deprecated_is_said_to_be_and_comes_last() -> None:
    catalog = yaml.safe_load(
        (Path(__file__).resolve().parents[2] / "generator/poolwright/catalog.yml").read_text(encoding="utf-8")
    )
    assert list(catalog["styles"])[-1] == "databases"
    assert "archived since 2025-08-19" in catalog["styles"]["databases"]["note"]
    assert list(catalog["drivers"])[-1] == "motor"
    assert "deprecated" in catalog["drivers"]["motor"]["note"]
