"""What the template's scripts of roles grant, for the servers of the tests: they cannot have other privileges."""

import re
from pathlib import Path

import jinja2

from poolwright.questions import evaluate

TEMPLATE = Path(__file__).resolve().parents[2] / "template"
GRANT = re.compile(r"^GRANT (?P<privileges>.+) ON app\.\* TO '(?P<role>\w+)'@'%';$", re.MULTILINE)


def postgresql_script() -> str:
    """deploy/roles.sql of a project that has all else by default."""
    text = (TEMPLATE / "{{servers.postgresql}}" / "roles.sql.jinja").read_text(encoding="utf-8")
    evaluation = evaluate({"project_name": "tests", "database": "postgresql"})
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    return environment.from_string(text).render({**evaluation.values, **evaluation.answers})


def mysql_privileges() -> dict[str, str]:
    """The privileges of each user on the service's database."""
    text = (TEMPLATE / "{{servers.mysql}}" / "roles.sql.jinja").read_text(encoding="utf-8")
    return {found["role"]: found["privileges"] for found in GRANT.finditer(text)}
