from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import ClassVar

from tests.servers.base import FreshData
from tests.servers.mysql import MySQL
from tests.servers.mysqld import mysqld

LOG_SIZE = "16M"


class OracleMySQL(MySQL):
    """As its base, of MySQL itself."""

    # The older table cannot be read while a statement with bytes in it runs.
    processes: ClassVar[str] = "performance_schema.processlist"

    def _account(self) -> None:
        """It runs as whoever runs the tests."""

    def _make_data(self, target: Path) -> None:
        _fresh_data().copy(target)

    def _command(self) -> Sequence[str]:
        return mysqld().command

    def _own_settings(self) -> dict[str, object]:
        return {
            "admin-address": "127.0.0.1",
            "admin-port": self._own_port,
            "performance-schema-instrument": "%=OFF",
            "innodb-redo-log-capacity": LOG_SIZE,
        }

    def _remove_anonymous_users(self) -> None:
        """It makes none."""

    def version(self) -> str:
        return f"MySQL {mysqld().version}"


@cache
def _fresh_data() -> FreshData:
    def initialize(target: Path) -> list[str]:
        settings = ["--innodb-doublewrite=OFF", f"--innodb-redo-log-capacity={LOG_SIZE}", f"--datadir={target}"]
        return [*mysqld().command, "--initialize-insecure", *settings]

    return FreshData("oracle-mysql", initialize, None)
