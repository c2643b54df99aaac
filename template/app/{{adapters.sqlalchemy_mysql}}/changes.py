"""Changes whose result the app needs, where an UPDATE returns no rows."""

from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, RowMapping, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import ITEM_COLUMNS, ItemRow


async def change_item(session: AsyncSession, item_id: UUID, changes: dict[str, str | int]) -> RowMapping | None:
    """Change the named fields and return the item, or None where there is none."""
    statement = (
        update(ItemRow).where(ItemRow.id == item_id).values(**changes).execution_options(synchronize_session=False)
    )
    await session.execute(statement)
    result = await session.execute(select(*ITEM_COLUMNS).where(ItemRow.id == item_id))
    return result.mappings().one_or_none()


async def take_from_stock(session: AsyncSession, item_id: UUID, quantity: int) -> int | None:
    """Take the quantity from the item's stock and return its price in cents, or None where there is not enough.

    The price comes back as the "last inserted id", which any statement can set: one round trip instead of two.
    """
    statement = (
        update(ItemRow)
        .where(ItemRow.id == item_id, ItemRow.stock >= quantity)
        .values(stock=ItemRow.stock - quantity, price_cents=func.last_insert_id(ItemRow.price_cents))
        .execution_options(synchronize_session=False)
    )
    result = cast(CursorResult[Any], await session.execute(statement))
    return result.lastrowid if result.rowcount else None
