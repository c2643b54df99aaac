"""A project behind a pooler that is there: an app as behind PgBouncer, and nothing of a pooler to deploy."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from poolwright import catalog, questions
from tests.render.artifacts import readme
from tests.render.conftest import COMBINATIONS

pytestmark = pytest.mark.xdist_group("render")

MANAGED = [name for name in COMBINATIONS if name.startswith("pooler-") and name.endswith("-managed")]


def texts(project: Path, folder: str) -> dict[str, str]:
    """What the files of a folder hold, by their names."""
    found = [path for path in sorted((project / folder).rglob("*")) if path.is_file()]
    return {str(path.relative_to(project)): path.read_text(encoding="utf-8") for path in found}


def beside(name: str, pooler: str) -> str:
    """The combination that differs in the pooler."""
    return f"{name.removesuffix('managed')}{pooler}"


def test_it_is_rendered_for_every_deployment_but_compose() -> None:
    row = questions.defaults().values["catalog"]["deployments"]
    built = {target for target, facts in row.items() if facts["built"]} - {"compose"}
    assert {COMBINATIONS[name]["deployment"] for name in MANAGED} == built


@pytest.mark.parametrize("name", MANAGED)
def test_the_app_is_that_behind_pgbouncer_but_for_its_plan(name: str, projects: Mapping[str, Path]) -> None:
    managed, pgbouncer = (texts(projects[other], "app") for other in (name, beside(name, "pgbouncer")))
    plan, other_plan = managed.pop("app/plan.py"), pgbouncer.pop("app/plan.py")
    assert managed == pgbouncer
    assert "\nTRANSACTION_POOLING = True\n" in plan
    assert re.findall(r"^[A-Z_]+ = ", plan, re.MULTILINE) == re.findall(r"^[A-Z_]+ = ", other_plan, re.MULTILINE)


@pytest.mark.parametrize("name", MANAGED)
def test_nothing_is_deployed_that_is_not_without_a_pooler(name: str, projects: Mapping[str, Path]) -> None:
    managed, alone = (texts(projects[other], "deploy") for other in (name, beside(name, "none")))
    assert list(managed) == list(alone)
    for file in managed.keys() - {"deploy/README.md"}:
        lines, known = (set(re.sub(r"\d+", "0", text).splitlines()) for text in (managed[file], alone[file]))
        assert lines - known == set(), file


@pytest.mark.parametrize("name", MANAGED)
def test_the_readmes_say_which_url_names_what(name: str, projects: Mapping[str, Path]) -> None:
    text = (projects[name] / "README.md").read_text(encoding="utf-8")
    section = text.split("## Behind the managed pooler\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\w+_URL) \| (.*?)[;:,]", section, re.MULTILINE)
    assert dict(rows) == {
        "DATABASE_URL": "the pooled endpoint",
        "MIGRATION_DATABASE_URL": "the server itself",
        "REPLICA_DATABASE_URL": "a pooled endpoint of the replica's",
    }
    assert "200 clients, 15 connections to the server, transaction mode" in section
    assert "`deploy/roles.sql` runs at the direct endpoint, too" in section
    assert "one user's on one database" in section
    deploying = readme(projects[name])
    urls = re.findall(r"postgresql://(\w+):PASSWORD@([A-Z]+)", deploying)
    assert urls in ([], [("app", "POOLER"), ("app_migrator", "HOST")])
    assert urls or "names the pooler's host and port; that for migrations names the server's own." in deploying


def test_the_readme_says_what_session_mode_is() -> None:
    root = catalog.root()
    text = (root / "template/README.md.jinja").read_text(encoding="utf-8")
    given = {"pooler": "managed", "pooler_mode": "session", "pooler_pool_size": 60, "instances": 2}
    rendered = questions.rendered(text, questions.evaluate(given), root)
    assert "It lends each client a connection of the server's for as long as it is connected." in rendered
    # min(200, 60) - 0 - 10 - 2 = 48; 48 // 10 = 4 each
    assert "It may open 40 connections to the server." in rendered
    assert "200 clients, 60 connections to the server, session mode" in rendered
