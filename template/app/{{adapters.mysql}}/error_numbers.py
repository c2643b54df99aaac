"""What the error numbers of MySQL and MariaDB mean to the app.

https://dev.mysql.com/doc/mysql-errors/8.4/en/ and https://mariadb.com/kb/en/mariadb-error-code-reference/
"""

from app.errors import AppError, RefusedError, StatementTimeoutError, UnavailableError

DEADLOCK = 1213  # the server has rolled back the whole transaction, and asks to repeat it
NO_SUCH_TABLE = 1146

_TIMEOUTS = {
    1205,  # a lock was not to be had in time: MySQL's time limit for statements holds for SELECT only
    1317,  # interrupted
    1969,  # MariaDB's max_statement_time
    3024,  # MySQL's max_execution_time
}
_LOGIN = {
    1045,  # no such user, or another password
    1130,  # not from this host
    1698,  # the same as 1045 without a password
    1820,  # the password has to be changed
    1862,
    3118,  # the account is locked
}
_NO_DATABASE = {
    1044,  # not for this user
    1049,
}
_NO_PRIVILEGE = {
    1142,  # to use a table
    1143,  # a column
    1227,  # to administrate
    1370,  # a function
}
_UNAVAILABLE = {
    0,  # what the drivers say of a connection that is closed
    1040,  # too many connections
    1053,  # shutting down
    1129,  # this host is blocked
    1158,  # network errors, to 1161
    1159,
    1160,
    1161,
    1203,  # too many connections of this user
    DEADLOCK,
    1226,  # the same, by the user's own limit
    1290,  # read-only: the server is no longer the primary
    1836,  # the same
    1927,  # the connection was killed (MariaDB)
    2002,  # cannot connect
    2003,
    2006,  # gone away
    2013,  # lost during a query
    2014,  # out of sync
    2055,
    3169,  # the connection was killed (MySQL)
    4031,  # closed by the server after idleness (MySQL)
}


def error_for_number(number: object) -> AppError | None:
    """The app's error for the first argument of a driver's error, or None where it has none."""
    if number in _TIMEOUTS:
        return StatementTimeoutError("a statement took longer than its time limit")
    if number in _LOGIN:
        return RefusedError("the server refuses the user or its password", "role")
    if number in _NO_DATABASE:
        return RefusedError("the server has no such database for this user", "database")
    if number in _NO_PRIVILEGE:
        return RefusedError("the user may not do this", "privilege")
    if number in _UNAVAILABLE or not isinstance(number, int):  # the drivers number all that the server says
        return UnavailableError("the database is not available now")
    return None


def number(error: BaseException | None) -> object:
    """The server's number of a driver's error, or whatever the driver has in its place."""
    return error.args[0] if error is not None and error.args else 0
