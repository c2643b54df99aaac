"""The steps that bring the database's collections and indexes up to date.

Add a step at the end; never change or remove one that has run somewhere. A step may be run again after it failed
midway, so each does nothing where its work is done. Building an index or a validator needs a role that may
(dbAdmin); the app itself needs readWrite only.
"""

from collections.abc import Awaitable, Callable

from app.db.driver import Document, MongoDatabase


async def items_and_orders(database: MongoDatabase) -> None:
    """The collections, what their documents hold, and their indexes."""
    count = {"bsonType": ["int", "long"], "minimum": 0}
    await _set_validator(database, "items", {"name": {"bsonType": "string"}, "price_cents": count, "stock": count})
    await _set_validator(database, "orders", {"item_id": {"bsonType": "binData"}, "quantity": count})
    await database["items"].create_index("name", name="items_name", unique=True)
    await database["orders"].create_index("item_id", name="orders_item_id")
    await database["orders"].create_index("created_at", name="orders_created_at")


STEPS: list[Callable[[MongoDatabase], Awaitable[None]]] = [items_and_orders]


async def _set_validator(database: MongoDatabase, collection: str, properties: Document) -> None:
    schema = {"bsonType": "object", "required": list(properties), "properties": properties}
    if collection not in await database.list_collection_names():
        await database.create_collection(collection)
    await database.command("collMod", collection, validator={"$jsonSchema": schema})
