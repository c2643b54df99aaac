"""The lock that one migration has at a time."""

from collections.abc import Sequence
from typing import Any

from app.errors import UnavailableError

_WAIT_SECONDS = 600  # MariaDB knows no endless wait

# The name is one of the whole server's, at most 64 characters long: 8 and 56. MySQL 9.6 and newer have no MD5() and no
# SHA1(). The lock ends with the connection: no transaction could hold it, since MySQL commits with each change of the
# schema.
LOCK = f"SELECT GET_LOCK(CONCAT('migrate ', SHA2(DATABASE(), 224)), {_WAIT_SECONDS})"


def require_lock(rows: Sequence[Sequence[Any]]) -> None:
    """Return when the rows that LOCK gave say that it was had; UnavailableError."""
    if rows[0][0] != 1:
        raise UnavailableError(f"another migration has run for {_WAIT_SECONDS} s")
