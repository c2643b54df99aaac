"""copier, quicker: what it fetches, asks, compiles and parses is kept as long as the process lives.

An update renders the project three times. Each render fetches the template and checks it out, compiles every template,
path and default, parses the catalog anew, and asks git for each file whether the project's index has modes of its own.
`python -m poolwright.quick_copier ARGUMENT...` is `copier ARGUMENT...`.
"""

import runpy
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import jinja2
import yaml
from copier import _main as main
from copier import _template as template
from copier import _user_data as user_data
from copier import _vcs as vcs
from plumbum import ProcessExecutionError

_compiled: dict[tuple[object, ...], Any] = {}
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # of libyaml, where PyYAML was built with it


@contextmanager
def quickened() -> Iterator[None]:
    """While entered, copier fetches and checks out, compiles and parses each thing once in this process.

    What it checked out stays in the folder for temporary files.
    """
    with ExitStack() as stack:
        for owner, name, quick in SHORTCUTS:
            if slow := getattr(owner, name, None):  # another version of copier may have none, and is slower
                stack.callback(setattr, owner, name, slow)
                setattr(owner, name, quick(slow))
        native: Any = user_data.CAST_STR_TO_NATIVE
        stack.callback(native.update, {"yaml": native["yaml"]})
        native["yaml"] = _parse_once
        yield


def _clone_once(clone: Callable[[str, str, str], str]) -> Callable[..., str]:
    @cache
    def checked_out(url: str, ref: str) -> str:
        return clone(url, ref, mkdtemp(prefix=vcs.CLONE_PREFIX))

    def cloned(url: str, ref: str = "HEAD", location: str | None = None) -> str:
        """location: what copier would have it in, and removes each time."""
        return checked_out(url, ref)

    return cloned


def _sync_where_needed(sync: Callable[[Any, Path, int], None]) -> Callable[[Any, Path, int], None]:
    @cache
    def needed(project: Path) -> bool:
        try:
            setting: str = vcs.get_git(project)("config", "--type=bool", "--get", "core.fileMode")
        except ProcessExecutionError:  # it is no repository, or has no such setting
            return False
        return setting.strip() == "false"

    def synced(worker: Any, path: Path, mode: int) -> None:
        if needed(worker.subproject.local_abspath):
            sync(worker, path, mode)

    return synced


def _compile_once(compile_: Callable[..., Any]) -> Callable[..., Any]:
    def compiled(environment: jinja2.Environment, source: Any, name: str | None = None, *others: Any) -> Any:
        """others: the name of the file for tracebacks, first of all; the source is read anew each time."""
        # Environments with the same syntax share a lexer.
        key = (type(environment), environment.lexer, *environment.extensions, source, name, *others[1:])
        if key not in _compiled:
            _compiled[key] = compile_(environment, source, name, *others)
        return _compiled[key]

    return compiled


def _parse_once(text: str) -> Any:
    return deepcopy(_parsed(text))  # what is not a text raises TypeError in `cache`, as it does in copier


@cache
def _parsed(text: str) -> Any:
    try:
        return yaml.load(text, _LOADER)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error  # as copier has it


SHORTCUTS: list[tuple[Any, str, Callable[[Any], Any]]] = [
    (vcs, "_get_or_create_mirror", cache),
    (template, "clone", _clone_once),
    (main.Worker, "_sync_git_index_executable_bit", _sync_where_needed),
    (jinja2.Environment, "compile", _compile_once),
    (user_data, "parse_yaml_string", lambda _: _parse_once),
]


if __name__ == "__main__":
    with quickened():
        runpy.run_module("copier", run_name="__main__", alter_sys=True)
