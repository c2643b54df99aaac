"""Which imports of a project's Python files lead nowhere after a change of its files."""

import ast
from collections.abc import Iterator, Mapping
from typing import NamedTuple


class _Import(NamedTuple):
    """A module that a file imports, or a name of it."""

    module: str
    name: str | None = None

    def __str__(self) -> str:
        return self.module if self.name is None else f"{self.module}.{self.name}"


class _Modules:
    """The modules of a project, given as its files: their texts by path."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._texts = {_module(path): text for path, text in files.items()}
        self._packages = {parent for name in self._texts for parent in _parents(name)}
        self._names: dict[str, set[str] | None] = {}

    def __contains__(self, module: str) -> bool:
        return module in self._texts or module in self._packages

    def have(self, wanted: _Import) -> bool:
        """Whether the import leads somewhere, as far as the texts tell."""
        if str(wanted) in self:
            return True
        if wanted.name is None or wanted.module not in self._texts:
            return False
        if wanted.module not in self._names:
            self._names[wanted.module] = _defined(self._texts[wanted.module])
        names = self._names[wanted.module]
        return names is None or wanted.name in names


def gone(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, list[str]]:
    """What each file imports of the project that was there before and is not after, both given as texts by path.

    Files that cannot be parsed, such as those with conflict markers, are left out.
    """
    old, new = _Modules(before), _Modules(after)
    found = {path: sorted({str(one) for one in _imports(path, text, new, old)}) for path, text in after.items()}
    return {path: names for path, names in sorted(found.items()) if names}


def _imports(path: str, text: str, new: _Modules, old: _Modules) -> Iterator[_Import]:
    """What a file takes from modules that `old` has and `new` has not."""
    tree = _parsed(text)
    if tree is None:
        return
    package = _module(path) if path.endswith("__init__.py") else _module(path).rpartition(".")[0]
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        for wanted, alias in _wanted(node, package):
            if old.have(wanted) and not new.have(wanted):
                yield wanted
            if str(wanted) in old and str(wanted) in new:
                aliases[alias] = str(wanted)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in aliases:
            wanted = _Import(aliases[node.value.id], node.attr)
            if old.have(wanted) and not new.have(wanted):
                yield wanted


def _wanted(node: ast.AST, package: str) -> Iterator[tuple[_Import, str]]:
    """What an import statement imports, and the names by which the file knows it."""
    if isinstance(node, ast.Import):
        for name in node.names:
            yield _Import(name.name), name.asname or name.name
    elif isinstance(node, ast.ImportFrom):
        above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        module = ".".join([*above, *([node.module] if node.module else [])])
        for name in node.names:
            yield _Import(module, None if name.name == "*" else name.name), name.asname or name.name


def _defined(text: str) -> set[str] | None:
    """The names that a module has once it is imported; None where that cannot be told."""
    tree = _parsed(text)
    if tree is None:
        return None
    found: set[str] = set()
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        waiting += ast.iter_child_nodes(node)
    return None if found & {"*", "__getattr__"} else found


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None


def _module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _parents(module: str) -> Iterator[str]:
    while module := module.rpartition(".")[0]:
        yield module
