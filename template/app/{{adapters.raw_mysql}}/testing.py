"""What the tests need beside the repository."""

from app.db.repository import MySqlRepository


async def run_slow_statement(repository: MySqlRepository, seconds: int) -> None:
    """Run a statement that takes that long for each stored item on the repository's connection."""
    # Not SELECT SLEEP(...) alone: MySQL ends that at its time limit without an error.
    await repository._fetch("SELECT id FROM items WHERE SLEEP(%s)", seconds)
