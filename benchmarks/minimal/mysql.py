"""FastAPI on asyncmy or aiomysql, whose interfaces are the same: DRIVER names one."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import FastAPI, HTTPException
from schemas import FIRST, Item, Limit, NewItem, NewOrder, Order
from uuid_utils.compat import uuid7

TABLES = (
    """
    CREATE TABLE items (
        id BINARY(16) PRIMARY KEY, name VARCHAR(200) COLLATE utf8mb4_bin NOT NULL UNIQUE, price_cents BIGINT NOT NULL,
        stock BIGINT NOT NULL, created_at DATETIME(6) NOT NULL
    )
    """,
    """
    CREATE TABLE orders (
        id BINARY(16) PRIMARY KEY, item_id BINARY(16) NOT NULL, quantity BIGINT NOT NULL, total_cents BIGINT NOT NULL,
        created_at DATETIME(6) NOT NULL, INDEX (item_id), INDEX (created_at),
        FOREIGN KEY (item_id) REFERENCES items (id)
    )
    """,
)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    global pool
    size = int(os.environ["POOL_SIZE"])
    url = urlsplit(os.environ["DATABASE_URL"])
    address = {"host": url.hostname, "port": url.port, "user": url.username, "password": url.password or ""}
    connect = {**address, "db": url.path[1:], "charset": "utf8mb4", "autocommit": True}
    driver = import_module(os.environ["DRIVER"])
    async with driver.create_pool(minsize=size, maxsize=size, **connect) as pool:
        async with pool.acquire() as connection, connection.cursor() as cursor:
            for statement in TABLES:
                await cursor.execute(statement)
        yield


pool: Any
app = FastAPI(lifespan=lifespan)


@app.get("/items/{item_id}")
async def get_item(item_id: UUID) -> Item:
    async with pool.acquire() as connection, connection.cursor() as cursor:
        await cursor.execute("SELECT * FROM items WHERE id = %s", (item_id.bytes,))
        row = await cursor.fetchone()
    if row is None:
        raise HTTPException(404)
    return read(row)


@app.get("/items")
async def list_items(limit: Limit = 50, after: UUID = FIRST) -> list[Item]:
    async with pool.acquire() as connection, connection.cursor() as cursor:
        await cursor.execute("SELECT * FROM items WHERE id > %s ORDER BY id LIMIT %s", (after.bytes, limit))
        rows = await cursor.fetchall()
    return [read(row) for row in rows]


@app.post("/items", status_code=201)
async def create_item(new: NewItem) -> Item:
    item = Item(id=uuid7(), created_at=datetime.now(UTC), **new.model_dump())
    values = (item.id.bytes, item.name, item.price_cents, item.stock, item.created_at)
    async with pool.acquire() as connection, connection.cursor() as cursor:
        await cursor.execute("INSERT INTO items VALUES (%s, %s, %s, %s, %s)", values)
    return item


@app.post("/orders", status_code=201)
async def create_order(new: NewOrder) -> Order:
    take = (
        "UPDATE items SET stock = stock - %s, price_cents = LAST_INSERT_ID(price_cents) WHERE id = %s AND stock >= %s"
    )
    async with pool.acquire() as connection, connection.cursor() as cursor:
        await connection.begin()
        try:
            await cursor.execute(take, (new.quantity, new.item_id.bytes, new.quantity))
            if not cursor.rowcount:
                raise HTTPException(409)
            total_cents = new.quantity * cursor.lastrowid
            order = Order(id=uuid7(), total_cents=total_cents, created_at=datetime.now(UTC), **new.model_dump())
            values = (order.id.bytes, order.item_id.bytes, order.quantity, order.total_cents, order.created_at)
            await cursor.execute("INSERT INTO orders VALUES (%s, %s, %s, %s, %s)", values)
        except BaseException:
            await connection.rollback()
            raise
        await connection.commit()
    return order


def read(row: tuple[Any, ...]) -> Item:
    id_, name, price_cents, stock, created_at = row
    created_at = created_at.replace(tzinfo=UTC)
    return Item(id=UUID(bytes=id_), name=name, price_cents=price_cents, stock=stock, created_at=created_at)
