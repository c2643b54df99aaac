"""What the routes know of the database: this interface. `app/db/` implements it."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol
from uuid import UUID

from fastapi import Request

from app.schemas import DayRevenue, Item, NewItem, NewOrder, Order


class Repository(Protocol):
    """The stored items and orders, on one connection that is borrowed for one request.

    Each method is a transaction of its own unless it is called inside `transaction()`. All raise UnavailableError and
    StatementTimeoutError.
    """

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """Make the calls inside one transaction: committed at the end, rolled back on any exception.

        Inside another one it is a savepoint, where the database has them: the README says what becomes of the rest.
        """

    async def create_item(self, new: NewItem) -> Item:
        """Store an item; ConflictError when its name exists."""

    async def get_item(self, item_id: UUID) -> Item:
        """Return an item; NotFoundError."""

    async def list_items(self, limit: int, after: UUID | None) -> list[Item]:
        """Return up to `limit` items in the order of their ids (the order of creation), from the one behind `after`."""

    async def update_item(self, item_id: UUID, changes: dict[str, str | int]) -> Item:
        """Change the named fields and return the item; NotFoundError, ConflictError when the new name exists."""

    async def delete_item(self, item_id: UUID) -> None:
        """Delete an item; NotFoundError, ConflictError while orders refer to it."""

    async def upsert_items(self, items: Sequence[NewItem]) -> None:
        """Store all items, replacing price and stock where the name exists: all of them or none."""

    async def create_order(self, new: NewOrder) -> Order:
        """Take the quantity from the item's stock and store the order; NotFoundError, ConflictError when too few."""

    async def revenue(self, since: datetime) -> list[DayRevenue]:
        """Return orders and revenue of each day (UTC) that had orders, from `since`, in the order of days."""


def borrowed_repository(request: Request) -> AbstractAsyncContextManager[Repository]:
    """Lend a repository for the length of an `async with` block, within the pool timeout; UnavailableError.

    Routes enter the block themselves and leave it before they answer: the connection is back in the pool before the
    response is sent, so a slow client holds none. (A `yield` dependency of FastAPI 0.165 costs a request 36 us more.)
    """
    lent: AbstractAsyncContextManager[Repository] = request.app.state.database.repository()
    return lent


def lagging_repository(request: Request) -> AbstractAsyncContextManager[Repository]:
    """Lend a repository on the read replica, where there is one: for reads that need not see the last writes."""
    lent: AbstractAsyncContextManager[Repository] = request.app.state.replica.repository()
    return lent
