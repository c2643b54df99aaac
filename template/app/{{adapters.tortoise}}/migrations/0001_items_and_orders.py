"""Items and orders.

Constraints and indexes are operations of their own: Tortoise 1.1.9 creates no constraint that stands in the options of
CreateModel, and on SQLite each AddConstraint makes the table anew without its indexes.
"""

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations
from tortoise.migrations.constraints import CheckConstraint

from app.db.column_types import NameField


class Migration(migrations.Migration):
    initial = True

    operations = [
        operations.CreateModel(
            name="ItemRow",
            fields=[
                ("id", fields.UUIDField(primary_key=True)),
                ("name", NameField(200, unique=True)),
                ("price_cents", fields.BigIntField()),
                ("stock", fields.BigIntField()),
                ("created_at", fields.DatetimeField()),
            ],
            options={"table": "items", "app": "app"},
        ),
        operations.AddConstraint("ItemRow", CheckConstraint("price_cents >= 0", "items_price_cents")),
        operations.AddConstraint("ItemRow", CheckConstraint("stock >= 0", "items_stock")),
        operations.CreateModel(
            name="OrderRow",
            fields=[
                ("id", fields.UUIDField(primary_key=True)),
                (
                    "item",
                    fields.ForeignKeyField(
                        "app.ItemRow",
                        related_name=False,
                        on_delete=fields.RESTRICT,
                        source_field="item_id",
                        to_field="id",
                    ),
                ),
                ("quantity", fields.BigIntField()),
                ("total_cents", fields.BigIntField()),
                ("created_at", fields.DatetimeField()),
            ],
            options={"table": "orders", "app": "app"},
        ),
        operations.AddConstraint("OrderRow", CheckConstraint("quantity >= 1", "orders_quantity")),
        operations.AddIndex("OrderRow", Index(fields=("item_id",), name="orders_item_id")),
        operations.AddIndex("OrderRow", Index(fields=("created_at",), name="orders_created_at")),
    ]
