"""What clients see beside the data: ids, errors, limits, the documentation; and what the log says of it."""

import json
import logging
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response

from app.errors import UnavailableError
from app.factory import create_app
from app.logs import make_formatter
from app.request_context import request_id
from app.settings import Settings

pytestmark = pytest.mark.anyio


def client_of(app: FastAPI) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(app, raise_app_exceptions=False), base_url="http://test")


@pytest.mark.parametrize("given", ["a-1", "4bf92f3577b34da6a3ce929d0e0e4736", "x" * 128])
async def test_a_client_s_own_request_id_is_kept(client: AsyncClient, given: str) -> None:
    assert (await client.get("/livez", headers={"X-Request-ID": given})).headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "two words", 'a"b', "x" * 129])
async def test_an_id_that_is_not_sane_is_replaced(client: AsyncClient, given: str) -> None:
    answer = await client.get("/livez", headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] not in ("", given)


async def test_every_error_has_an_id_and_a_detail(client: AsyncClient, settings: Settings) -> None:
    json_type = {"Content-Type": "application/json"}
    answers = [
        await client.get("/nowhere"),
        await client.put("/livez"),
        await client.post("/items", json={}),
        await client.post("/items", content=b"\xff{", headers=json_type),
        await client.post("/items", content=b"[" * 100_000, headers=json_type),
    ]
    assert [answer.status_code for answer in answers] == [404, 405, 422, 422, 422]
    assert all(isinstance(answer.json()["detail"], list) for answer in answers[2:])
    broken = create_app(settings)

    @broken.get("/broken")
    async def fail() -> None:
        raise RuntimeError("a secret")

    async with client_of(broken) as other:
        answers.append(await other.get("/broken"))
    assert answers[-1].status_code == 500
    assert "secret" not in answers[-1].text
    for answer in answers:
        assert answer.headers["X-Request-ID"]
        assert answer.json()["detail"]


async def test_the_cause_of_503_is_in_the_log_and_not_in_the_answer(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    broken = create_app(settings)

    @broken.get("/broken")
    async def fail() -> None:
        raise UnavailableError("no connection") from OSError("role app at 10.0.0.1")

    async with client_of(broken) as other:
        answer = await other.get("/broken", headers={"X-Request-ID": "abc"})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert "role" not in answer.text
    assert "no connection" not in answer.text
    (line,) = [record.getMessage() for record in caplog.records if record.name == "app.errors"]
    assert line == "GET /broken: 503: no connection: OSError: role app at 10.0.0.1"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_line_of_the_log_carries_the_request_s_id(monkeypatch: pytest.MonkeyPatch, log_format: str) -> None:
    monkeypatch.setenv("LOG_FORMAT", log_format)
    formatter = make_formatter()
    record = logging.LogRecord("app.x", logging.WARNING, "x.py", 1, "two\nlines of %s", ("text",), None)
    token = request_id.set("abc")
    try:
        text = formatter.format(record)
    finally:
        request_id.reset(token)
    if log_format == "json":
        line = json.loads(text)
        assert line.pop("time")
        wanted = {"severity": "WARNING", "logger": "app.x", "message": "two\nlines of text", "request_id": "abc"}
        assert line == wanted
        assert "\n" not in text
    else:
        assert " WARNING app.x [abc] two\nlines of text" in text


async def in_pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(4):
        yield b" " * (size // 4)


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_over_the_limit_is_413(settings: Settings, announced: bool) -> None:
    async def send(size: int) -> Response:
        content = b" " * size if announced else in_pieces(size)
        return await client.put("/items", content=content, headers={"Content-Type": "application/json"})

    async with client_of(create_app(settings.model_copy(update={"max_body_bytes": 4000}))) as client:
        for size, status in {4000: 422, 4004: 413}.items():
            answer = await send(size)
            assert answer.status_code == status
            assert answer.json()["detail"]
            assert answer.headers["X-Request-ID"]


@pytest.mark.parametrize("on", [True, False])
async def test_the_documentation_can_be_switched_off(settings: Settings, on: bool) -> None:
    async with client_of(create_app(settings.model_copy(update={"api_docs": on}))) as client:
        paths = ["/docs", "/redoc", "/openapi.json"]
        assert [(await client.get(path)).status_code for path in paths] == [200 if on else 404] * 3
        root = await client.get("/")
    assert (root.status_code, root.headers.get("Location")) == ((307, "/docs") if on else (404, None))
