"""The data layer: SQLAlchemy. Nothing outside this folder depends on it."""

from app.db.adapter import Adapter
from app.db.migrate import migrate

__all__ = ["Adapter", "migrate"]
