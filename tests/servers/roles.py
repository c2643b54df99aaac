"""What the template's scripts of roles grant, for the servers of the tests: they cannot have other privileges."""

import importlib.util
import re
from functools import cache
from pathlib import Path
from types import ModuleType

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


def mongodb_row_actions() -> list[str]:
    """What the service may do in its database."""
    actions: list[str] = _mongodb_script().ROWS
    return actions


def mongodb_migrator_roles() -> list[str]:
    """The roles of who migrates, in the service's database."""
    roles: list[str] = _mongodb_script().USERS["app_migrator"]
    return roles


@cache
def _mongodb_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mongodb_roles", TEMPLATE / "{{servers.mongodb}}" / "roles.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script
