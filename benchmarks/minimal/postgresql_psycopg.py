"""FastAPI on psycopg and its pool."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fastapi import FastAPI, HTTPException
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
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


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    global pool
    size = int(os.environ["POOL_SIZE"])
    # autocommit: one round trip for a single statement instead of three
    kwargs = {"autocommit": True, "row_factory": dict_row}
    async with AsyncConnectionPool(
        os.environ["DATABASE_URL"], min_size=size, max_size=size, kwargs=kwargs, open=False
    ) as pool:
        async with pool.connection() as connection:
            await connection.execute(TABLES)
        yield


pool: Any
app = FastAPI(lifespan=lifespan)


@app.get("/items/{item_id}")
async def get_item(item_id: UUID) -> Item:
    async with pool.connection() as connection:
        cursor = await connection.execute("SELECT * FROM items WHERE id = %s", (item_id,))
        row = await cursor.fetchone()
    if row is None:
        raise HTTPException(404)
    return Item(**row)


@app.get("/items")
async def list_items(limit: Limit = 50, after: UUID = FIRST) -> list[Item]:
    async with pool.connection() as connection:
        cursor = await connection.execute("SELECT * FROM items WHERE id > %s ORDER BY id LIMIT %s", (after, limit))
        rows = await cursor.fetchall()
    return [Item(**row) for row in rows]


@app.post("/items", status_code=201)
async def create_item(new: NewItem) -> Item:
    item = Item(id=uuid7(), created_at=datetime.now(UTC), **new.model_dump())
    values = (item.id, item.name, item.price_cents, item.stock, item.created_at)
    async with pool.connection() as connection:
        await connection.execute("INSERT INTO items VALUES (%s, %s, %s, %s, %s)", values)
    return item


@app.post("/orders", status_code=201)
async def create_order(new: NewOrder) -> Order:
    take = "UPDATE items SET stock = stock - %(quantity)s WHERE id = %(item_id)s AND stock >= %(quantity)s"
    async with pool.connection() as connection, connection.transaction():
        cursor = await connection.execute(f"{take} RETURNING price_cents", new.model_dump())
        taken = await cursor.fetchone()
        if taken is None:
            raise HTTPException(409)
        total_cents = new.quantity * taken["price_cents"]
        order = Order(id=uuid7(), total_cents=total_cents, created_at=datetime.now(UTC), **new.model_dump())
        values = (order.id, order.item_id, order.quantity, order.total_cents, order.created_at)
        await connection.execute("INSERT INTO orders VALUES (%s, %s, %s, %s, %s)", values)
    return order
