"""The column types that databases have differently."""

from sqlalchemy import DateTime, String, Uuid

ID = Uuid()
NAME = String(200)
MOMENT = DateTime(timezone=True)
