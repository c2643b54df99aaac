"""FastAPI on aiosqlite, with a stack of open connections: a connection for each request costs three times as much."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aiosqlite
from fastapi import FastAPI, HTTPException
from schemas import FIRST, Item, Limit, NewItem, NewOrder, Order
from uuid_utils.compat import uuid7

SETTINGS = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA foreign_keys = ON;
"""
TABLES = """
    CREATE TABLE items (
        id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, price_cents INTEGER NOT NULL, stock INTEGER NOT NULL,
        created_at TEXT NOT NULL
    );
    CREATE TABLE orders (
        id TEXT PRIMARY KEY, item_id TEXT NOT NULL REFERENCES items (id), quantity INTEGER NOT NULL,
        total_cents INTEGER NOT NULL, created_at TEXT NOT NULL
    );
    CREATE INDEX orders_item_id ON orders (item_id);
    CREATE INDEX orders_created_at ON orders (created_at);
"""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    path = os.environ["DATABASE_URL"].removeprefix("sqlite:///")
    for _ in range(int(os.environ["POOL_SIZE"])):
        connection = await aiosqlite.connect(path, isolation_level=None, timeout=15)
        await connection.executescript(SETTINGS)
        pool.put_nowait(connection)
    async with acquire() as connection:
        await connection.executescript(TABLES)
    yield
    while not pool.empty():
        await pool.get_nowait().close()


@asynccontextmanager
async def acquire() -> AsyncIterator[aiosqlite.Connection]:
    connection = await pool.get()
    try:
        yield connection
    finally:
        pool.put_nowait(connection)


pool: asyncio.LifoQueue[aiosqlite.Connection] = asyncio.LifoQueue()
app = FastAPI(lifespan=lifespan)


@app.get("/items/{item_id}")
async def get_item(item_id: UUID) -> Item:
    async with acquire() as connection:
        rows = await connection.execute_fetchall("SELECT * FROM items WHERE id = ?", (str(item_id),))
    for row in rows:
        return read(row)
    raise HTTPException(404)


@app.get("/items")
async def list_items(limit: Limit = 50, after: UUID = FIRST) -> list[Item]:
    statement = "SELECT * FROM items WHERE id > ? ORDER BY id LIMIT ?"
    async with acquire() as connection:
        rows = await connection.execute_fetchall(statement, (str(after), limit))
    return [read(row) for row in rows]


@app.post("/items", status_code=201)
async def create_item(new: NewItem) -> Item:
    item = Item(id=uuid7(), created_at=datetime.now(UTC), **new.model_dump())
    values = (str(item.id), item.name, item.price_cents, item.stock, item.created_at.isoformat())
    async with acquire() as connection:
        await connection.execute_insert("INSERT INTO items VALUES (?, ?, ?, ?, ?)", values)
    return item


@app.post("/orders", status_code=201)
async def create_order(new: NewOrder) -> Order:
    take = "UPDATE items SET stock = stock - ?1 WHERE id = ?2 AND stock >= ?1 RETURNING price_cents"
    async with acquire() as connection:
        await connection.execute("BEGIN IMMEDIATE")
        try:
            taken = list(await connection.execute_fetchall(take, (new.quantity, str(new.item_id))))
            if not taken:
                raise HTTPException(409)
            total_cents = new.quantity * taken[0][0]
            order = Order(id=uuid7(), total_cents=total_cents, created_at=datetime.now(UTC), **new.model_dump())
            values = (str(order.id), str(order.item_id), order.quantity, total_cents, order.created_at.isoformat())
            await connection.execute_insert("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", values)
        except BaseException:
            await connection.rollback()
            raise
        await connection.commit()
    return order


def read(row: Any) -> Item:
    id_, name, price_cents, stock, created_at = row
    return Item(id=id_, name=name, price_cents=price_cents, stock=stock, created_at=created_at)
