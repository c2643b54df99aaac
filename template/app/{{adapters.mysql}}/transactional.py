"""Transactions on a driver's connection, which has none but its three statements."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


class Transactional:
    """Mixed into a driver's connection.

    A connection that is cancelled while it waits for an answer closes itself (both drivers do), and the server rolls
    back.
    """

    close: Any
    get_transaction_status: Any
    depth = 0  # how many transactions are open, one inside the other
    run_limited: Any = None  # awaits a statement that the server itself would not stop (see time_limit.py)

    def is_broken(self) -> bool:
        """Whether the connection is known to be closed, from here or from the server."""
        raise NotImplementedError

    async def query(self, *arguments: Any, **options: Any) -> Any:
        """Run a statement, as the driver's own method does."""
        statement = super().query(*arguments, **options)  # type: ignore[misc]
        return await (statement if self.run_limited is None else self.run_limited(statement))

    async def commit(self) -> None:
        """Commit where a transaction is open, which each answer of the server tells: else it costs no round trip."""
        if self.get_transaction_status() or self.is_broken():
            await self.query("COMMIT")

    async def rollback(self) -> None:
        """Roll back where a transaction is open."""
        if self.get_transaction_status() or self.is_broken():
            await self.query("ROLLBACK")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """One transaction; inside another one, a savepoint: an inner rollback keeps the outer work."""
        savepoint = f"SAVEPOINT level_{self.depth}"
        begin, commit, roll_back = "BEGIN", "COMMIT", "ROLLBACK"
        if self.depth:
            begin, commit, roll_back = savepoint, f"RELEASE {savepoint}", f"ROLLBACK TO {savepoint}"
        await self.query(begin)
        self.depth += 1
        try:
            yield
            await self.query(commit)
        except Exception:
            await self._roll_back(roll_back)
            raise
        except BaseException:
            self.close()  # cancelled: the server rolls back, and nobody has to wait for its answer
            raise
        finally:
            self.depth -= 1

    async def _roll_back(self, statement: str) -> None:
        try:
            await self.query(statement)
        except Exception:
            # A deadlock has undone the savepoint and all around it, or the server is gone. Whoever goes on must not do
            # so outside of a transaction.
            self.close()
