"""Lambda's side of one execution environment: the Runtime API, and the extension that hands out secrets.

Sources: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html and
https://docs.aws.amazon.com/secretsmanager/latest/userguide/retrieving-secrets_lambda.html (November 2026).
"""

import json
import queue
import threading
import time
import uuid
from concurrent.futures import Future
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.processes import free_port

Json = dict[str, Any]
TOKEN = "token"  # of the session, which the extension asks for
DEADLINE_SECONDS = 28


class HandlerError(RuntimeError):
    """The function raised, or could not be loaded."""


class RuntimeApi:
    """Hands events to the one runtime that asks here, and its answers back."""

    def __init__(self, secrets: dict[str, str]) -> None:
        """secrets: texts by ARN."""
        self.port = free_port()
        self.secrets = secrets
        self.asked = threading.Event()  # once the runtime has loaded the handler
        self.events: queue.Queue[tuple[str, Json] | None] = queue.Queue()
        self.answers: dict[str, Future[Any]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), type("Handler", (_Handler,), {"api": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def invoke(self, event: Json) -> "Future[Any]":
        """What the handler returns for the event, later; HandlerError."""
        identifier = str(uuid.uuid4())
        answer: Future[Any] = Future()
        self.answers[identifier] = answer
        self.events.put((identifier, event))
        return answer

    def close(self) -> None:
        self.events.put(None)
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()
        for answer in self.answers.values():
            if not answer.done():
                answer.set_exception(HandlerError("the environment ended"))


class _Handler(BaseHTTPRequestHandler):
    api: RuntimeApi
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        with suppress(ConnectionError):  # the environment was ended
            super().handle()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/2018-06-01/runtime/invocation/next":
            self._next()
        elif url.path == "/secretsmanager/get" and self.headers["X-Aws-Parameters-Secrets-Token"] == TOKEN:
            (arn,) = parse_qs(url.query)["secretId"]
            known = arn in self.api.secrets
            self._answer(200 if known else 400, {"SecretString": self.api.secrets.get(arn)})
        else:
            self._answer(403, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        *_, identifier, kind = self.path.split("/")
        answer = self.api.answers.get(identifier)
        if answer is not None and kind == "response":
            answer.set_result(body)
        elif answer is not None:
            answer.set_exception(HandlerError(json.dumps(body)))
        self._answer(202, {})

    def _next(self) -> None:
        self.api.asked.set()
        found = self.api.events.get()
        if found is None:
            self.close_connection = True
            return
        identifier, event = found
        headers = {
            "Lambda-Runtime-Aws-Request-Id": identifier,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + DEADLINE_SECONDS) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:123456789012:function:app",
            "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000;Sampled=0",
        }
        self._answer(200, event, headers)

    def _answer(self, status: int, content: Json, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def http_event(method: str, path: str, body: object = None) -> Json:
    """A request as an HTTP API of API Gateway hands it on, format 2.0."""
    path, _, query = path.partition("?")
    request = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "tests"}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": "api.example", "content-type": "application/json", "x-forwarded-proto": "https"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "domainName": "api.example",
            "http": request,
            "requestId": "request",
            "routeKey": "$default",
            "stage": "$default",
            "timeEpoch": 1_790_000_000_000,
        },
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }
