import pytest
from fastapi import FastAPI, Request
from httpx2 import ASGITransport, AsyncClient

from app.database import Database
from app.errors import NotFoundError
from app.factory import create_app
from app.repository import borrowed_repository
from app.schemas import NewOrder
from app.settings import Settings
from tests.conftest import new_item

pytestmark = pytest.mark.anyio


async def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    async with database.repository() as repository:
        try:
            async with repository.transaction():
                item = await repository.create_item(new_item())
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass
        with pytest.raises(NotFoundError):
            await repository.get_item(item.id)


async def test_a_transaction_is_seen_by_others_after_its_end(database: Database) -> None:
    async with database.repository() as repository, database.repository() as other:
        async with repository.transaction():
            item = await repository.create_item(new_item())
            with pytest.raises(NotFoundError):
                await other.get_item(item.id)
        assert await other.get_item(item.id) == item


def app_that_raises_after_writing(settings: Settings) -> FastAPI:
    app = create_app(settings)

    @app.post("/raise")
    async def write_and_raise(request: Request) -> None:
        async with borrowed_repository(request) as repository, repository.transaction():
            item = await repository.create_item(new_item())
            await repository.create_order(NewOrder(item_id=item.id, quantity=1))
            app.state.written = item
            raise ZeroDivisionError

    return app


async def test_an_endpoint_that_raises_after_writing_commits_nothing(settings: Settings) -> None:
    app = app_that_raises_after_writing(settings)
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), AsyncClient(transport=transport, base_url="http://test") as client:
        for _ in range(4):  # once more than there are connections
            assert (await client.post("/raise")).status_code == 500
            assert (await client.get(f"/items/{app.state.written.id}")).status_code == 404
