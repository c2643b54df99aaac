"""The translation of the driver's errors into the app's."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.db.connecting import Error
from app.db.error_numbers import error_for_number, number
from app.errors import UnavailableError


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn what the driver and the network raise into the app's errors."""
    try:
        yield
    except Error as error:
        translated = error_for_number(number(error))
        if translated is None:
            raise
        raise translated from error
    except TimeoutError:
        raise  # the deadline of the request, which is an OSError too
    except OSError as error:
        raise UnavailableError(f"no connection to the database: {error}") from error
