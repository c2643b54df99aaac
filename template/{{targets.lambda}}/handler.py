"""What AWS Lambda calls: `handler` answers a request of API Gateway, `migrate` brings the schema up to date.

An environment serves one request at a time and stands still in between, for milliseconds or hours. It keeps one event
loop for its whole life, since the pool belongs to one, and in it the app with its connection.
"""

import asyncio
import http.client
import json
import os
import signal
import threading
from functools import cache
from typing import Any
from urllib.parse import quote

from mangum import Mangum
from mangum.types import LambdaContext

from app.db import migrate as migrate_database
from app.factory import create_app
from app.logs import configure_logging
from app.settings import read_migration_settings, read_settings

_ARN_SUFFIX = "_SECRET_ARN"  # DATABASE_URL_SECRET_ARN names the secret that holds DATABASE_URL
_SECRETS_TIMEOUT_SECONDS = 5


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request: an event of an HTTP API or a REST API, a function URL or a load balancer."""
    return _environment().answer(event, context)


def migrate(event: object, context: object) -> dict[str, str]:
    """Run the migrations that the database has not had yet; UnavailableError."""
    _read_secrets()
    asyncio.run(migrate_database(read_migration_settings()))
    return {"status": "migrated"}


class _Environment:
    """The event loop, the app and its pools."""

    def __init__(self) -> None:
        _require_one_process()
        _read_secrets()
        configure_logging()
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)  # Mangum runs requests in the thread's loop
        app = create_app(read_settings())
        self._lifespan = app.router.lifespan_context(app)
        self._loop.run_until_complete(self._lifespan.__aenter__())
        # Mangum's own lifespan would open and close the pools for every request.
        self._answer = Mangum(app, lifespan="off")
        self._leave_at_the_end()

    def answer(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        # First what the loop missed while it stood still, such as the end of a connection.
        self._loop.run_until_complete(asyncio.sleep(0))
        return self._answer(event, context)

    def _leave_at_the_end(self) -> None:
        """Have a thread wait for SIGTERM.

        The main thread waits for the next event, and Python's own handlers run in it alone: where another thread gets
        the signal, or it comes a moment before that wait begins, the handler would not run before there is an event.
        """
        arrived, told = os.pipe()
        os.set_blocking(told, False)
        signal.set_wakeup_fd(told)  # where the number of each signal is written that has a handler
        signal.signal(signal.SIGTERM, lambda *_: None)
        threading.Thread(target=self._leave, args=[arrived], daemon=True).start()

    def _leave(self, arrived: int) -> None:
        """Close the pools and end: a connection that nobody closes keeps its place in the server until that notices."""
        while os.read(arrived, 1)[0] != signal.SIGTERM:
            pass
        try:
            if not self._loop.is_running():
                self._loop.run_until_complete(self._lifespan.__aexit__(None, None, None))
        finally:
            os._exit(0)  # sys.exit would wait for the thread in which the runtime waits for the next event


@cache
def _environment() -> _Environment:
    """Made at the first event: what is open before it is shared by all that start from one snapshot or fork."""
    return _Environment()


def _require_one_process() -> None:
    """RuntimeError where an environment has several processes: each opens what the plan counts for an environment."""
    processes = int(os.environ.get("AWS_LAMBDA_MAX_CONCURRENCY", "1"))
    if processes > 1:
        raise RuntimeError(
            f"Lambda Managed Instances run {processes} processes in each environment, and the pool plan (app/plan.py) "
            "counts one. Set PerExecutionEnvironmentMaxConcurrency to 1, or run the app as a container."
        )


def _read_secrets() -> None:
    """Set DATABASE_URL and the like for this process; RuntimeError."""
    for name, arn in list(os.environ.items()):
        if name.endswith(_ARN_SUFFIX):
            os.environ[name.removesuffix(_ARN_SUFFIX)] = _secret(arn)


def _secret(arn: str) -> str:
    """The text of a secret, from the extension that AWS makes for this and that the template adds; RuntimeError."""
    port = int(os.environ.get("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", "2773"))
    connection = http.client.HTTPConnection("localhost", port, timeout=_SECRETS_TIMEOUT_SECONDS)
    path = f"/secretsmanager/get?secretId={quote(arn, safe='')}"
    try:
        connection.request("GET", path, headers={"X-Aws-Parameters-Secrets-Token": os.environ["AWS_SESSION_TOKEN"]})
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise RuntimeError(
            f"The secret {arn} cannot be read: the extension answers {response.status}. "
            "Let the function's role read it and its subnets reach Secrets Manager."
        )
    text: str = json.loads(answer)["SecretString"]
    return text.strip()
