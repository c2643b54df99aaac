"""The parameters of a PostgreSQL URL: libpq's, and those that JDBC, Prisma and the providers' pages put beside them.

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""

from dataclasses import replace
from shlex import join

from app.database_url import DatabaseUrl, Host, Query, Tls, UrlError, split_url

_DEFAULT_PORT = 5432

# Handed on to the drivers under the same names; the values of some.
_CHOICES = {
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    "channel_binding": ("disable", "prefer", "require"),
    "sslnegotiation": ("postgres", "direct"),
    "keepalives": ("0", "1"),
}
_NUMBERS = ("keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout")

# What the app sets itself, its plan decides or nothing depends on.
_WITHOUT_EFFECT = (
    "application_name",
    "ApplicationName",
    "fallback_application_name",
    "connection_limit",
    "pool_timeout",
    "sslcompression",
    "uselibpqcompat",
    "supa",
)

_INSTEAD = {
    "dbname": "write the database after the host, as /NAME",
    "database": "write the database after the host, as /NAME",
    "statement_timeout": "set STATEMENT_TIMEOUT_SECONDS",
    "command_timeout": "set STATEMENT_TIMEOUT_SECONDS",
    "socket_timeout": "set STATEMENT_TIMEOUT_SECONDS",
    "pool_size": "set POOL_SIZE",
    "max_overflow": "set MAX_OVERFLOW",
    "min_size": "set POOL_SIZE",
    "max_size": "set POOL_SIZE and MAX_OVERFLOW",
    "pool_recycle": "set POOL_RECYCLE_SECONDS",
    "statement_cache_size": "write pgbouncer=true where a pooler lends connections for one transaction",
    "prepared_statement_cache_size": "write pgbouncer=true where a pooler lends connections for one transaction",
    "prepareThreshold": "write pgbouncer=true where a pooler lends connections for one transaction",
    "passfile": "write the password into the URL, or the URL into DATABASE_URL_FILE",
    "service": "write host, user and database into the URL",
    "TimeZone": "leave it out, times are UTC",
    "requiressl": "write sslmode=require",
    "sslcrl": "leave it out, revocation is not checked",
    "sslpassword": "give the key in sslkey without a password",
}


def read_url(text: str) -> DatabaseUrl:
    """Take a URL apart; UrlError. Of `parameters`, `options` is a command line for the server's process."""
    pieces = split_url(text, ("postgresql", "postgres"))
    query = pieces.query
    url = DatabaseUrl(
        hosts=_hosts(pieces.hosts, query),
        addresses=tuple(filter(None, (query.take("hostaddr") or "").split(","))),
        user=query.take("user") or pieces.user,
        password=query.take("password") or pieces.password,
        database=pieces.database,
        tls=_tls(query),
        ca_file=query.take("sslrootcert"),
        client_certificate=query.take("sslcert"),
        client_key=query.take("sslkey"),
        connect_timeout_seconds=query.number("connect_timeout"),
        transaction_pooling=bool(query.flag("pgbouncer")),
        parameters=_parameters(query),
    )
    for name in _WITHOUT_EFFECT:
        query.take(name)
    query.refuse(_INSTEAD)
    if url.addresses and len(url.addresses) != len(url.hosts or url.addresses):
        raise UrlError("has as many hosts as addresses in hostaddr, or none")
    return replace(url, commands=_commands(url))


def _commands(url: DatabaseUrl) -> dict[str, str]:
    where = [word for host in url.hosts[:1] for word in (f"--host={host.name}", f"--port={host.port}")]
    user, database = url.user or "app", url.database or url.user or "app"
    grant = f'GRANT CREATE, USAGE ON SCHEMA public TO "{user}"'
    return {
        "role": join(["createuser", *where, "--username=postgres", "--pwprompt", user]),
        "privilege": join(["psql", *where, "--username=postgres", f"--dbname={database}", f"--command={grant}"]),
        "database": join(["createdb", *where, "--username=postgres", f"--owner={user}", database]),
    }


def _hosts(given: tuple[Host, ...], query: Query) -> tuple[Host, ...]:
    """The hosts of the URL, of `host=`, which may be sockets' folders, or of `unix_sock=`, a socket's file."""
    names = [name for name in (query.take("host") or "").split(",") if name]
    ports = [port for port in (query.take("port") or "").split(",") if port]
    if socket := query.take("unix_sock"):
        names = [socket.partition("/.s.PGSQL.")[0]]
    if not all(port.isdecimal() and 0 < int(port) < 65536 for port in ports):
        raise UrlError("has the parameter port, which is a number from 1 to 65535")
    if not names:
        names = [host.name or "localhost" for host in given]
        ports = ports or [str(host.port) for host in given]
    elif not ports:
        ports = [str(host.port) for host in given[:1]]
    if len(ports) not in (0, 1, len(names)):
        raise UrlError("has as many ports as hosts, or one, or none")
    every = ports if len(ports) == len(names) else (ports or ["0"]) * len(names)
    return tuple(Host(name, int(port) or _DEFAULT_PORT) for name, port in zip(names, every, strict=True))


def _tls(query: Query) -> Tls | None:
    """What the URL says of TLS: `sslmode=`, JDBC's `ssl=`, Prisma's `sslaccept=`; True is the strictest."""
    mode = query.choice("sslmode", tuple(Tls))
    asked = query.flag("ssl")
    accepted = query.choice("sslaccept", ("strict", "accept_invalid_certs"))
    if mode is not None:
        return Tls(mode)
    if accepted is not None:
        return Tls.VERIFY_FULL if accepted == "strict" else Tls.REQUIRE
    return None if asked is None else Tls.VERIFY_FULL if asked else Tls.OFF


def _parameters(query: Query) -> dict[str, str]:
    found = {name: query.choice(name, values) for name, values in _CHOICES.items()}
    found |= {name: None if (number := query.number(name)) is None else str(number) for name in _NUMBERS}
    if query.choice("gssencmode", ("disable", "prefer", "require")) == "require":
        raise UrlError("has the parameter gssencmode: write gssencmode=disable and encrypt with TLS")
    if (encoding := query.take("client_encoding")) and encoding.lower() not in ("utf8", "utf-8", "auto"):
        raise UrlError("has the parameter client_encoding: leave it out, it is UTF8")
    options = [query.take("options")]
    if schema := query.take("schema", "currentSchema", "search_path"):
        escaped = schema.replace("\\", "\\\\").replace(" ", "\\ ")
        options.append(f"-c search_path={escaped}")
    found["options"] = " ".join(filter(None, options)) or None
    return {name: value for name, value in found.items() if value is not None}
