"""What the tests need beside the repository."""

from app.db.repository import BeanieRepository


async def run_slow_statement(repository: BeanieRepository, seconds: int) -> None:
    """Run an operation that takes that long for each stored item."""
    await repository._items.find_one({"$where": f"sleep({seconds * 1000}) || true"})
