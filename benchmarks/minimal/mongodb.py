"""FastAPI on PyMongo's asynchronous client or on Motor: DRIVER names one."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fastapi import FastAPI, HTTPException
from schemas import FIRST, Item, Limit, NewItem, NewOrder, Order
from uuid_utils.compat import uuid7

MOTOR = os.environ["DRIVER"] == "motor"


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    global client, items, orders
    if MOTOR:
        from motor.motor_asyncio import AsyncIOMotorClient as Client
    else:
        from pymongo import AsyncMongoClient as Client
    size = int(os.environ["POOL_SIZE"])
    url = os.environ["DATABASE_URL"]
    client = Client(url, minPoolSize=size, maxPoolSize=size, tz_aware=True, uuidRepresentation="standard")
    database = client.get_default_database()
    items, orders = database["items"], database["orders"]
    await items.create_index("name", unique=True)
    await orders.create_index("item_id")
    await orders.create_index("created_at")
    yield
    closing = client.close()
    if not MOTOR:
        await closing


client: Any
items: Any
orders: Any
app = FastAPI(lifespan=lifespan)


@app.get("/items/{item_id}")
async def get_item(item_id: UUID) -> Item:
    document = await items.find_one({"_id": item_id})
    if document is None:
        raise HTTPException(404)
    return read(document)


@app.get("/items")
async def list_items(limit: Limit = 50, after: UUID = FIRST) -> list[Item]:
    found = items.find({"_id": {"$gt": after}}, sort={"_id": 1}, limit=limit, batch_size=limit)
    return [read(document) for document in await found.to_list(None)]


@app.post("/items", status_code=201)
async def create_item(new: NewItem) -> Item:
    item = Item(id=uuid7(), created_at=datetime.now(UTC), **new.model_dump())
    await items.insert_one(written(item))
    return item


@app.post("/orders", status_code=201)
async def create_order(new: NewOrder) -> Order:
    async def place(session: Any) -> Order:
        enough = {"_id": new.item_id, "stock": {"$gte": new.quantity}}
        item = await items.find_one_and_update(enough, {"$inc": {"stock": -new.quantity}}, session=session)
        if item is None:
            raise HTTPException(409)
        total_cents = new.quantity * item["price_cents"]
        order = Order(id=uuid7(), total_cents=total_cents, created_at=datetime.now(UTC), **new.model_dump())
        await orders.insert_one(written(order), session=session)
        return order

    starting = client.start_session()
    async with await starting if MOTOR else starting as session:
        order: Order = await session.with_transaction(place)
    return order


def read(document: dict[str, Any]) -> Item:
    return Item(id=document.pop("_id"), **document)


def written(stored: Item | Order) -> dict[str, Any]:
    document = dict(stored)
    return {"_id": document.pop("id"), **document}
