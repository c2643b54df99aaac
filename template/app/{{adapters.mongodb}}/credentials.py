"""Credentials that change: new connections log in with what DATABASE_URL_FILE says when they are opened."""

from typing import Any

from pymongo.auth_shared import MongoCredential
from pymongo.pool_options import PoolOptions

from app.settings import Settings


def read_anew(client: Any, settings: Settings) -> None:
    """Let a client of PyMongo's read the user and the password for each new connection.

    PyMongo 4.20 keeps those that it was made with, and has no way to change them; all its pools ask these options.
    """
    options = client.options.pool_options
    if settings.database_url_file is None or type(options) is not PoolOptions or options._credentials is None:
        return
    given = options._credentials

    class RenewedOptions(PoolOptions):
        __slots__ = ()

        @property
        def _credentials(self) -> MongoCredential:
            nonlocal given
            url = settings.database
            if (url.user, url.password) != (given.username, given.password):
                given = given._replace(username=url.user, password=url.password, cache=type(given.cache)())
            return given

    options.__class__ = RenewedOptions
