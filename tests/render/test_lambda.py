"""The files for AWS Lambda: what cfn-lint says, and what it does not see."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from poolwright.questions import combinations, evaluate
from poolwright.render import render_project
from tests.cloudformation import lint
from tests.render.artifacts import readme
from tests.render.lambda_faults import proxy_faults, template_faults

pytestmark = pytest.mark.xdist_group("render-lambda")

OPTIONS = ("database", "pooler", "read_replica", "cache")
# One layer for each: the files do not depend on it.
PROJECTS: dict[str, dict[str, Any]] = {}
for _row in combinations():
    if _row["deployment"] == "lambda":
        PROJECTS.setdefault("-".join(str(_row[key]) for key in OPTIONS), _row)

SMALL = {"instances": 7, "max_connections": 90}  # numbers that are not the defaults
FULL = "postgresql-rds-proxy-True-redis"
PLAIN = "postgresql-none-False-none"

REPLACED_IN_TEMPLATE = {
    "Migrate:\n    Type: AWS::Serverless::Function": "Migrate:\n    Type: AWS::Serverless::Funktion",
    "MemorySize: 1024": "MemorySize: 64",
    "ReservedConcurrentExecutions: 1\n": "ReservedConcurency: 1\n",
    "      Timeout: 900": "      Timeout: soon",
    "!Join ": "!Joyn ",
    "Value: !Sub": "Values: !Sub",
}
REPLACED_IN_PROXY = {
    "EngineFamily: POSTGRESQL": "EngineFamily: POSTGRES",
    "      RoleArn: !GetAtt Role.Arn\n": "",
    "!GetAtt Proxy.Endpoint": "!GetAtt Proxy.EndPoint",
    "MaxConnectionsPercent: ": "MaxConnectionsPercent: many ",
}

# What is replaced in a file of deploy/, and words of the sentence that says so.
UNSEEN: list[tuple[str, str, str, str]] = [
    ("template.yaml", "DATABASE_CA_FILE: !Ref DatabaseCaFile", "DATABASE_CA_FILE: !Ref CaFile", "Ref of CaFile,"),
    ("template.yaml", "https://${Api}.", "https://${Gateway}.", "Ref of Gateway,"),
    ("template.yaml", '"https://${Api}.', '"https://${Gateway.Id}.', "GetAtt of Gateway,"),
    ("template.yaml", "Value: !Sub", "Value: !GetAtt Nobody.Arn #", "GetAtt of Nobody,"),
    ("template.yaml", "- InNetwork\n", "- InNet\n", "Condition of InNet,"),
    ("template.yaml", "SecretArn: !Ref DatabaseUrlSecretArn", "SecretArn: !Ref RedisUrlSecretArn", "may not read"),
    ("template.yaml", "          REDIS_URL_SECRET_ARN: !Ref RedisUrlSecretArn\n", "", "App has the secrets"),
    ("template.yaml", "REDIS_URL_SECRET_ARN: !Ref RedisUrlSecretArn", "REDIS_URL: redis://", "everybody reads"),
    ("template.yaml", "deploy.handler.handler", "deploy.handler.handle", "no function deploy.handler.handle "),
    ("template.yaml", "deploy.handler.migrate", "deploy.migrations.migrate", "no function deploy.migrations.migrate "),
    ("template.yaml", "CodeUri: package", "CodeUri: build", "does not make the folder build"),
    ("template.yaml", "ReservedConcurrentExecutions: 7", "ReservedConcurrentExecutions: 8", "the plan has 7"),
    ("template.yaml", "      ReservedConcurrentExecutions: 7\n", "", "reserved concurrency None"),
    ("template.yaml", "ReservedConcurrentExecutions: 1\n", "ReservedConcurrentExecutions: 2\n", "one run at a time"),
    ("template.yaml", "Runtime: python3.14", "Runtime: python3.4", "App runs on python3.4, the catalog has"),
    ("template.yaml", "Timeout: 28", "Timeout: 27", "27 s is not less than App's Timeout 27 s"),
    ("template.yaml", "Timeout: 28", "Timeout: 29", "App's Timeout 29 s is not less than"),
    ("template.yaml", "TimeoutInMillis: 29000", "TimeoutInMillis: 30000", "API Gateway's most 30 s"),
    ("template.yaml", "Timeout: 900", "Timeout: 901", "more than Lambda's 900"),
    ("rds-proxy.yaml", "!Ref DatabaseInstance", "!Ref Instance", "Ref of Instance,"),
    (
        "rds-proxy.yaml",
        "MaxConnectionsPercent: 15",
        "MaxConnectionsPercent: 17",
        "may open 15 connections, the",
    ),
    ("rds-proxy.yaml", "ConnectionBorrowTimeout: 2", "ConnectionBorrowTimeout: 120", "wait for another time"),
]


def rendered(name: str, target: Path) -> dict[str, Any]:
    """Render the project of this name; the plan's values."""
    values: dict[str, Any] = evaluate({**PROJECTS[name], **SMALL}).require_fit().values
    render_project({**PROJECTS[name], **SMALL, "project_name": "render-test"}, target)
    return values


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Each project with the plan's values."""
    root = tmp_path_factory.mktemp("lambda")
    return {name: (root / name, rendered(name, root / name)) for name in PROJECTS}


def faults(project: Path, values: dict[str, Any]) -> list[str]:
    """What this project's own checks say."""
    proxy = project / "deploy" / "rds-proxy.yaml"
    return template_faults(project, values) + (proxy_faults(proxy, values) if proxy.exists() else [])


def test_every_template_passes_the_linter(projects: dict[str, tuple[Path, dict[str, Any]]]) -> None:
    paths = [path for project, _ in projects.values() for path in sorted((project / "deploy").glob("*.yaml"))]
    assert len(paths) == len(projects) + sum("rds-proxy" in name for name in projects)
    assert not {path: said for path, said in lint(*paths).items() if said}


def test_the_linter_finds_planted_faults(projects: dict[str, tuple[Path, dict[str, Any]]], tmp_path: Path) -> None:
    deploy = projects[FULL][0] / "deploy"
    planted = []
    for file, replaced in {"template.yaml": REPLACED_IN_TEMPLATE, "rds-proxy.yaml": REPLACED_IN_PROXY}.items():
        for number, (right, wrong) in enumerate(replaced.items()):
            text = (deploy / file).read_text(encoding="utf-8")
            assert right in text
            planted.append(tmp_path / f"{number}-{file}")
            planted[-1].write_text(text.replace(right, wrong), encoding="utf-8")
    assert [path.name for path, said in lint(*planted).items() if not said] == []


@pytest.mark.parametrize("name", PROJECTS)
def test_what_the_linter_does_not_see_is_right(name: str, projects: dict[str, tuple[Path, dict[str, Any]]]) -> None:
    assert faults(*projects[name]) == []


@pytest.mark.parametrize(("file", "right", "wrong", "said"), UNSEEN)
def test_planted_faults_that_the_linter_does_not_see_are_found(
    file: str, right: str, wrong: str, said: str, projects: dict[str, tuple[Path, dict[str, Any]]], tmp_path: Path
) -> None:
    project, values = projects[FULL]
    planted = tmp_path / "project"
    shutil.copytree(project, planted)
    path = planted / "deploy" / file
    text = path.read_text(encoding="utf-8")
    assert right in text
    path.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    assert any(said in fault for fault in faults(planted, values)), faults(planted, values)


def test_the_package_is_made_for_the_functions_python(projects: dict[str, tuple[Path, dict[str, Any]]]) -> None:
    project, values = projects[PLAIN]
    script = (project / "deploy" / "package.sh").read_text(encoding="utf-8")
    (command,) = [line.split("$(")[1].split(")")[0] for line in script.splitlines() if "PACKAGE_PYTHON" in line]
    found = subprocess.run(["bash", "-c", command], cwd=project, capture_output=True, text=True, check=True).stdout
    assert found.strip() == values["catalog"]["deployments"]["lambda"]["python"]


def test_the_package_has_the_authorities_of_all_that_it_connects_to(
    projects: dict[str, tuple[Path, dict[str, Any]]],
) -> None:
    """RDS Proxy for the app, and the instance, whose certificate another authority signed, for the migration."""
    for project, values in projects.values():
        (command,) = re.findall(r"^    curl --fail (.*) > deploy/database-ca.pem$", readme(project), re.M)
        authorities = {url.split("/")[2] for url in command.split()}
        rds, proxy = "truststore.pki.rds.amazonaws.com", "www.amazontrust.com"
        assert authorities == ({rds, proxy} if values["pooler"] == "rds-proxy" else {rds})


def test_only_this_deployment_needs_mangum(projects: dict[str, tuple[Path, dict[str, Any]]], tmp_path: Path) -> None:
    render_project({"project_name": "render-test", "deployment": "vm"}, tmp_path / "vm")

    def depends(project: Path) -> bool:
        return "mangum" in (project / "pyproject.toml").read_text(encoding="utf-8")

    assert depends(projects[PLAIN][0])
    assert not depends(tmp_path / "vm")
