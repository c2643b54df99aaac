"""The app on a database of its own, made beside the one of DATABASE_URL and dropped at the end."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from prometheus_client.parser import text_string_to_metric_families

from app.database import Database
from app.db import migrate
from app.db.temporary import temporary_database
from app.factory import create_app
from app.schemas import NewItem
from app.settings import Settings, read_settings

POOL = {"pool_size": 2, "max_overflow": 1, "pool_timeout_seconds": 0.5, "pool_max_waiting": 4}


def pytest_configure() -> None:
    try:
        read_settings()
    except SystemExit:
        pytest.exit("the tests need DATABASE_URL", returncode=2)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
async def settings(anyio_backend: str) -> AsyncIterator[Settings]:
    """Settings for a migrated, empty database, with a pool of three."""
    async with temporary_database(read_settings().url) as url:
        settings = read_settings(database_url=url, **POOL)
        await migrate(settings)
        yield settings


@pytest.fixture(scope="session")
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """The app, started."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
def database(app: FastAPI) -> Database:
    """The app's database, as the routes see it."""
    database: Database = app.state.database
    return database


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """A client of the app."""
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        yield client


def new_item() -> NewItem:
    return NewItem(name=f"item {uuid4()}", price_cents=1, stock=1)


async def read_metrics(client: AsyncClient) -> dict[str, float]:
    """Each sample of `/metrics` by its name, without labels."""
    text = (await client.get("/metrics")).text
    return {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}


MakeItem = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def make_item(client: AsyncClient) -> MakeItem:
    """Store an item under a name of its own."""

    async def make(**fields: Any) -> dict[str, Any]:
        new = {"name": f"item {uuid4()}", "price_cents": 250, "stock": 10, **fields}
        response = await client.post("/items", json=new)
        assert response.status_code == 201, response.text
        item: dict[str, Any] = response.json()
        return item

    return make
