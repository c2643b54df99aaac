"""A database's URL as providers hand it out, taken apart; app/db/url.py knows the parameters of the project's database.

No error here holds a piece of the URL that could be one of the password.
"""

import ssl
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from ipaddress import ip_address
from typing import NamedTuple, Self
from urllib.parse import unquote

SYSTEM = "system"  # in place of a file of certificates: the operating system's


class UrlError(ValueError):
    """A URL that cannot be used; the message goes on after the name of the setting."""


class Tls(StrEnum):
    """How the way to the server is encrypted and the server verified, in libpq's words."""

    OFF = "disable"
    ALLOW = "allow"  # where the server insists
    PREFER = "prefer"  # where the server can
    REQUIRE = "require"  # encrypted, whoever the server is
    VERIFY_CA = "verify-ca"  # with a certificate that was signed by the authority, for whatever name
    VERIFY_FULL = "verify-full"  # with a certificate for the host's name


class Host(NamedTuple):
    """A server's name or address and its port; a name that begins with / is a socket's path."""

    name: str
    port: int

    @property
    def is_socket(self) -> bool:
        """Whether it is a path on this machine."""
        return self.name.startswith("/")

    @property
    def is_here(self) -> bool:
        """Whether it is this machine."""
        if self.is_socket or self.name == "localhost":
            return True
        try:
            return ip_address(self.name).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True)
class DatabaseUrl:
    """What a URL says, in no library's words.

    hosts: none where the driver's own default holds.
    addresses: of the hosts, where they are not to be looked up.
    tls: None where nothing is said; is_tls_assumed: whether it was decided for want of a word.
    ca_file: the authority's certificates, or SYSTEM; client_certificate and client_key: files of this client's own.
    connect_timeout_seconds: None where nothing is said.
    transaction_pooling: whether a pooler stands between that lends a connection for one transaction only.
    parameters: what else the database's drivers can be told, by one name each.
    commands: what gives a missing "role", "database" or "privilege", for a person who may.
    """

    hosts: tuple[Host, ...]
    user: str
    password: str = field(repr=False)
    database: str
    addresses: tuple[str, ...] = ()
    tls: Tls | None = None
    is_tls_assumed: bool = False
    ca_file: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    connect_timeout_seconds: float | None = None
    transaction_pooling: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)
    commands: Mapping[str, str] = field(default_factory=dict)

    @property
    def leads_away(self) -> bool:
        """Whether a host is another machine."""
        addresses = (Host(address, 0) for address in self.addresses)
        return not all(host.is_here for host in (*self.hosts, *addresses))

    @property
    def is_socket(self) -> bool:
        """Whether all hosts are sockets, on which nothing is encrypted."""
        return bool(self.hosts) and all(host.is_socket for host in self.hosts)

    def connect_seconds(self, most: float) -> float:
        """How long connecting may take: as the URL says, at most what the plan leaves for it."""
        return min(self.connect_timeout_seconds or most, most)

    def protected(self, ca_file: str | None, *, default: Tls | None) -> Self:
        """The same with how to encrypt the way decided; UrlError.

        ca_file: certificates in PEM, or SYSTEM; None without any.
        default: what holds where neither the URL nor such a file asks for anything.
        """
        tls = self.tls
        if self.is_socket:
            tls = None
        elif tls is None:
            tls = default if ca_file is None else Tls.VERIFY_FULL
        elif ca_file == SYSTEM and tls is not Tls.VERIFY_FULL:
            raise UrlError("asks for the system's authorities, with which sslmode is verify-full")
        elif tls is Tls.REQUIRE and ca_file is not None:
            tls = Tls.VERIFY_CA  # as libpq has it: the file is there to be used
        elif tls is Tls.VERIFY_CA and ca_file is None:
            raise UrlError("asks for verify-ca, which needs DATABASE_CA_FILE, a file of certificates in PEM")
        return replace(self, tls=tls, ca_file=ca_file, is_tls_assumed=self.tls is None and tls is Tls.REQUIRE)

    def require_files(self) -> None:
        """Raise UrlError where a file of certificates cannot be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.ca_file is not None and self.ca_file != SYSTEM:
            _require(self.ca_file, context.load_verify_locations)
        if self.client_certificate is not None:
            _require(self.client_certificate, lambda file: context.load_cert_chain(file, self.client_key))

    def tls_context(self) -> ssl.SSLContext | None:
        """How Python encrypts; None without TLS. Raises OSError where a file cannot be used."""
        if self.tls in (Tls.REQUIRE, Tls.VERIFY_CA, Tls.VERIFY_FULL):
            return _context(self.tls, self.ca_file, self.client_certificate, self.client_key)
        return None


@cache  # reading the system's authorities takes 25 ms
def _context(tls: Tls, ca_file: str | None, certificate: str | None, key: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=None if ca_file == SYSTEM else ca_file)
    if tls is not Tls.VERIFY_FULL:
        context.check_hostname = False
    if tls is Tls.REQUIRE:
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


def _require(file: str, load: Callable[[str], None]) -> None:
    try:
        load(file)
    except ssl.SSLError:
        raise UrlError(f"cannot use the certificates of {file}: the file holds none in PEM") from None
    except OSError as error:
        raise UrlError(f"cannot use the certificates of {file}: {error.strerror}") from None


class Query:
    """The parameters of a URL. Each is taken by who knows it; case, "-" and "_" make no difference in their names."""

    def __init__(self, text: str) -> None:
        self._left: dict[str, tuple[str, str]] = {}
        self._known: list[str] = []
        for pair in filter(None, text.split("&")):
            name, _, value = pair.partition("=")
            self._left[_plain(name)] = (name, unquote(value))

    def take(self, *names: str) -> str | None:
        """The value of a parameter that has one of these names, None where there is none."""
        self._known += names
        found = [self._left.pop(_plain(name), ("", None))[1] for name in names]
        return next((value for value in found if value is not None), None)

    def choice(self, name: str, values: Collection[str]) -> str | None:
        """The same for a parameter with few values."""
        value = self.take(name)
        if value is not None and value not in values:
            raise UrlError(f"has the parameter {name}, which is one of {', '.join(values)}")
        return value

    def number(self, *names: str) -> int | None:
        """The same for a whole number."""
        value = self.take(*names)
        if value is not None and not value.isdecimal():
            raise UrlError(f"has the parameter {names[0]}, which is a whole number")
        return None if value is None else int(value)

    def flag(self, name: str) -> bool | None:
        """The same for true and false."""
        value = self.take(name)
        if value is not None and value.lower() not in _FLAGS:
            raise UrlError(f"has the parameter {name}, which is true or false")
        return None if value is None else _FLAGS[value.lower()]

    def refuse(self, instead: Mapping[str, str]) -> None:
        """Raise UrlError for a parameter that nobody took.

        instead: what to do in place of some, by their names.
        """
        advice = {_plain(name): text for name, text in instead.items()}
        for plain, (name, _) in self._left.items():
            said = advice.get(plain)
            if said is None:
                close = get_close_matches(plain, self._known, 1)
                said = f"write {close[0]}, or leave it out" if close else "it is not known here, leave it out"
            raise UrlError(f"has the parameter {name[:40]}: {said}")


class Pieces(NamedTuple):
    """The pieces of a URL; the hosts' ports are 0 where there is none."""

    scheme: str
    user: str
    password: str
    hosts: tuple[Host, ...]
    database: str
    query: Query


def split_url(text: str, schemes: Collection[str]) -> Pieces:
    """Take a URL apart: SCHEME[+DRIVER]://[USER[:PASSWORD]@]HOST[:PORT],.../DATABASE?PARAMETERS; UrlError."""
    scheme = require_scheme(text, schemes)
    rest = text.partition("://")[2]
    before_query, _, query = rest.partition("?")
    if "@" in query:  # then the ? was one of the password
        before_query = rest
    login, _, there = before_query.rpartition("@")
    if set(login) & set("/?#[]@ "):
        raise UrlError("cannot be read: percent-encode the special characters of its password")
    if "#" in there + query:
        raise UrlError("has a #, which is written %23")
    user, _, password = login.partition(":")
    authority, _, database = there.partition("/")
    hosts = tuple(_host(host) for host in authority.split(",")) if authority else ()
    return Pieces(scheme, unquote(user), unquote(password), hosts, unquote(database), Query(query))


def require_scheme(text: str, schemes: Collection[str]) -> str:
    """The scheme of a URL, without SQLAlchemy's +DRIVER; UrlError where it is none of these."""
    scheme, found, _ = text.partition("://")
    scheme = scheme.lower()
    given = scheme if scheme in schemes else scheme.partition("+")[0]
    if not found or given not in schemes:
        said = f", not {scheme[:20]}://" if found else ""
        raise UrlError(f"starts with {' or '.join(f'{name}://' for name in schemes)}{said}")
    return given


def with_database(text: str, name: str) -> str:
    """The same URL with another database."""
    before_query, mark, query = text.partition("?")
    scheme, _, rest = before_query.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}/{name}{mark}{query}"


def _host(text: str) -> Host:
    name, colon, port = text.rpartition(":")
    if not colon or port.endswith("]"):
        name, port = text, ""
    if port and not (port.isdecimal() and 0 < int(port) < 65536):
        raise UrlError("has no valid port: is its password percent-encoded?")
    if ":" in name and not (name.startswith("[") and name.endswith("]")):
        raise UrlError("has a host with more than one colon: an IPv6 address stands in brackets")
    return Host(unquote(name.strip("[]")), int(port or 0))


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


_FLAGS = {"true": True, "1": True, "false": False, "0": False}
