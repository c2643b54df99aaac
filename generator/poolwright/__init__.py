"""Poolwright: FastAPI projects whose database connection pool fits the server."""
