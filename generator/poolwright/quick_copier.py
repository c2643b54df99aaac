"""copier at half of its cost: what it compiles and parses is kept as long as the process lives.

An update renders the project three times, and each render compiles every template, path and default and parses the
catalog anew. `python -m poolwright.quick_copier ARGUMENT...` is `copier ARGUMENT...`.
"""

import runpy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from functools import cache
from typing import Any

import jinja2
import yaml
from copier import _user_data as user_data

_compile = jinja2.Environment.compile
_compiled: dict[tuple[object, ...], Any] = {}
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # of libyaml, where PyYAML was built with it


@contextmanager
def quickened() -> Iterator[None]:
    """While entered, copier compiles and parses each text once in this process."""
    with ExitStack() as stack:
        native: Any = user_data.CAST_STR_TO_NATIVE
        stack.callback(native.update, {"yaml": native["yaml"]})
        native["yaml"] = _parse_once
        for owner, name, quick in (
            (jinja2.Environment, "compile", _compile_once),
            (user_data, "parse_yaml_string", _parse_once),
        ):
            stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, quick)
        yield


def _compile_once(environment: jinja2.Environment, source: Any, name: str | None = None, *others: Any) -> Any:
    """others: the name of the file for tracebacks, first of all; the source is read anew each time."""
    # Environments with the same syntax share a lexer.
    key = (type(environment), environment.lexer, *environment.extensions, source, name, *others[1:])
    if key not in _compiled:
        _compiled[key] = _compile(environment, source, name, *others)
    return _compiled[key]


def _parse_once(text: str) -> Any:
    return deepcopy(_parsed(text))  # what is not a text raises TypeError in `cache`, as it does in copier


@cache
def _parsed(text: str) -> Any:
    try:
        return yaml.load(text, _LOADER)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error  # as copier has it


if __name__ == "__main__":
    with quickened():
        runpy.run_module("copier", run_name="__main__", alter_sys=True)
