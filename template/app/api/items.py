"""Items: create, read, list, change, delete, and bulk upsert."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Request

from app.repository import borrowed_repository, lagging_repository
from app.schemas import PAGE_LIMIT, Item, ItemChanges, ItemList, NewItem, Written


async def get_item(request: Request, item_id: UUID) -> Item:
    item: Item = await request.app.state.database.get_item(item_id)
    return item


async def list_items(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 50,
    after: UUID | None = None,
) -> list[Item]:
    async with lagging_repository(request) as repository:
        return await repository.list_items(limit, after)


async def create_item(request: Request, new: NewItem) -> Item:
    async with borrowed_repository(request) as repository:
        return await repository.create_item(new)


async def upsert_items(request: Request, items: ItemList) -> Written:
    # In the order of names: two bulk requests that share names then take their locks in the same order.
    in_order = sorted(items, key=lambda item: item.name)
    async with borrowed_repository(request) as repository:
        await repository.upsert_items(in_order)
    return Written(written=len(items))


async def update_item(request: Request, item_id: UUID, changes: ItemChanges) -> Item:
    async with borrowed_repository(request) as repository:
        return await repository.update_item(item_id, changes.sent())


async def delete_item(request: Request, item_id: UUID) -> None:
    async with borrowed_repository(request) as repository:
        await repository.delete_item(item_id)
