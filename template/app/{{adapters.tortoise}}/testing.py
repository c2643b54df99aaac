"""What the tests need beside the repository."""

from app.db import dialect
from app.db.repository import TortoiseRepository


async def run_slow_statement(repository: TortoiseRepository, seconds: int) -> None:
    """Run a statement that takes about that long on the repository's connection."""
    await repository._client.execute_query(dialect.SLOW_STATEMENT, [seconds])
