"""The settings of the app, read from the environment and from `.env`."""

import os
import sys
from pathlib import Path
from textwrap import shorten
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app import plan
from app.database_url import DatabaseUrl, Tls, UrlError
from app.errors import RefusedError, UnavailableError, with_cause

_AnySettings = TypeVar("_AnySettings", bound=BaseSettings)
_TLS_BEYOND_THIS_MACHINE = {"auto": Tls.REQUIRE, "verify": Tls.VERIFY_FULL, "off": None}
STARTUP_FAILURE = 3  # uvicorn's own code: it does not start a worker again that ends with it


class LogSettings(BaseSettings):
    """How the log looks: needed before all else, and by processes that never open the database."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    log_format: Literal["text", "json"] = "text"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"


class Settings(BaseSettings):
    """What the environment says; each pool default is the plan's number (app/plan.py has the arithmetic).

    Times are seconds. The pool's limit is `pool_size + max_overflow` connections for this process.
    """

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    database_url: SecretStr | None = None
    database_url_file: Path | None = None  # without database_url: a file that holds it, such as a mounted secret
    replica_database_url: SecretStr | None = None  # a read replica, for reads that may lag
    replica_database_url_file: Path | None = None
    database_ca_file: Path | None = None  # certificates that the server's must be signed by
    # Beyond this machine, where the URL says nothing: encrypted; verified, by the system's authorities; or neither.
    database_tls: Literal["auto", "verify", "off"] = "auto"

    pool_size: Annotated[int, Field(ge=1)] = plan.POOL_SIZE
    max_overflow: Annotated[int, Field(ge=0)] = plan.MAX_OVERFLOW
    pool_timeout_seconds: Annotated[float, Field(gt=0)] = plan.POOL_TIMEOUT_SECONDS
    pool_max_waiting: Annotated[int, Field(ge=0)] = plan.POOL_MAX_WAITING
    pool_recycle_seconds: Annotated[float, Field(gt=0)] = plan.POOL_RECYCLE_SECONDS
    statement_timeout_seconds: Annotated[float, Field(gt=0)] = plan.STATEMENT_TIMEOUT_SECONDS

    max_body_bytes: Annotated[int, Field(gt=0)] = 2 * 1024 * 1024
    api_docs: bool = True  # whether /docs, /redoc and /openapi.json are there
    revision: str | None = None  # of the code; a deployment gives it, and asks which one serves
    revision_variable: str | None = None  # the name of another variable that holds it, which wins
    revision_file: Path = Path("REVISION")  # without revision: a file that holds it

    @model_validator(mode="after")
    def _require_usable_urls(self) -> Self:
        for name, settings in {self._url_name: self, "REPLICA_DATABASE_URL": self.replica}.items():
            if settings is not None:
                try:
                    settings._read_database().require_files()
                except UrlError as error:
                    raise ValueError(f"{name} {error}") from None
        return self

    @property
    def replica(self) -> Self | None:
        """The same with the read replica's URL, or None where there is no replica."""
        if self.replica_database_url is None and self.replica_database_url_file is None:
            return None
        urls = {"database_url": self.replica_database_url, "database_url_file": self.replica_database_url_file}
        return self.model_copy(update={**urls, "replica_database_url": None, "replica_database_url_file": None})

    @property
    def url(self) -> str:
        """The database's URL, with its password; a file is read anew each time. Raises UrlError."""
        return _given_url(self.database_url, self.database_url_file)

    @property
    def database(self) -> DatabaseUrl:
        """What to connect to now, and how to encrypt the way; UnavailableError.

        The URL's own word on TLS wins. Where it has none, the server is verified by database_ca_file; without such a
        file the way to another machine is as database_tls says.
        """
        try:
            return self._read_database()
        except UrlError as error:
            raise UnavailableError(f"{self._url_name} {error}") from error

    def explain(self, error: UnavailableError) -> str:
        """What went wrong, in one line, and what helps; for the log, not for clients."""
        said = shorten(with_cause(error), 1000)
        if isinstance(error.__cause__, UrlError):  # there is no URL to say more of
            return said
        words = said.lower()
        if isinstance(error, RefusedError):
            return f"{said}; where it is missing, this makes it: {self.database.commands[error.missing]}"
        if "certificate verify failed" in words:
            return f"{said}; DATABASE_CA_FILE names a file with the authority that signed it"
        if ("ssl" in words or "tls" in words) and self.database.is_tls_assumed:
            return f"{said}; on a network of your own, DATABASE_TLS=off does without encryption"
        return said

    @property
    def _url_name(self) -> str:
        return "DATABASE_URL"

    def _read_database(self) -> DatabaseUrl:
        from app.db.url import read_url  # not above: app.db imports this module

        url = read_url(self.url)
        ca_file = url.ca_file or (str(self.database_ca_file) if self.database_ca_file else None)
        default = _TLS_BEYOND_THIS_MACHINE[self.database_tls] if url.leads_away else None
        return url.protected(ca_file, default=default)

    @property
    def served_revision(self) -> str:
        """The revision of the code that this process runs, or "unknown"."""
        if self.revision_variable is not None and (named := os.environ.get(self.revision_variable)):
            return named
        if self.revision is not None:
            return self.revision
        try:
            return self.revision_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return "unknown"

    @property
    def pool_limit(self) -> int:
        """The most connections that this process opens for requests."""
        return self.pool_size + self.max_overflow

    @property
    def command_timeout_seconds(self) -> float:
        """How long a request may hold a connection: a little longer than the server lets a statement run."""
        return self.statement_timeout_seconds + (plan.COMMAND_TIMEOUT_SECONDS - plan.STATEMENT_TIMEOUT_SECONDS)


class MigrationSettings(Settings):
    """The same for app.migrate, whose role may change the schema: a URL of its own wins over the app's."""

    migration_database_url: SecretStr | None = None
    migration_database_url_file: Path | None = None

    @property
    def replica(self) -> None:
        """None: a replica gets its schema from the primary."""

    @property
    def url(self) -> str:
        """The URL that migrations use."""
        if self._url_name == "DATABASE_URL":
            return super().url
        return _given_url(self.migration_database_url, self.migration_database_url_file)

    @property
    def _url_name(self) -> str:
        has_own = self.migration_database_url is not None or self.migration_database_url_file is not None
        return "MIGRATION_DATABASE_URL" if has_own else "DATABASE_URL"


def _given_url(text: SecretStr | None, file: Path | None) -> str:
    if text is not None:
        return text.get_secret_value().strip()
    if file is None:
        raise UrlError("is not set, nor DATABASE_URL_FILE (.env.example shows how)")
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UrlError(f"cannot be read from {file}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise UrlError(f"cannot be read from {file}: it is no text in UTF-8") from None


def read_settings(**given: Any) -> Settings:
    """Read the settings, except those given, or end the process with what is wrong; never prints a value."""
    return _read(Settings, given)


def read_migration_settings() -> Settings:
    """The same for app.migrate."""
    return _read(MigrationSettings, {})


def read_log_settings() -> LogSettings:
    """The same for the log's settings."""
    return _read(LogSettings, {})


def _read(kind: type[_AnySettings], given: dict[str, Any]) -> _AnySettings:
    try:
        return kind(**given)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, e['loc'])).upper()} {e['msg']}".removeprefix(" Value error, ") for e in error.errors()
        ]
        print("settings: " + "; ".join(problems), file=sys.stderr)
        sys.exit(STARTUP_FAILURE)
