"""Where a server is, as its URL says, and what a failure to use it means; never with a password."""

import ipaddress
import os
import re
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import parse_qsl, unquote

_SECONDS = 3.0  # to see whether anybody listens
_MOST_LETTERS = 200
_TLS = re.compile(r"\b(certificate|ssl|tls)\b", re.IGNORECASE)
_HUNG_UP = re.compile(r"connection closed|connection reset|broken pipe", re.IGNORECASE)


class UnreadableUrlError(ValueError):
    """The URL cannot be taken apart; the message holds nothing of it."""


class Place:
    """The server or servers of a URL.

    address: host:port, or several, or the path of a socket or file.
    local: whether nothing that is sent to it leaves this machine.
    """

    def __init__(self, url: str, port: int) -> None:
        """port: where servers of the kind listen by default; 0 for a file."""
        url = url.strip()
        scheme, _, rest = url.partition("://")
        self._hosts: list[tuple[str, int]] = []
        self._secrets: list[str] = []
        self._socket = ""
        if not port:
            self.address = unquote(rest.partition("?")[0].partition("/")[2])
            self.local = True
            return
        before_query, _, query = rest.partition("?")
        if "@" in query:
            before_query = rest
        login, _, there = before_query.rpartition("@")
        # A driver would take a piece of such a password for the host's name, and say it aloud.
        if set(login) & set("/?#[]@ "):
            raise UnreadableUrlError("cannot be read: percent-encode the special characters of its password")
        password = login.partition(":")[2]
        pieces = [piece for piece in re.split(r"\W", unquote(password)) if len(piece) > 2]
        self._secrets = [url, password, unquote(password), *pieces]
        hosts = [_host_and_port(host, port) for host in there.partition("/")[0].split(",")]
        options = dict(parse_qsl(query))
        if given := options.get("host", options.get("hostaddr", "")):
            ports = options.get("port", str(hosts[0][1])).split(",")
            names = given.split(",")
            if not all(number.isdecimal() for number in ports):
                raise UnreadableUrlError("has no valid port")
            every = ports if len(ports) == len(names) else ports[:1] * len(names)
            hosts = [(name, int(number)) for name, number in zip(names, every, strict=True)]
        sockets = [options.get(name, "") for name in ("unix_socket", "socket", "socketPath", "unix_sock")]
        path = next((name for name in [*sockets, *(host for host, _ in hosts)] if name.startswith("/")), "")
        # PostgreSQL's URLs name the socket's folder.
        self._socket = f"{path}/.s.PGSQL.{hosts[0][1]}" if os.path.isdir(path) else path
        self._hosts = [] if path else hosts
        self.address = self._socket or ", ".join(f"{host}:{number}" for host, number in hosts)
        self.local = all(_is_loopback(host) for host, _ in self._hosts)
        if scheme == "mongodb+srv":  # a name in the DNS that stands for several hosts
            self.address, self._hosts, self.local = hosts[0][0], [], False

    def failure(self, error: Exception) -> dict[str, str]:
        """{"failed": "unreachable" or "refused", "reason": in a few words}."""
        chain = list(_chain(error))
        text = self._masked(_words(chain))
        if any(isinstance(link, ssl.SSLError) for link in chain) or _TLS.search(text):
            said = next((str(link) for link in chain if isinstance(link, ssl.SSLError)), text)
            return {"failed": "refused", "reason": f"TLS failed: {self._masked(said)}"}
        if away := self._away():
            return {"failed": "unreachable", "reason": away}
        # M PyMongo: it tries again until its time is over. Which of these it meets depends on who is quicker.
        waited = any(isinstance(link, TimeoutError) or "Timeout" in type(link).__name__ for link in chain)
        if waited and not _HUNG_UP.search(text):
            return {"failed": "unreachable", "reason": "it accepts connections and does not answer"}
        return {"failed": "refused", "reason": text or type(error).__name__}

    def _masked(self, text: str) -> str:
        for secret in sorted(filter(None, self._secrets), key=len, reverse=True):
            text = text.replace(secret, "***")
        words = " ".join(text.split())
        return words if len(words) <= _MOST_LETTERS else f"{words[:_MOST_LETTERS]}..."

    def _away(self) -> str:
        """Why nobody takes a connection, or ""; "" also where that cannot be tried."""
        if self._socket:
            with socket.socket(socket.AF_UNIX) as attempt:
                attempt.settimeout(_SECONDS)
                return "" if attempt.connect_ex(self._socket) == 0 else "nobody listens there"
        reason = ""
        for host, port in self._hosts:
            try:
                socket.create_connection((host, port), timeout=_SECONDS).close()
            except socket.gaierror:
                reason = "its name is not known"
            except TimeoutError:
                reason = f"no answer within {_SECONDS:g} s"
            except ConnectionResetError:
                return ""  # by somebody, who hung up while this was still connecting
            except OSError:
                reason = "nobody listens there"
            else:
                return ""
        return reason


def _words(chain: list[BaseException]) -> str:
    """What the server said, as the drivers of MySQL, MongoDB and PostgreSQL tell it; else what the first error says."""
    for link in chain:
        match link.args, getattr(link, "details", None):
            case (int(), str(said)), _:
                return said
            case _, {"errmsg": str(said)}:
                return said
    return str(chain[0]).rpartition("FATAL: ")[2].partition(" (configured timeouts")[0]


def _host_and_port(text: str, default: int) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = text, ""
    if port and not port.isdecimal():
        raise UnreadableUrlError("has no valid port: is its password percent-encoded?")
    return unquote(host.strip("[]")) or "localhost", int(port or default)


def _is_loopback(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        return False
    return all(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_loopback for entry in found)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
