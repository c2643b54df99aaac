"""What PostgreSQL's error codes mean to the app: https://www.postgresql.org/docs/current/errcodes-appendix.html."""

from app.errors import AppError, RefusedError, StatementTimeoutError, UnavailableError

DEADLOCK = "40P01"
_TIMEOUT = "57014"  # query_canceled
_LOGIN = "28"  # invalid authorization: no such role, another password, not from this host
_NO_DATABASE = "3D000"
_NO_PRIVILEGE = "42501"
_UNAVAILABLE = (
    "08",  # connection exceptions
    "53",  # too many connections, out of memory or disk
    "57P",  # shutting down, crashed, starting up
    "40",  # serialization failure, deadlock
    "55P03",  # a lock was not to be had in time
)


def error_for_state(state: str | None) -> AppError | None:
    """The app's error for an SQLSTATE, or None where it has none."""
    if state == _TIMEOUT:
        return StatementTimeoutError("a statement took longer than its time limit")
    if state is not None and state.startswith(_LOGIN):
        return RefusedError("the server refuses the role or its password", "role")
    if state == _NO_DATABASE:
        return RefusedError("the server has no such database", "database")
    if state == _NO_PRIVILEGE:
        return RefusedError("the role may not do this", "privilege")
    if state is not None and state.startswith(_UNAVAILABLE):
        return UnavailableError("the database is not available now")
    return None
