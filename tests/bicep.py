"""Bicep files as plain data: read by tree-sitter's grammar, and evaluated as far as our templates go.

Not Bicep's compiler, which was found in no package of PyPI, npm or Debian: the grammar says what is Bicep's syntax,
and this refuses what it does not know. A value that only Azure can tell stays as its expression:
{"$": "identity.id"}, or "${identity.id}" within a text.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

PARSER = Parser(Language(tree_sitter_bicep.language()))
TYPES: dict[str, type] = {"string": str, "bool": bool, "int": int}
DECORATORS = {"description"}
FUNCTIONS = {"resourceGroup"}  # whose result only Azure can tell


class BicepError(Exception):
    """What is wrong with a file, and in which line."""

    def __init__(self, node: Node, what: str) -> None:
        super().__init__(f"line {node.start_point[0] + 1}: {what}")


@dataclass(frozen=True)
class Resource:
    """kind: as Microsoft.App/jobs; existing: made elsewhere; serving: whether its condition holds."""

    kind: str
    version: str
    existing: bool
    serving: bool
    body: dict[str, Any]


def read(path: Path, **parameters: Any) -> dict[str, Resource]:
    """The resources by symbolic name, for these parameters; BicepError where the file is wrong."""
    return _Template(path.read_bytes(), parameters).resources()


class _Template:
    def __init__(self, source: bytes, given: Mapping[str, Any]) -> None:
        self._declared: dict[str, Node] = {}
        self._given = given
        self._used: set[str] = set()
        root = PARSER.parse(source).root_node
        for node in _broken(root):
            raise BicepError(node, f"no Bicep: {_text(node).splitlines()[0] if _text(node) else node.type}")
        decorators: list[Node] = []
        for node in root.named_children:
            if node.type == "decorators":
                decorators.append(node)
            elif node.type != "comment":
                self._declare(node, decorators)
                decorators = []

    def _declare(self, node: Node, decorators: list[Node]) -> None:
        if node.type not in ("parameter_declaration", "variable_declaration", "resource_declaration"):
            raise BicepError(node, f"a {node.type.replace('_', ' ')} is not read")
        for decorator in (part for group in decorators for part in group.named_children):
            call = decorator.named_children[0]
            if _text(call.named_children[0]) not in DECORATORS:
                raise BicepError(decorator, f"no decorator {_text(decorator)}")
        name = _text(_parts(node)[0])
        if name in self._declared:
            raise BicepError(node, f"{name} is declared twice")
        self._declared[name] = node

    def resources(self) -> dict[str, Resource]:
        found = {}
        for name, node in self._declared.items():
            if node.type == "resource_declaration":
                found[name] = self._resource(node)
            else:
                self._declaration(name)
        for name, node in self._declared.items():
            if name not in self._used and (node.type != "resource_declaration" or found[name].existing):
                raise BicepError(node, f"{name} is used nowhere")
        for name in self._given.keys() - {name for name, node in self._declared.items() if _is_parameter(node)}:
            raise KeyError(f"no parameter {name}")
        return found

    def _resource(self, node: Node) -> Resource:
        parts = _parts(node)
        kind, at, version = self._value(parts[1]).partition("@")
        if not at or kind.count("/") != 1:
            raise BicepError(parts[1], f"no type and version: {_text(parts[1])}")
        body, serving = parts[2], True
        if body.type == "if_statement":
            condition, body = _parts(body)
            serving = self._value(condition)
            if not isinstance(serving, bool):
                raise BicepError(condition, f"neither true nor false: {_text(condition)}")
        if body.type != "object":
            raise BicepError(body, f"a {body.type} for a resource")
        existing = any(child.type == "existing" for child in node.children)
        return Resource(kind, version, existing, serving, self._value(body))

    def _declaration(self, name: str) -> Any:
        """The value of a parameter or a variable."""
        node = self._declared[name]
        parts = _parts(node)
        if node.type == "variable_declaration":
            return self._value(parts[1])
        kind = TYPES.get(_text(parts[1]))
        if kind is None:
            raise BicepError(parts[1], f"no type {_text(parts[1])}")
        if name not in self._given and len(parts) == 2:
            raise BicepError(node, f"nobody says what {name} is")
        value = self._given[name] if name in self._given else self._value(parts[2])
        if not isinstance(value, kind) and not _unknown(value):
            raise BicepError(node, f"{name} is a {_text(parts[1])}, not {value!r}")
        return value

    def _value(self, node: Node) -> Any:
        parts = _parts(node)
        match node.type:
            case "parenthesized_expression":
                return self._value(parts[0])
            case "string":
                return "".join(map(self._fragment, parts))
            case "number":
                return int(_text(node))
            case "boolean":
                return _text(node) == "true"
            case "array":
                return [self._value(part) for part in parts]
            case "object":
                return self._object(node)
            case "identifier":
                return self._name(node)
            case "member_expression" | "call_expression":
                self._check_path(node)
                return {"$": _text(node)}
            case _:
                raise BicepError(node, f"a {node.type.replace('_', ' ')} is not read: {_text(node)}")

    def _fragment(self, node: Node) -> str:
        if node.type == "string_content":
            return _text(node)
        if node.type != "interpolation":
            raise BicepError(node, f"a {node.type.replace('_', ' ')} is not read: {_text(node)}")
        value = self._value(_parts(node)[0])
        return f"${{{value['$']}}}" if _unknown(value) else str(value)

    def _object(self, node: Node) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for member in _parts(node):
            if member.type != "object_property" or len(_parts(member)) != 2:
                raise BicepError(member, f"no property: {_text(member)}")
            key, value = _parts(member)
            name = self._value(key) if key.type == "string" else _text(key)
            if name in found:
                raise BicepError(member, f"{name} is there twice")
            found[name] = self._value(value)
        return found

    def _name(self, node: Node) -> Any:
        self._use(node)
        if self._declared[_text(node)].type == "resource_declaration":
            return {"$": _text(node)}
        return self._declaration(_text(node))

    def _check_path(self, node: Node) -> None:
        """An expression such as identity.id or resourceGroup().location."""
        first = _parts(node)[0]
        if first.type == "member_expression":
            self._check_path(first)
        elif node.type == "call_expression":
            if _text(first) not in FUNCTIONS or _parts(_parts(node)[1]):
                raise BicepError(node, f"no function {_text(node)}")
        elif first.type == "call_expression":
            self._check_path(first)
        else:
            self._use(first)
            if self._declared[_text(first)].type != "resource_declaration":
                raise BicepError(node, f"{_text(first)} is no resource")

    def _use(self, node: Node) -> None:
        if _text(node) not in self._declared:
            raise BicepError(node, f"nothing is called {_text(node)}")
        self._used.add(_text(node))


def _broken(node: Node) -> Iterator[Node]:
    if node.is_error or node.is_missing:
        yield node
    elif node.has_error:
        for child in node.children:
            yield from _broken(child)


def _parts(node: Node) -> list[Node]:
    return [child for child in node.named_children if child.type != "comment"]


def _text(node: Node) -> str:
    return (node.text or b"").decode()


def _unknown(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"$"}


def _is_parameter(node: Node) -> bool:
    return node.type == "parameter_declaration"
