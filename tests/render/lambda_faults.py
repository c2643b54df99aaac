"""What is wrong with the deployment files of a project for AWS Lambda and no schema sees."""

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests import cloudformation
from tests.cloudformation import Function, undefined_names

SECRET_SUFFIX = "_SECRET_ARN"
GATEWAY_MOST_SECONDS = 30  # D https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
LAMBDA_MOST_SECONDS = 900  # D https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html


def template_faults(project: Path, values: dict[str, Any]) -> list[str]:
    """One sentence for each fault of deploy/template.yaml; values: the plan's, as `evaluate(...).values`."""
    template = cloudformation.read(project / "deploy" / "template.yaml")
    functions = cloudformation.functions(template)
    found = [*undefined_names(template), *_secrets(template, functions, values), *_numbers(template, functions, values)]
    python = f"python{values['catalog']['deployments']['lambda']['python']}"
    for name, function in functions.items():
        if function.runtime != python:
            found.append(f"{name} runs on {function.runtime}, the catalog has {python}")
        if not _exists(project, function.handler):
            found.append(f"{name}: no function {function.handler} in the project")
    folder = template["Globals"]["Function"]["CodeUri"]
    if f"\npackage=deploy/{folder}\n" not in (project / "deploy" / "package.sh").read_text(encoding="utf-8"):
        found.append(f"package.sh does not make the folder {folder}")
    return found


def proxy_faults(path: Path, values: dict[str, Any]) -> list[str]:
    """One sentence for each fault of deploy/rds-proxy.yaml."""
    template = cloudformation.read(path)
    found = undefined_names(template)
    pool = template["Resources"]["Targets"]["Properties"]["ConnectionPoolConfigurationInfo"]
    share = pool["MaxConnectionsPercent"] * values["server_limit"] // 100
    if share > values["pooler_connections"]:
        found.append(f"the proxy may open {share} connections, the plan has {values['pooler_connections']}")
    if pool["ConnectionBorrowTimeout"] != values["settings"]["pool_timeout_seconds"]:
        found.append("the proxy lets requests wait for another time than the pool")
    return found


def _secrets(template: Any, functions: dict[str, Function], values: dict[str, Any]) -> Iterator[str]:
    """URLs with passwords come as the names of secrets that the function may read."""
    expected = {f"{secret.upper()}{SECRET_SUFFIX}" for secret in values["secrets"]}
    given = {name for name in functions["App"].environment if name.endswith(SECRET_SUFFIX)}
    if given != expected:
        yield f"App has the secrets {sorted(given)}, the settings need {sorted(expected)}"
    for name, function in functions.items():
        policies = template["Resources"][name]["Properties"].get("Policies", [])
        readable = [policy.get("AWSSecretsManagerGetSecretValuePolicy", {}).get("SecretArn") for policy in policies]
        for variable, value in function.environment.items():
            if variable.endswith("_URL"):
                yield f"{name}: {variable} is a variable that everybody reads who may see the function"
            if variable.endswith(SECRET_SUFFIX) and value not in readable:
                yield f"{name}: {variable} names a secret that the function may not read"


def _numbers(template: Any, functions: dict[str, Function], values: dict[str, Any]) -> Iterator[str]:
    settings = values["settings"]
    app, migrate = functions["App"], functions["Migrate"]
    if app.reserved_concurrency != values["instances"]:
        yield f"App: reserved concurrency {app.reserved_concurrency}, the plan has {values['instances']}"
    if migrate.reserved_concurrency != 1:
        yield f"Migrate: reserved concurrency {migrate.reserved_concurrency}, the plan has one run at a time"
    if migrate.timeout_seconds > LAMBDA_MOST_SECONDS:
        yield f"Migrate: a timeout of {migrate.timeout_seconds} s is more than Lambda's {LAMBDA_MOST_SECONDS}"
    (route,) = template["Resources"]["App"]["Properties"]["Events"].values()
    limits = {
        "pool timeout": settings["pool_timeout_seconds"],
        "statement timeout": settings["statement_timeout_seconds"],
        "command timeout": settings["command_timeout_seconds"],
        "pool, command and connect timeout": settings["pool_timeout_seconds"]
        + settings["command_timeout_seconds"]
        + settings["connect_timeout_seconds"],
        "App's Timeout": app.timeout_seconds,
        "the route's TimeoutInMillis": route["Properties"]["TimeoutInMillis"] / 1000,
        "API Gateway's most": GATEWAY_MOST_SECONDS,
    }
    for (shorter, seconds), (longer, more) in pairwise(limits.items()):
        if seconds >= more:
            yield f"{shorter} {seconds:g} s is not less than {longer} {more:g} s"


def _exists(project: Path, handler: str) -> bool:
    module, _, function = handler.rpartition(".")
    path = project / f"{module.replace('.', '/')}.py"
    if not path.is_file():
        return False
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return any(isinstance(node, ast.FunctionDef) and node.name == function for node in body)
