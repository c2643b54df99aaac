"""The parameters of a MySQL URL: the server's own client's, and those of drivers that providers' pages show."""

import json
from dataclasses import replace
from shlex import join

from app.database_url import DatabaseUrl, Host, Query, Tls, UrlError, split_url

_DEFAULT_PORT = 3306

_MODES = {
    "DISABLED": Tls.OFF,
    "DISABLE": Tls.OFF,
    "REQUIRED": Tls.REQUIRE,
    "REQUIRE": Tls.REQUIRE,
    "VERIFY_CA": Tls.VERIFY_CA,
    "VERIFY_IDENTITY": Tls.VERIFY_FULL,
    "VERIFY_FULL": Tls.VERIFY_FULL,
}

# What the app sets itself, its plan decides or nothing depends on.
_WITHOUT_EFFECT = ("connection_limit", "pool_timeout", "reconnect", "autoReconnect", "parseTime", "program_name")

_INSTEAD = {
    "collation": "leave it out, each text column has its own",
    "useUnicode": "leave it out, the character set is utf8mb4",
    "characterEncoding": "leave it out, the character set is utf8mb4",
    "autocommit": "leave it out, the app commits",
    "time_zone": "leave it out, times are UTC",
    "serverTimezone": "leave it out, times are UTC",
    "loc": "leave it out, times are UTC",
    "sql_mode": "leave it out, the app sets its own",
    "init_command": "leave it out, the app sets its own",
    "read_timeout": "set STATEMENT_TIMEOUT_SECONDS",
    "write_timeout": "set STATEMENT_TIMEOUT_SECONDS",
    "socket_timeout": "set STATEMENT_TIMEOUT_SECONDS",
    "pool_size": "set POOL_SIZE",
    "minsize": "set POOL_SIZE",
    "maxsize": "set POOL_SIZE and MAX_OVERFLOW",
    "max_overflow": "set MAX_OVERFLOW",
    "pool_recycle": "set POOL_RECYCLE_SECONDS",
    "useSSL": "write ssl-mode=REQUIRED, or VERIFY_IDENTITY",
    "requireSSL": "write ssl-mode=REQUIRED, or VERIFY_IDENTITY",
    "sslidentity": "write ssl_cert and ssl_key, files in PEM",
    "sslpassword": "give the key in ssl_key without a password",
    "database": "write the database after the host, as /NAME",
    "db": "write the database after the host, as /NAME",
    "host": "write the host before the database, or a socket as unix_socket=PATH",
}


def read_url(text: str) -> DatabaseUrl:
    """Take a URL apart; UrlError."""
    pieces = split_url(text, ("mysql", "mariadb"))
    query = pieces.query
    if len(pieces.hosts) > 1:
        raise UrlError("has more than one host, of which the drivers know one")
    if not pieces.database.strip("/"):
        raise UrlError("names no database: write it after the host, as /NAME")
    charset = query.take("charset")
    if charset is not None and charset.lower() not in ("utf8mb4", "utf8"):
        raise UrlError("has the parameter charset: leave it out, it is utf8mb4")
    socket = query.take("unix_socket", "socket", "socketPath")
    host = pieces.hosts[0] if pieces.hosts else Host("localhost", 0)
    url = DatabaseUrl(
        hosts=(Host(socket or host.name or "localhost", host.port or _DEFAULT_PORT),),
        user=query.take("user") or pieces.user,
        password=query.take("password") or pieces.password,
        database=pieces.database,
        tls=_tls(query),
        ca_file=query.take("ssl_ca", "sslca", "sslcert", "sslrootcert"),  # the third is Prisma's word for it
        client_certificate=query.take("ssl_cert"),
        client_key=query.take("ssl_key"),
        connect_timeout_seconds=query.number("connect_timeout", "connectTimeout"),
    )
    for name in _WITHOUT_EFFECT:
        query.take(name)
    query.refuse(_INSTEAD)
    return replace(url, commands=_commands(url))


def _commands(url: DatabaseUrl) -> dict[str, str]:
    (host,) = url.hosts
    where = [f"--socket={host.name}"] if host.is_socket else [f"--host={host.name}", f"--port={host.port}"]
    client = ["mysql", *where, "--user=root", "--password", "--execute"]
    user, database = f'"{url.user or "app"}"@"%"', f"`{url.database}`"
    grant = f"GRANT ALL ON {database}.* TO {user}"
    return {
        "role": join([*client, f'CREATE USER {user} IDENTIFIED BY "..."; {grant}']),
        "database": join([*client, f"CREATE DATABASE {database}; {grant}"]),
        "privilege": join([*client, grant]),
    }


def _tls(query: Query) -> Tls | None:
    """What the URL says of TLS; where a driver's word is only `true`, the server is verified."""
    mode = query.take("ssl-mode", "sslmode")
    verified = query.flag("ssl_verify_identity"), query.flag("ssl_verify_cert")
    accepted = query.choice("sslaccept", ("strict", "accept_invalid_certs"))
    asked = query.take("ssl", "tls")
    if mode is not None:
        plain = mode.upper().replace("-", "_")
        if plain not in _MODES:
            raise UrlError("has the parameter ssl-mode, which is DISABLED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY")
        return _MODES[plain]
    if accepted is not None:
        return Tls.VERIFY_FULL if accepted == "strict" else Tls.REQUIRE
    if any(verified):
        return Tls.VERIFY_FULL if verified[0] else Tls.VERIFY_CA
    return None if asked is None else _mode_of(asked)


def _mode_of(asked: str) -> Tls:
    """`ssl=` and `tls=`: true and false, skip-verify in Go's driver, an object in JavaScript's."""
    if asked == "skip-verify":
        return Tls.REQUIRE
    try:
        value = json.loads(asked.lower())
    except ValueError:
        value = None
    if value in (True, False):  # and 1 and 0
        return Tls.VERIFY_FULL if value else Tls.OFF
    if value in ({}, {"rejectunauthorized": True}, {"rejectunauthorized": False}):
        return Tls.VERIFY_FULL if value.get("rejectunauthorized", True) else Tls.REQUIRE
    raise UrlError("has the parameter ssl, which is true or false: write ssl-mode=REQUIRED, or VERIFY_IDENTITY")
