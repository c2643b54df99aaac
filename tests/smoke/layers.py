"""Which layers there are, and how a project of one is made: the only tie between these tests and the generator."""

from dataclasses import dataclass
from pathlib import Path

from poolwright.questions import combinations
from tests import rendering


@dataclass(frozen=True)
class Layer:
    """What a generated project puts between its routes and its database."""

    database: str
    style: str
    driver: str

    def __str__(self) -> str:
        return f"{self.database}-{self.style}-{self.driver}"


def all_layers() -> list[Layer]:
    """Each valid (database, style, driver) once."""
    keys = ("database", "style", "driver")
    return list(dict.fromkeys(Layer(*(str(x[key]) for key in keys)) for x in combinations()))


def render(layer: Layer, target: Path, **options: object) -> None:
    """Render a project with this layer, these options, and all else by default, into `target`."""
    answers = {"project_name": "smoke", "deployment": "vm", **vars(layer), **options}
    rendering.render(answers, target)
