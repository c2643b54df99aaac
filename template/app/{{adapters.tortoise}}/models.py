"""The tables.

After a change here: `python -m tortoise -c app.db.registry.CONFIG makemigrations -n "what changed"`, and
`ruff check --fix --quiet`, `ruff format --quiet`.
"""

from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint
from tortoise.models import Model

from app.db.column_types import NameField


class ItemRow(Model):
    id = fields.UUIDField(primary_key=True)
    name = NameField(200, unique=True)
    price_cents = fields.BigIntField()
    stock = fields.BigIntField()
    created_at = fields.DatetimeField()

    class Meta:
        table = "items"
        constraints = (
            CheckConstraint("price_cents >= 0", "items_price_cents"),
            CheckConstraint("stock >= 0", "items_stock"),
        )


class OrderRow(Model):
    id = fields.UUIDField(primary_key=True)
    item: fields.ForeignKeyRelation[ItemRow] = fields.ForeignKeyField(
        "app.ItemRow", related_name=False, on_delete=fields.RESTRICT
    )
    quantity = fields.BigIntField()
    total_cents = fields.BigIntField()
    created_at = fields.DatetimeField()

    class Meta:
        table = "orders"
        constraints = (CheckConstraint("quantity >= 1", "orders_quantity"),)
        indexes = (
            Index(fields=("item_id",), name="orders_item_id"),
            Index(fields=("created_at",), name="orders_created_at"),
        )
