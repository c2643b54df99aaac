"""Which layers there are, and how a project of one is made: the only tie between these tests and the generator."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from poolwright.questions import combinations
from poolwright.render import render_project


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


def one_of_each(axis: str, layers: Iterable[Layer]) -> list[Layer]:
    """One layer of each driver or of each database, with as many styles among them as there can be."""
    chosen: dict[str, Layer] = {}
    styles: Counter[str] = Counter()
    values = [(getattr(layer, axis), layer) for layer in layers]
    for value in dict.fromkeys(value for value, _ in values):
        chosen[value] = min((layer for other, layer in values if other == value), key=lambda layer: styles[layer.style])
        styles[chosen[value].style] += 1
    return list(chosen.values())


def render(layer: Layer, target: Path, **options: object) -> None:
    """Render a project with this layer, these options, and all else by default, into `target`."""
    answers = {"project_name": "smoke", "deployment": "vm", **vars(layer), **options}
    render_project(answers, target)
