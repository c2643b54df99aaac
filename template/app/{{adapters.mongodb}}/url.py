"""The parameters of a MongoDB URL. The driver reads most of them itself; here stands what the app decides instead.

https://www.mongodb.com/docs/manual/reference/connection-string-options/
"""

import json
from dataclasses import replace
from shlex import join

from pymongo import uri_parser_shared
from pymongo.errors import PyMongoError

from app.database_url import DatabaseUrl, Host, Tls, UrlError, split_url

_DEFAULT_PORT = 27017
_SCHEMES = ("mongodb", "mongodb+srv")

# The driver's own.
_PASSED = (
    "authMechanism",
    "authMechanismProperties",
    "compressors",
    "directConnection",
    "heartbeatFrequencyMS",
    "journal",
    "loadBalanced",
    "localThresholdMS",
    "maxConnecting",
    "maxStalenessSeconds",
    "readConcernLevel",
    "readPreference",
    "readPreferenceTags",
    "replicaSet",
    "retryReads",
    "retryWrites",
    "srvMaxHosts",
    "srvServiceName",
    "tlsAllowInvalidCertificates",
    "tlsAllowInvalidHostnames",
    "tlsCRLFile",
    "tlsCertificateKeyFilePassword",
    "tlsDisableOCSPEndpointCheck",
    "tlsInsecure",
    "wTimeoutMS",
    "zlibCompressionLevel",
)

# What the app sets itself (client_options, PooledClient): its values win.
_WITHOUT_EFFECT = (
    "appName",
    "connectTimeoutMS",
    "maxIdleTimeMS",
    "maxPoolSize",
    "minPoolSize",
    "serverMonitoringMode",
    "serverSelectionTimeoutMS",
    "socketTimeoutMS",
    "timeoutMS",
    "tz_aware",
    "uuidRepresentation",
    "waitQueueTimeoutMS",
)

_INSTEAD = {
    "fsync": "write journal=true",
    "j": "write journal=true",
    "slaveOk": "write readPreference=secondaryPreferred",
    "ssl_ca_certs": "write tlsCAFile",
    "ssl_cert_reqs": "write tlsAllowInvalidCertificates=true",
    "ssl_certfile": "write tlsCertificateKeyFile",
    "useNewUrlParser": "leave it out, it is another driver's",
    "useUnifiedTopology": "leave it out, it is another driver's",
    "waitQueueMultiple": "set POOL_MAX_WAITING",
}


def read_url(text: str) -> DatabaseUrl:
    """Take a URL apart; UrlError. The driver gets the same text, with what is decided here beside it."""
    pieces = split_url(text, _SCHEMES)
    query = pieces.query
    asked = query.flag("tls"), query.flag("ssl")
    if asked in ((True, False), (False, True)):
        raise UrlError("has tls and ssl, which contradict each other: leave one out")
    tls = Tls.OFF if False in asked else Tls.VERIFY_FULL if True in asked else None
    if pieces.scheme == "mongodb+srv" and tls is None:
        tls = Tls.VERIFY_FULL
    if query.take("w") == "0":
        raise UrlError("has the parameter w: no write would be confirmed with 0, leave it out")
    url = DatabaseUrl(
        hosts=tuple(Host(host.name, host.port or _DEFAULT_PORT) for host in pieces.hosts),
        user=pieces.user,
        password=pieces.password,
        database=pieces.database,
        tls=tls,
        ca_file=query.take("tlsCAFile"),
        client_certificate=query.take("tlsCertificateKeyFile"),
    )
    authentication_source = query.take("authSource")
    for name in (*_PASSED, *_WITHOUT_EFFECT):
        query.take(name)
    query.refuse(_INSTEAD)
    url.require_files()
    try:
        uri_parser_shared._validate_uri(text)
    except (PyMongoError, ValueError, TypeError) as error:
        raise UrlError(f"cannot be used: {error}") from None
    return replace(url, commands=_commands(pieces.scheme, url, authentication_source))


def _commands(scheme: str, url: DatabaseUrl, authentication_source: str | None) -> dict[str, str]:
    database = url.database or "app"
    roles = json.dumps([{"role": role, "db": database} for role in ("readWrite", "dbAdmin")])
    source = authentication_source or url.database or "admin"
    user = json.dumps(url.user or "app")
    made = f"user: {user}, pwd: passwordPrompt(), roles: {roles}"
    calls = {
        "role": "createUser({" + made + "})",
        "privilege": f"grantRolesToUser({user}, {roles})",
    }
    hosts = ",".join(host.name if scheme == "mongodb+srv" else f"{host.name}:{host.port}" for host in url.hosts)
    client = ["mongosh", f"{scheme}://{hosts}/admin", "--username", "ADMINISTRATOR", "--eval"]
    return {name: join([*client, f"db.getSiblingDB({json.dumps(source)}).{call}"]) for name, call in calls.items()}
