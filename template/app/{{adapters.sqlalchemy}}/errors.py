"""The translation of SQLAlchemy's errors into the app's."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.db import dialect, driver
from app.errors import UnavailableError


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn what SQLAlchemy and the driver raise into the app's errors."""
    try:
        yield
    except PoolTimeoutError as error:
        raise UnavailableError("no database connection came free in time") from error
    except driver.BROKEN as error:
        raise UnavailableError("the connection broke") from error
    except DBAPIError as error:
        translated = dialect.error_for(error)
        if translated is None:
            raise
        raise translated from error
