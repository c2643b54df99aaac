"""Where the template lies (in a checkout or in the installed package) and what its copier.yml says."""

from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

#: What a render reads, relative to the template's root.
SOURCES = ("copier.yml", "template", "generator/poolwright/catalog.yml", "generator/poolwright/rules.jinja")
#: Names of what tools leave in a checkout, which belongs to no template.
CACHES = ("__pycache__", "*.pyc", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".venv")

_PACKAGE = Path(__file__).resolve().parent
_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster where libyaml is


@dataclass(frozen=True)
class Distribution:
    """The version of this tool, and the canonical URL of its repository."""

    version: str
    repository: str


def parse_yaml(text: str) -> Any:
    """The value of a YAML text; yaml.YAMLError where it is none."""
    return yaml.load(text, _Loader)


@cache
def root() -> Path:
    """The folder that holds copier.yml and template/."""
    packaged = _PACKAGE / "_template"
    return packaged if packaged.is_dir() else _PACKAGE.parents[1]


def configuration(template: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The settings of a template's copier.yml, without their leading underscore, and its questions in order."""
    document = parse_yaml((template / "copier.yml").read_text(encoding="utf-8"))
    settings = {key[1:]: value for key, value in document.items() if key.startswith("_")}
    questions = {
        key: value if isinstance(value, dict) else {"default": value}
        for key, value in document.items()
        if not key.startswith("_")
    }
    return settings, questions


@cache
def distribution() -> Distribution:
    """What pyproject.toml says: read from it in a checkout, else from the installed package."""
    pyproject = root() / "pyproject.toml"
    if pyproject.is_file():
        import tomllib

        project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
        return Distribution(project["version"], project["urls"]["Repository"])
    installed = metadata.metadata("poolwright")
    urls = dict(entry.split(", ", 1) for entry in installed.get_all("Project-URL") or [])
    return Distribution(installed["Version"], urls["Repository"])
