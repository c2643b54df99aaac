"""What the minimal apps take and give: the fields and limits of the rendered projects."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, Field, StringConstraints

MOST = 1_000_000_000
FIRST = UUID(int=0)

Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$"),
]
Count = Annotated[int, Field(strict=True, ge=0, le=MOST)]
Limit = Annotated[int, Query(ge=1, le=200)]


class NewItem(BaseModel):
    name: Name
    price_cents: Count
    stock: Count


class Item(BaseModel):
    id: UUID
    name: str
    price_cents: int
    stock: int
    created_at: datetime


class NewOrder(BaseModel):
    item_id: UUID
    quantity: Annotated[int, Field(strict=True, ge=1, le=MOST)]


class Order(BaseModel):
    id: UUID
    item_id: UUID
    quantity: int
    total_cents: int
    created_at: datetime
