import contextlib
import datetime
import sqlite3
from collections.abc import Iterator

from tests.servers.base import Database


class SQLite(Database):
    """A file for each database: no server to start, kill or count connections of."""

    def __init__(self) -> None:
        super().__init__("sqlite")

    def start(self) -> None:
        pass

    def url(self, database: str) -> str:
        return f"sqlite:///{self._directory / database}"

    def version(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}"

    def databases(self) -> set[str]:
        return {path.name for path in self._directory.glob("*.db")}

    def idle_in_transaction(self, database: str) -> int:
        """1 if somebody holds the write lock, else 0."""
        try:
            with self.blocked(database, seconds=0):
                return 0
        except sqlite3.OperationalError:
            return 1

    @contextlib.contextmanager
    def blocked(self, database: str, seconds: float, table: str = "items") -> Iterator[None]:
        """Writes to any table wait until the block is left; readers never wait for a writer in WAL mode."""
        with contextlib.closing(self._connect(database, seconds)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")

    def _connect(self, database: str, wait_seconds: float) -> sqlite3.Connection:
        file = self._directory / database
        return sqlite3.connect(file, isolation_level=None, timeout=wait_seconds)

    def age_orders(self, database: str, days: int) -> None:
        with contextlib.closing(self._connect(database, 10)) as connection:
            for row, text in connection.execute("SELECT rowid, created_at FROM orders").fetchall():
                older = datetime.date.fromisoformat(text[:10]) - datetime.timedelta(days)
                connection.execute("UPDATE orders SET created_at = ? WHERE rowid = ?", (f"{older}{text[10:]}", row))
