"""What the tests need beside the repository."""

from app.db import dialect
from app.db.repository import SqlAlchemyRepository


async def run_slow_statement(repository: SqlAlchemyRepository, seconds: int) -> None:
    """Run a statement that takes about that long on the repository's connection."""
    await repository._session.execute(dialect.SLOW_STATEMENT, {"seconds": seconds})
