"""FastAPI on asyncpg."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
from fastapi import FastAPI, HTTPException
from schemas import FIRST, Item, Limit, NewItem, NewOrder, Order
from uuid_utils.compat import uuid7

TABLES = """
    CREATE TABLE items (
        id uuid PRIMARY KEY, name text NOT NULL UNIQUE, price_cents bigint NOT NULL, stock bigint NOT NULL,
        created_at timestamptz NOT NULL
    );
    CREATE TABLE orders (
        id uuid PRIMARY KEY, item_id uuid NOT NULL REFERENCES items (id), quantity bigint NOT NULL,
        total_cents bigint NOT NULL, created_at timestamptz NOT NULL
    );
    CREATE INDEX ON orders (item_id);
    CREATE INDEX ON orders (created_at);
"""


async def keep(connection: Any) -> None:
    """In place of the pool's reset, which costs a round trip."""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    global pool
    size = int(os.environ["POOL_SIZE"])
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=size, max_size=size, reset=keep) as pool:
        await pool.execute(TABLES)
        yield


pool: Any
app = FastAPI(lifespan=lifespan)


@app.get("/items/{item_id}")
async def get_item(item_id: UUID) -> Item:
    async with pool.acquire() as connection:
        row = await connection.fetchrow("SELECT * FROM items WHERE id = $1", item_id)
    if row is None:
        raise HTTPException(404)
    return Item(**row)


@app.get("/items")
async def list_items(limit: Limit = 50, after: UUID = FIRST) -> list[Item]:
    async with pool.acquire() as connection:
        rows = await connection.fetch("SELECT * FROM items WHERE id > $1 ORDER BY id LIMIT $2", after, limit)
    return [Item(**row) for row in rows]


@app.post("/items", status_code=201)
async def create_item(new: NewItem) -> Item:
    item = Item(id=uuid7(), created_at=datetime.now(UTC), **new.model_dump())
    values = (item.id, item.name, item.price_cents, item.stock, item.created_at)
    async with pool.acquire() as connection:
        await connection.execute("INSERT INTO items VALUES ($1, $2, $3, $4, $5)", *values)
    return item


@app.post("/orders", status_code=201)
async def create_order(new: NewOrder) -> Order:
    take = "UPDATE items SET stock = stock - $2 WHERE id = $1 AND stock >= $2 RETURNING price_cents"
    async with pool.acquire() as connection, connection.transaction():
        price_cents = await connection.fetchval(take, new.item_id, new.quantity)
        if price_cents is None:
            raise HTTPException(409)
        total_cents = new.quantity * price_cents
        order = Order(id=uuid7(), total_cents=total_cents, created_at=datetime.now(UTC), **new.model_dump())
        values = (order.id, order.item_id, order.quantity, order.total_cents, order.created_at)
        await connection.execute("INSERT INTO orders VALUES ($1, $2, $3, $4, $5)", *values)
    return order
