"""What the tests need beside the repository."""

from app.db import dialect
from app.db.repository import DatabasesRepository


async def run_slow_statement(repository: DatabasesRepository, seconds: int) -> None:
    """Run a statement that takes about that long on the repository's connection."""
    await repository._connection.fetch_all(dialect.SLOW_STATEMENT, {"seconds": seconds})
