"""Requests as the tests send them, one by one and many at once, and what `/metrics` says about the pool."""

import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from tests.processes import wait_until
from tests.service import Service

Json = dict[str, Any]
MIDDLING_POOL = {"POOL_SIZE": 4, "MAX_OVERFLOW": 3}
PATIENT: Json = {"POOL_TIMEOUT_SECONDS": 20, "POOL_MAX_WAITING": 200}  # settings of a service that refuses nobody soon
StartService = Callable[..., Service]  # with a database's URL and settings by name


@dataclass(frozen=True)
class Answer:
    response: httpx2.Response
    seconds: float

    @property
    def status(self) -> int:
        return self.response.status_code


Send = Callable[..., Future[Answer]]


class Serving(Protocol):
    """What can be asked."""

    def client(self, connections: int = ..., /) -> httpx2.Client: ...


@contextmanager
def parallel(service: Serving, connections: int = 100) -> Iterator[Send]:
    """`send(method, path, **arguments)` starts a request and returns its future answer."""
    with service.client(connections) as client, ThreadPoolExecutor(connections) as threads:

        def request(method: str, path: str, arguments: Json) -> Answer:
            start = time.monotonic()
            response = client.request(method, path, **arguments)
            return Answer(response, time.monotonic() - start)

        yield lambda method, path, **arguments: threads.submit(request, method, path, arguments)


def item_fields(**fields: object) -> Json:
    """A valid body for an item, with a name of its own."""
    return {"name": f"item {uuid.uuid4()}", "price_cents": 100, "stock": 10, **fields}


def new_item(client: httpx2.Client, **fields: object) -> Json:
    response = client.post("/items", json=item_fields(**fields))
    assert response.status_code == 201, response.text
    created: Json = response.json()
    return created


def all_items(client: httpx2.Client, limit: int = 200) -> list[Json]:
    """Every page of the list, one after the other."""
    items: list[Json] = []
    page: list[Json] = client.get("/items", params={"limit": limit}).json()
    while page:
        items += page
        page = client.get("/items", params={"limit": limit, "after": page[-1]["id"]}).json()
    return items


def sold(client: httpx2.Client) -> int:
    """Revenue of all orders, in cents."""
    rows: list[Json] = client.get("/orders/revenue", params={"days": 3650}).json()
    return sum(row["revenue_cents"] for row in rows)


def metric(client: httpx2.Client, name: str) -> float:
    """The value of a gauge or counter, summed over its labels."""
    families = list(text_string_to_metric_families(client.get("/metrics").text))
    samples = [s.value for family in families for s in family.samples if s.name == name]
    assert samples, f"/metrics has no {name}"
    return sum(samples)


def wait_for_metric(client: httpx2.Client, name: str, value: float, seconds: float = 5) -> None:
    wait_until(lambda: metric(client, name) == value, seconds, f"{name} = {value:g}")


def assert_unavailable(response: httpx2.Response) -> None:
    """The one shape of every refusal for want of a connection."""
    assert response.status_code == 503, response.text
    assert int(response.headers["Retry-After"]) >= 1
    # No word of the driver's: those are in the log, with this id.
    assert response.json() == {"detail": "The database is busy or away: try again later."}
    assert response.headers["X-Request-ID"]
