"""Execution environments of a rendered SAM template: the real runtime client runs the project's own package."""

import os
import signal
import subprocess
import sys
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from tests.cloudformation import Function
from tests.processes import Process, uv
from tests.rehearsal.runtime_api import TOKEN, Json, RuntimeApi, http_event

START_SECONDS = 60


def make_package(project: Path) -> Path:
    """The code that Lambda would run, made by the project's own script for this Python."""
    script = ["bash", "-ec", f"cd '{project}' && uv lock --quiet && bash deploy/package.sh"]
    path = f"{Path(uv()).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        script, env={**os.environ, "PATH": path, "PACKAGE_PYTHON": sys.executable}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return project / "deploy" / "package"


def install_runtime(target: Path) -> Path:
    """The runtime interface client, which on Lambda is part of the Python that AWS provides."""
    install = [uv(), "pip", "install", "--quiet", "--python", sys.executable, "--target", str(target)]
    done = subprocess.run([*install, "awslambdaric>=4.2,<5"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


class Environment:
    """One process of a function, with the variables of the template, ready for events when the constructor returns.

    parameters: the values of the template's parameters. secrets: texts by ARN.
    """

    def __init__(
        self, package: Path, runtime: Path, function: Function, parameters: dict[str, str], secrets: dict[str, str]
    ) -> None:
        self._api = RuntimeApi(secrets)
        resolved = {
            name: parameters[value["Ref"]] if isinstance(value, dict) else str(value)
            for name, value in function.environment.items()
        }
        # Only what Lambda gives: nothing of this process's environment, and of its packages nothing (-S).
        variables = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{package}{os.pathsep}{runtime}",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._api.port}",
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
            "AWS_SESSION_TOKEN": TOKEN,
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(self._api.port),
            **resolved,
        }
        command = [sys.executable, "-S", "-m", "awslambdaric", function.handler]
        log = package.parent / f"environment-{self._api.port}.log"
        self.process = Process(command, log=log, cwd=package, env=variables)

    def wait_until_ready(self) -> None:
        """Return when the runtime has loaded the handler and asks for an event."""
        self.process.wait_for(self._api.asked.is_set, seconds=START_SECONDS)

    def invoke(self, event: Json) -> "Future[Any]":
        return self._api.invoke(event)

    def request(self, method: str, path: str, body: object = None) -> "Future[Any]":
        """The answer, as API Gateway gets it: {"statusCode": ..., "body": ...}."""
        return self._api.invoke(http_event(method, path, body))

    def freeze(self) -> None:
        """What Lambda does between requests."""
        self.process.freeze()

    def thaw(self) -> None:
        self.process.thaw()

    def end(self) -> int:
        """SIGTERM, as Lambda sends where an extension is registered; the exit code."""
        self.process.send(signal.SIGTERM)
        return self.process.wait(10)

    def close(self) -> None:
        self.process.kill_tree()
        self._api.close()
