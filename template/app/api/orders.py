"""Orders: place one, and the revenue of the last days."""

from datetime import UTC, datetime, time, timedelta
from typing import Annotated

from fastapi import Query, Request

from app.repository import borrowed_repository, lagging_repository
from app.schemas import DayRevenue, NewOrder, Order


async def create_order(request: Request, new: NewOrder) -> Order:
    async with borrowed_repository(request) as repository:
        return await repository.create_order(new)


async def revenue(request: Request, days: Annotated[int, Query(ge=1, le=3650)] = 30) -> list[DayRevenue]:
    """The last `days` days, today included, in UTC; days without orders are left out."""
    first_day = datetime.now(UTC).date() - timedelta(days=days - 1)
    async with lagging_repository(request) as repository:
        return await repository.revenue(datetime.combine(first_day, time.min, UTC))
