"""The settings of the app, read from the environment and from `.env`."""

import re
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app import plan

_AnySettings = TypeVar("_AnySettings", bound=BaseSettings)
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
    database_tls: Literal["auto", "off"] = "auto"  # off: no TLS beyond this machine either, on a network of your own

    pool_size: Annotated[int, Field(ge=1)] = plan.POOL_SIZE
    max_overflow: Annotated[int, Field(ge=0)] = plan.MAX_OVERFLOW
    pool_timeout_seconds: Annotated[float, Field(gt=0)] = plan.POOL_TIMEOUT_SECONDS
    pool_max_waiting: Annotated[int, Field(ge=0)] = plan.POOL_MAX_WAITING
    pool_recycle_seconds: Annotated[float, Field(gt=0)] = plan.POOL_RECYCLE_SECONDS
    statement_timeout_seconds: Annotated[float, Field(gt=0)] = plan.STATEMENT_TIMEOUT_SECONDS

    max_body_bytes: Annotated[int, Field(gt=0)] = 2 * 1024 * 1024
    api_docs: bool = True  # whether /docs, /redoc and /openapi.json are there

    @model_validator(mode="after")
    def _require_a_usable_url(self) -> Self:
        for name, settings in {"DATABASE_URL": self, "REPLICA_DATABASE_URL": self.replica}.items():
            scheme = plan.URL_SCHEME if settings is None else settings.url.partition("://")[0]
            if scheme != plan.URL_SCHEME:
                raise ValueError(f"{name} starts with {plan.URL_SCHEME}://, not {scheme[:20]}://")
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
        """The database's URL, with its password."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        if self.database_url_file is not None:
            return self.database_url_file.read_text(encoding="utf-8").strip()
        raise ValueError("set DATABASE_URL or DATABASE_URL_FILE (.env.example shows how)")

    @property
    def requires_tls(self) -> bool:
        """Whether connections are encrypted and the server verified: by database_ca_file, else by the system's.

        So it is beyond this machine, unless the URL itself says how (sslmode, tls) or database_tls is off.
        """
        return self.database_ca_file is not None or (self.database_tls != "off" and _leads_away(self.url))

    @property
    def pool_limit(self) -> int:
        """The most connections that this process opens for requests."""
        return self.pool_size + self.max_overflow

    @property
    def command_timeout_seconds(self) -> float:
        """How long a request may hold a connection: a little longer than the server lets a statement run."""
        return self.statement_timeout_seconds + (plan.COMMAND_TIMEOUT_SECONDS - plan.STATEMENT_TIMEOUT_SECONDS)


def _leads_away(url: str) -> bool:
    """Whether a host of the URL is another machine, and the URL does not say itself how to encrypt the way."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    if query.keys() & {"sslmode", "ssl", "tls"}:
        return False
    hosts = [re.sub(r":\d*$", "", host).strip("[]") for host in parts.netloc.rpartition("@")[2].split(",")]
    if given := query.get("host", query.get("unix_socket")):
        hosts = given.split(",")
    return not all(map(_is_here, hosts))


def _is_here(host: str) -> bool:
    if host in ("", "localhost") or unquote(host).startswith("/"):  # a path is a socket
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def read_settings(**given: Any) -> Settings:
    """Read the settings, except those given, or end the process with what is wrong; never prints a value."""
    return _read(Settings, given)


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
