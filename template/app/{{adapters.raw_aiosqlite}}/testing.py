"""What the tests need beside the repository."""

from app.db.repository import AiosqliteRepository
from app.db.statements import SLOW_STATEMENT


async def run_slow_statement(repository: AiosqliteRepository, seconds: int) -> None:
    """Run a statement that takes about that long on the repository's connection."""
    await repository._connection.fetch(SLOW_STATEMENT, {"seconds": seconds})
