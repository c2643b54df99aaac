"""The documents as they are stored. Their indexes and validators are the migration's (migrations.py)."""

from datetime import datetime
from uuid import UUID

from beanie import Document, init_beanie

from app.db.driver import MongoDatabase


class Documents:
    """The document classes of one database.

    They are made anew for each because Beanie 2.2 binds a class to the database that was initialized last: a second
    pool (a replica's, or that of a test) would take the documents of the first along.
    """

    def __init__(self) -> None:
        class ItemDocument(Document):
            id: UUID  # type: ignore[assignment]  # Beanie declares an ObjectId
            name: str
            price_cents: int
            stock: int
            created_at: datetime

            class Settings:
                name = "items"

        class OrderDocument(Document):
            id: UUID  # type: ignore[assignment]
            item_id: UUID
            quantity: int
            total_cents: int
            created_at: datetime

            class Settings:
                name = "orders"

        self.items = ItemDocument
        self.orders = OrderDocument

    async def bind(self, database: MongoDatabase) -> None:
        """Bind the classes to the database, in two round trips."""
        # skip_indexes: the app's role may not create any.
        await init_beanie(database, document_models=[self.items, self.orders], skip_indexes=True)
