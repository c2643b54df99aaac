"""What the tests need beside the repository."""

from app.db.repository import PsycopgRepository


async def run_slow_statement(repository: PsycopgRepository, seconds: int) -> None:
    """Run a statement that takes that long on the repository's connection."""
    await repository._connection.execute("SELECT pg_sleep(%s)", [seconds])
