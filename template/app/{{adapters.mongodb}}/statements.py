"""What is written in MongoDB's own language."""

from datetime import UTC, datetime

from pymongo import UpdateOne
from uuid_utils.compat import uuid7

from app.db.driver import Document
from app.schemas import DayRevenue, NewItem


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
    """The aggregation of orders by day, for day_revenue."""
    return [
        {"$match": {"created_at": {"$gte": since}}},
        {
            "$group": {
                "_id": {"$dateTrunc": {"date": "$created_at", "unit": "day"}},
                "orders": {"$sum": 1},
                # Exact up to 10^34; a sum of integers becomes a float above 2^63.
                "revenue_cents": {"$sum": {"$toDecimal": "$total_cents"}},
            }
        },
        {"$sort": {"_id": 1}},
    ]


def day_revenue(document: Document) -> DayRevenue:
    """What the aggregation found of a day."""
    cents = int(document["revenue_cents"].to_decimal())
    return DayRevenue(day=document["_id"].date(), orders=document["orders"], revenue_cents=cents)
