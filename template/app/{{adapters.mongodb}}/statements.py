"""What is written in MongoDB's own language."""

from datetime import UTC, datetime

from pymongo import UpdateOne
from uuid_utils.compat import uuid7

from app.db.driver import Document
from app.schemas import NewItem


def now() -> datetime:
    """The time with what MongoDB keeps of it, milliseconds."""
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def upsert_item(item: NewItem, created_at: datetime) -> UpdateOne:
    """Replace price and stock of the item of that name, or store it as a new one."""
    return UpdateOne(
        {"name": item.name},
        {
            "$set": {"price_cents": item.price_cents, "stock": item.stock},
            "$setOnInsert": {"_id": uuid7(), "created_at": created_at},
        },
        upsert=True,
    )


def revenue_by_day(since: datetime) -> list[Document]:
    """The aggregation of orders by day: its documents are {_id: the day's start, orders, revenue_cents}."""
    return [
        {"$match": {"created_at": {"$gte": since}}},
        {
            "$group": {
                "_id": {"$dateTrunc": {"date": "$created_at", "unit": "day"}},
                "orders": {"$sum": 1},
                "revenue_cents": {"$sum": "$total_cents"},
            }
        },
        {"$sort": {"_id": 1}},
    ]
