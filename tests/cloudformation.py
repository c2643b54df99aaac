"""CloudFormation and SAM templates as plain data, with the short tags (!Ref, !Sub, ...) written out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]


class Loader(yaml.SafeLoader):
    """Reads YAML as SafeLoader does, and the short tags."""


def _written_out(loader: Loader, suffix: str, node: yaml.Node) -> Json:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", _written_out)


def read(path: Path) -> Any:
    """The template; any other YAML file too."""
    with path.open(encoding="utf-8") as file:
        return yaml.load(file, Loader)


@dataclass(frozen=True)
class Function:
    """A function of a SAM template with what Globals gives it; `environment` may hold {"Ref": parameter}."""

    handler: str
    runtime: str
    timeout_seconds: int
    reserved_concurrency: int | None
    environment: dict[str, Any]


def functions(template: Json) -> dict[str, Function]:
    """The functions by logical name; a handler or timeout that is missing is "" or 0."""
    shared = template.get("Globals", {}).get("Function", {})
    found = {}
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            own = resource["Properties"]
            merged = {**shared, **own}
            found[name] = Function(
                handler=merged.get("Handler", ""),
                runtime=merged.get("Runtime", ""),
                timeout_seconds=merged.get("Timeout", 0),
                reserved_concurrency=merged.get("ReservedConcurrentExecutions"),
                environment={**_variables(shared), **_variables(own)},
            )
    return found


def _variables(properties: Json) -> Json:
    variables: Json = properties.get("Environment", {}).get("Variables", {})
    return variables
