"""Alembic's environment: runs on the connection of app/db/migrate.py, or on one of its own for the command line."""

import asyncio
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection
from sqlalchemy.pool import NullPool

from app.db import driver
from app.db.models import Base
from app.settings import read_migration_settings


def render_item(kind: str, item: Any, autogen_context: AutogenContext) -> Literal[False]:
    """Import the module of a column type that is not SQLAlchemy's own; Alembic writes the type itself."""
    module = type(item).__module__
    if kind == "type" and not module.startswith("sqlalchemy."):
        autogen_context.imports.add(f"import {module}")
    return False


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_server_default=True,
        render_item=render_item,
        render_as_batch=connection.dialect.name == "sqlite",  # it cannot alter a column in place
    )
    with context.begin_transaction():
        context.run_migrations()


async def connect_and_run() -> None:
    engine = driver.create_engine(read_migration_settings(), time_limits=False, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(run)
    await engine.dispose()


if context.is_offline_mode():
    raise SystemExit("offline mode is not set up: migrations run on the connection of the app")
if (given := context.config.attributes.get("connection")) is not None:
    run(given)
else:
    asyncio.run(connect_and_run())
