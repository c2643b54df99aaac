"""Rendered projects for tests of what is in them; tests of rendering itself call `poolwright.render`.

copier compiles its templates and parses the YAML of copier.yml anew for each project: two thirds of the time of a
render. Here both are kept for the next one.
"""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import copier._user_data
import jinja2
import pytest

from poolwright.render import render_project

_compile = jinja2.Environment.compile
_compiled: dict[tuple[object, ...], Any] = {}
_parse = copier._user_data.parse_yaml_string
_parsed = cache(_parse)


def render(answers: Mapping[str, Any], target: Path) -> None:
    """As `render_project`, and quicker."""
    with quick_copier():
        render_project(answers, target)


@contextmanager
def quick_copier() -> Iterator[None]:
    """While entered, copier keeps what it compiles and parses."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jinja2.Environment, "compile", _compile_once)
        patch.setattr(copier._user_data, "parse_yaml_string", _parse_once)
        patch.setitem(copier._user_data.CAST_STR_TO_NATIVE, "yaml", _parse_once)
        yield


def _compile_once(environment: jinja2.Environment, source: Any, name: str | None = None, *others: Any) -> Any:
    """others: the name of the file for tracebacks, first of all; the source is read anew each time."""
    # Environments with the same syntax share a lexer.
    key = (type(environment), environment.lexer, *environment.extensions, source, name, *others[1:])
    if key not in _compiled:
        _compiled[key] = _compile(environment, source, name, *others)
    return _compiled[key]


def _parse_once(text: Any) -> Any:
    return copy.deepcopy(_parsed(text)) if isinstance(text, str) else _parse(text)
