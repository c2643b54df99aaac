"""FastAPI on SQLAlchemy's asynchronous sessions, with any driver: DRIVER names one."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fastapi import FastAPI, HTTPException
from schemas import FIRST, Item, Limit, NewItem, NewOrder, Order
from sqlalchemy import BigInteger, DateTime, ForeignKey, String, event, func, insert, select, update
from sqlalchemy.dialects.mysql import DATETIME
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from uuid_utils.compat import uuid7

DRIVER = os.environ["DRIVER"]
URL = make_url(os.environ["DATABASE_URL"])
MYSQL = URL.get_backend_name() == "mysql"
SQLITE = URL.get_backend_name() == "sqlite"


class Base(DeclarativeBase):
    pass


class ItemRow(Base):
    __tablename__ = "items"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200, collation="utf8mb4_bin" if MYSQL else None), unique=True)
    price_cents: Mapped[int] = mapped_column(BigInteger)
    stock: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(DATETIME(fsp=6) if MYSQL else DateTime(timezone=True))


class OrderRow(Base):
    __tablename__ = "orders"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    item_id: Mapped[UUID] = mapped_column(ForeignKey("items.id"), index=True)
    quantity: Mapped[int] = mapped_column(BigInteger)
    total_cents: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(DATETIME(fsp=6) if MYSQL else DateTime(timezone=True), index=True)


COLUMNS = (ItemRow.id, ItemRow.name, ItemRow.price_cents, ItemRow.stock, ItemRow.created_at)

size = int(os.environ["POOL_SIZE"])
options = {"connect_args": {"isolation_level": None}} if SQLITE else {}
engine = create_async_engine(
    URL.set(drivername=f"{URL.get_backend_name()}+{DRIVER}"),
    pool_size=size,
    skip_autocommit_rollback=True,  # what was not begun needs no ROLLBACK, a round trip
    **options,
)
# Single statements without BEGIN and COMMIT: one round trip instead of three.
single_statements = async_sessionmaker(
    engine if SQLITE else engine.execution_options(isolation_level="AUTOCOMMIT"),
)
transactions = async_sessionmaker(
    engine.execution_options(begin_immediately=True),
)


if SQLITE:

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: Any, _: Any) -> None:
        for setting in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {setting}").close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        if connection.get_execution_options().get("begin_immediately"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.get("/items/{item_id}")
async def get_item(item_id: UUID) -> Item:
    async with single_statements() as session:
        row = (await session.execute(select(*COLUMNS).where(ItemRow.id == item_id))).one_or_none()
    if row is None:
        raise HTTPException(404)
    return Item(**row._mapping)


@app.get("/items")
async def list_items(limit: Limit = 50, after: UUID = FIRST) -> list[Item]:
    async with single_statements() as session:
        rows = await session.execute(select(*COLUMNS).where(ItemRow.id > after).order_by(ItemRow.id).limit(limit))
    return [Item(**row._mapping) for row in rows]


@app.post("/items", status_code=201)
async def create_item(new: NewItem) -> Item:
    item = Item(id=uuid7(), created_at=datetime.now(UTC), **new.model_dump())
    async with single_statements() as session:
        await session.execute(insert(ItemRow).values(**dict(item)))
    return item


@app.post("/orders", status_code=201)
async def create_order(new: NewOrder) -> Order:
    changes: dict[str, Any] = {"stock": ItemRow.stock - new.quantity}
    if MYSQL:  # its UPDATE returns no rows: the price comes back as the "last inserted id"
        changes["price_cents"] = func.last_insert_id(ItemRow.price_cents)
    take = update(ItemRow).where(ItemRow.id == new.item_id, ItemRow.stock >= new.quantity).values(**changes)
    take = take.execution_options(synchronize_session=False)
    async with transactions() as session, session.begin():
        result = await session.execute(take if MYSQL else take.returning(ItemRow.price_cents))
        price_cents = result.lastrowid if MYSQL else result.scalar()
        if not price_cents:
            raise HTTPException(409)
        total_cents = new.quantity * price_cents
        order = Order(id=uuid7(), total_cents=total_cents, created_at=datetime.now(UTC), **new.model_dump())
        await session.execute(insert(OrderRow).values(**dict(order)))
    return order
