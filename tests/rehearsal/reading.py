"""What a rendered deployment starts, read from its own artifact: command, environment, how many, how it rolls out."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from poolwright.questions import evaluate
from tests import bicep, cloudformation
from tests.render import fly_faults, render_faults
from tests.render.azure_faults import PARAMETERS
from tests.render.ecs_faults import containers, variables
from tests.render.manifests import kustomize
from tests.units import read_unit

Rollout = Literal["reload", "stop first", "rolling", "side by side"]


@dataclass(frozen=True)
class Deployment:
    """command: of one instance, where it listens taken out; environment: without the files of secrets; site:
    of nginx in front of it, if there is one.

    started_before and ended_before belong to a rolling rollout: how many new instances come before old ones end, and
    how many old ones may be ending meanwhile. drained: how many more the platform may end of itself, or, of each side
    of two that stand side by side, start.
    """

    command: list[str]
    environment: dict[str, str]
    instances: int
    rollout: Rollout
    started_before: int = 0
    ended_before: int = 0
    drained: int = 0
    site: Path | None = None

    @property
    def workers(self) -> int:
        return int(self.command[self.command.index("--workers") + 1])


def read(deployment: str, project: Path, answers: dict[str, Any]) -> Deployment:
    """Read deploy/ of a rendered project."""
    return READERS[deployment](project / "deploy", answers)


def read_vm(deploy: Path, answers: dict[str, Any]) -> Deployment:
    """The unit is one host's; how many hosts there are, only the answers say."""
    (file,) = (path for path in deploy.glob("*.service") if not path.stem.endswith("-migrate"))
    unit = read_unit(file)
    (start,), (reload,) = unit["ExecStart"], unit["ExecReload"]
    assert "HUP" in reload
    return Deployment(
        bare(shlex.split(start)),
        kept(dict(pair.split("=", 1) for pair in unit["Environment"])),
        answers["instances"],
        "reload",
        site=deploy / "nginx.conf",
    )


def read_compose(deploy: Path, answers: dict[str, Any]) -> Deployment:
    app = yaml.safe_load((deploy / "compose.yaml").read_text(encoding="utf-8"))["services"]["app"]
    return Deployment(bare(app["command"]), kept(app["environment"]), app["deploy"]["replicas"], "stop first")


def read_kubernetes(deploy: Path, answers: dict[str, Any]) -> Deployment:
    by_kind = {manifest["kind"]: manifest for manifest in kustomize(deploy / "overlays/production")}
    spec = by_kind["Deployment"]["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    (source,) = container["envFrom"]
    settings = by_kind["ConfigMap"]
    assert source["configMapRef"]["name"] == settings["metadata"]["name"]
    strategy = spec["strategy"]["rollingUpdate"]
    return Deployment(
        bare(container["command"]),
        kept(settings["data"] | {variable["name"]: variable["value"] for variable in container["env"]}),
        by_kind["HorizontalPodAutoscaler"]["spec"]["maxReplicas"],
        "rolling",
        strategy["maxSurge"],
        strategy["maxUnavailable"],
        by_kind["PodDisruptionBudget"]["spec"]["maxUnavailable"],
    )


def read_cloudrun(deploy: Path, answers: dict[str, Any]) -> Deployment:
    service = yaml.safe_load((deploy / "service.yaml").read_text(encoding="utf-8"))
    template = service["spec"]["template"]
    (container,) = template["spec"]["containers"]
    return Deployment(
        bare(container["command"]),
        kept({variable["name"]: variable["value"] for variable in container["env"]}),
        int(template["metadata"]["annotations"]["autoscaling.knative.dev/maxScale"]),
        "side by side",
    )


def read_ecs(deploy: Path, answers: dict[str, Any]) -> Deployment:
    """ECS counts in percents of the tasks: more are rounded down, healthy ones up."""
    resources = cloudformation.read(deploy / "template.yaml")["Resources"]
    service = resources["Service"]["Properties"]
    app = containers(resources["Task"]["Properties"])["app"]
    tasks = resources["Scaling"]["Properties"]["MaxCapacity"] if "Scaling" in resources else service["DesiredCount"]
    percents = service["DeploymentConfiguration"]
    return Deployment(
        bare(app["Command"]),
        kept(variables(app)),
        tasks,
        "rolling",
        tasks * percents["MaximumPercent"] // 100 - tasks,
        tasks + -tasks * percents["MinimumHealthyPercent"] // 100,
    )


def read_azure(deploy: Path, answers: dict[str, Any]) -> Deployment:
    """How many replicas the platform may start beyond the maximum, only the plan says."""
    app = bicep.read(deploy / "main.bicep", **PARAMETERS)["app"].body["properties"]
    assert app["configuration"]["activeRevisionsMode"] == "Single"
    (container,) = app["template"]["containers"]
    return Deployment(
        bare(container["command"]),
        kept({variable["name"]: variable["value"] for variable in container["env"]}),
        app["template"]["scale"]["maxReplicas"],
        "side by side",
        drained=evaluate(answers).values["drains"],
    )


def read_fly(deploy: Path, answers: dict[str, Any]) -> Deployment:
    """fly.toml, which has no place for the number of Machines: what the README makes."""
    config = fly_faults.read_config(deploy.parent)
    assert config["deploy"]["strategy"] == "rolling"
    return Deployment(
        bare(fly_faults.command(config)),
        kept(config["env"]),
        fly_faults.scale_count((deploy / "README.md").read_text(encoding="utf-8")),
        "stop first",
    )


def read_render(deploy: Path, answers: dict[str, Any]) -> Deployment:
    (service,) = render_faults.read_blueprint(deploy.parent)["services"]
    return Deployment(
        bare(shlex.split(service["dockerCommand"])),
        kept(render_faults.variables(service)),
        service["numInstances"],
        "side by side",
    )


READERS = {
    "vm": read_vm,
    "compose": read_compose,
    "kubernetes": read_kubernetes,
    "cloudrun": read_cloudrun,
    "ecs": read_ecs,
    "azure": read_azure,
    "fly": read_fly,
    "render": read_render,
}


def bare(command: list[str]) -> list[str]:
    """The program's name and its arguments, without the address where it listens."""
    words = [Path(command[0]).name, *command[1:]]
    for name in ("--host", "--port"):
        at = words.index(name)
        del words[at : at + 2]
    return words


def kept(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.endswith(("_URL_FILE", "_CA_FILE"))}
