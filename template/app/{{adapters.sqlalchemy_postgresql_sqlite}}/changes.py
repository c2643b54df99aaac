"""Changes whose result the app needs: the statement itself returns it."""

from uuid import UUID

from sqlalchemy import RowMapping, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import ITEM_COLUMNS, ItemRow


async def change_item(session: AsyncSession, item_id: UUID, changes: dict[str, str | int]) -> RowMapping | None:
    """Change the named fields and return the item, or None where there is none."""
    statement = (
        update(ItemRow)
        .where(ItemRow.id == item_id)
        .values(**changes)
        .returning(*ITEM_COLUMNS)
        .execution_options(synchronize_session=False)
    )
    return (await session.execute(statement)).mappings().one_or_none()


async def take_from_stock(session: AsyncSession, item_id: UUID, quantity: int) -> int | None:
    """Take the quantity from the item's stock and return its price in cents, or None where there is not enough."""
    statement = (
        update(ItemRow)
        .where(ItemRow.id == item_id, ItemRow.stock >= quantity)
        .values(stock=ItemRow.stock - quantity)
        .returning(ItemRow.price_cents)
        .execution_options(synchronize_session=False)
    )
    return (await session.execute(statement)).scalar_one_or_none()
