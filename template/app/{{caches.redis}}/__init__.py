"""Items cached in Redis. Nothing outside this folder depends on it but app/factory.py, which makes CachedDatabase."""

from app.cache.database import CachedDatabase

__all__ = ["CachedDatabase"]
