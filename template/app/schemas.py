"""What the API takes and gives."""

from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema
from uuid_utils.compat import uuid7

MOST = 1_000_000_000
BULK_LIMIT = 1000
PAGE_LIMIT = 200


def _whole(number: Any) -> Any:
    """1.0 is an integer in JSON Schema, as in JSON, which has one kind of number; 1.5, "1" and true are none."""
    return int(number) if type(number) is float and number.is_integer() else number


_LETTER = r"[^\s\x00-\x1f\x7f-\x9f]"
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$"),
    # For OpenAPI, the same of the text with the white space around it.
    WithJsonSchema(
        {"type": "string", "pattern": rf"^\s*{_LETTER}([^\x00-\x1f\x7f-\x9f]" + "{0,198}" + rf"{_LETTER})?\s*$"},
        mode="validation",
    ),
]
Count = Annotated[int, Field(strict=True, ge=0, le=MOST), BeforeValidator(_whole)]
# No stock exceeds MOST, so a larger quantity is refused alike; clamped, it fits every database's integers.
Quantity = Annotated[int, Field(strict=True, ge=1), BeforeValidator(_whole), AfterValidator(lambda n: min(n, MOST + 1))]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewItem(_Input):
    name: Name
    price_cents: Count
    stock: Count


class ItemChanges(_Input):
    """The fields to change: those that were sent. The defaults are never read."""

    name: Name = ""
    price_cents: Count = 0
    stock: Count = 0

    def sent(self) -> dict[str, str | int]:
        """The changed fields by name."""
        return self.model_dump(exclude_unset=True)


class Item(BaseModel):
    id: UUID
    name: str
    price_cents: int
    stock: int
    created_at: datetime

    @classmethod
    def new(cls, new: NewItem, now: datetime) -> Self:
        """The item to store; ids are in the order of creation."""
        return cls(id=uuid7(), name=new.name, price_cents=new.price_cents, stock=new.stock, created_at=now)


def _each_name_once(items: list[NewItem]) -> list[NewItem]:
    if len({item.name for item in items}) < len(items):
        raise ValueError("a name stands twice in the list")
    return items


ItemList = Annotated[list[NewItem], Field(max_length=BULK_LIMIT), AfterValidator(_each_name_once)]


class Written(BaseModel):
    written: int


class NewOrder(_Input):
    item_id: UUID
    quantity: Quantity


class Order(BaseModel):
    id: UUID
    item_id: UUID
    quantity: int
    total_cents: int
    created_at: datetime

    @classmethod
    def new(cls, new: NewOrder, price_cents: int, now: datetime) -> Self:
        """The order to store."""
        total_cents = new.quantity * price_cents
        return cls(id=uuid7(), item_id=new.item_id, quantity=new.quantity, total_cents=total_cents, created_at=now)


class DayRevenue(BaseModel):
    day: date
    orders: int
    revenue_cents: int
