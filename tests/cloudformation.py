"""CloudFormation and SAM templates: as plain data, with the short tags (!Ref, !Sub, ...) written out, and linted."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]
PSEUDO = {"AccountId", "NoValue", "NotificationARNs", "Partition", "Region", "StackId", "StackName", "URLSuffix"}


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


def lint(*paths: Path) -> dict[Path, list[str]]:
    """What cfn-lint says of each file."""
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--format", "json", "--template", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True)
    found: dict[Path, list[str]] = {path: [] for path in paths}
    for match in json.loads(done.stdout):
        found[Path(match["Filename"])].append(match["Message"])
    assert done.returncode == 0 or any(found.values()), done.stderr
    return found


def undefined_names(template: Any) -> list[str]:
    """Names that !Ref, !GetAtt, !Sub, !If and Condition use and the template does not define."""
    resources = set(template["Resources"])
    names = resources | set(template.get("Parameters", {})) | {f"AWS::{name}" for name in PSEUDO}
    conditions = set(template.get("Conditions", {}))
    found = []
    for kind, name in _uses(template):
        known = {"Ref": names, "GetAtt": resources, "Condition": conditions}[kind]
        if name not in known:
            found.append(f"{kind} of {name}, which the template does not define")
    return found


def _uses(node: Any) -> Iterator[tuple[str, str]]:
    """Each use of a name below the node: (what it must be, the name)."""
    if isinstance(node, list):
        for element in node:
            yield from _uses(element)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key == "Ref":
            yield "Ref", value
        elif key == "Fn::GetAtt":
            yield "GetAtt", value[0]
        elif key == "Fn::Sub":
            text, own = value if isinstance(value, list) else (value, {})
            for name in re.findall(r"\$\{([^!}]+)\}", text):
                if name not in own:
                    yield ("GetAtt", name.split(".")[0]) if "." in name else ("Ref", name)
        elif key == "Fn::If":
            yield "Condition", value[0]
        elif key == "Condition" and isinstance(value, str) and "ContainerName" not in node:  # ECS has its own word
            yield "Condition", value
        yield from _uses(value)
