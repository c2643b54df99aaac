"""How the client connects, and the translation of PyMongo's errors into the app's."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from app import plan
from app.database_url import SYSTEM, Tls
from app.db import driver
from app.errors import RefusedError, StatementTimeoutError, UnavailableError
from app.settings import Settings

_DEFAULT_DATABASE = "app"  # where the URL names none
_AUTHENTICATION_FAILED = (18, 8000)  # the second is Atlas'
_UNAUTHORIZED = 13


def client_options(settings: Settings, *, time_limits: bool) -> dict[str, Any]:
    """Everything about a client but the address and its pool; it wins over the same in the URL. UnavailableError.

    Besides its pool it opens up to two monitoring connections to each server, which the plan counts.
    time_limits: whether operations are stopped after the statement timeout, by the server (maxTimeMS) and here.
    """
    milliseconds = round(settings.statement_timeout_seconds * 1000)
    url = settings.database
    given: dict[str, Any] = {"username": url.user, "password": url.password}
    if url.tls is not None:
        given["tls"] = url.tls is not Tls.OFF
    if given.get("tls"):
        given |= {"tlsCAFile": url.ca_file if url.ca_file != SYSTEM else None}
        given |= {"tlsCertificateKeyFile": url.client_certificate}
    if url.is_tls_assumed:
        given["tlsAllowInvalidCertificates"] = True
    return {
        **{name: value for name, value in given.items() if value not in (None, "")},
        "appname": f"app-{os.getpid()}",
        "connectTimeoutMS": plan.CONNECT_TIMEOUT_SECONDS * 1000,
        "serverSelectionTimeoutMS": round(settings.pool_timeout_seconds * 1000),
        # Where the process may stand still (Lambda, Cloud Run) the driver asks the server, on one connection less.
        "serverMonitoringMode": "auto",
        "timeoutMS": milliseconds if time_limits else None,
        "tz_aware": True,
        "uuidRepresentation": "standard",
    }


def app_database(client: driver.Client) -> driver.MongoDatabase:
    """The database that the URL names."""
    return client.get_default_database(_DEFAULT_DATABASE)


@asynccontextmanager
async def short_lived_client(url: str, **options: Any) -> AsyncIterator[driver.Client]:
    """A client with a single connection besides its two monitors, closed at the end."""
    client = driver.make_client(url, maxPoolSize=1, minPoolSize=0, **options)
    try:
        yield client
    finally:
        await driver.close_client(client)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn what PyMongo raises into the app's errors."""
    try:
        yield
    except ServerSelectionTimeoutError as error:
        raise UnavailableError("no database server can be reached") from error
    except (ExecutionTimeout, NetworkTimeout) as error:
        raise StatementTimeoutError("an operation took longer than its time limit") from error
    except ConnectionFailure as error:  # a wait for the pool that took too long is one of these
        raise UnavailableError("the database is not available now") from error
    except ConfigurationError as error:  # the names of a mongodb+srv URL cannot be looked up
        raise UnavailableError(f"no database server can be found: {error}") from error
    except PyMongoError as error:
        if isinstance(error, OperationFailure) and _refuses_login(error):
            raise RefusedError("the server refuses the user or its password", "role") from error
        if isinstance(error, OperationFailure) and error.code == _UNAUTHORIZED:
            raise RefusedError("the user may not do this", "privilege") from error
        if error.has_error_label("TransientTransactionError"):
            raise UnavailableError("the transaction met others too often") from error
        raise


def _refuses_login(error: OperationFailure) -> bool:
    # The server says the same number of a user who may not do something.
    unknown = error.code == _UNAUTHORIZED and "requires authentication" in str(error)
    return unknown or error.code in _AUTHENTICATION_FAILED
