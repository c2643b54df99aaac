"""The parameters of a SQLite URL: of sqlite3's own URIs, and of the libraries whose URLs look like this one.

https://www.sqlite.org/uri.html
"""

from urllib.parse import unquote

from app.database_url import DatabaseUrl, Query, UrlError, require_scheme

_NOT_IN_MEMORY = "names no file: in memory each connection of the pool would have a database of its own"

_INSTEAD = {
    "cache": "leave it out, each connection has its own",
    "immutable": "leave it out: write mode=ro where the app may not write",
    "nolock": "leave it out, writers wait for the file's lock",
    "timeout": "set STATEMENT_TIMEOUT_SECONDS",
    "journal_mode": "leave it out, it is WAL",
    "isolation_level": "leave it out, the app begins its transactions",
    "pool_timeout": "set POOL_TIMEOUT_SECONDS",
}


def read_url(text: str) -> DatabaseUrl:
    """Take a URL apart, sqlite:///RELATIVE or sqlite:////ABSOLUTE; UrlError.

    `database` is the file's path; of `parameters`, `mode` is ro, rw (the file is not made) or rwc.
    """
    require_scheme(text, ("sqlite",))
    place, _, query_text = text.partition("://")[2].partition("?")
    query = Query(query_text)
    authority, _, path = place.partition("/")
    path = unquote(path)
    mode = query.choice("mode", ("ro", "rw", "rwc", "memory"))
    if mode == "memory" or ":memory:" in (path, authority) or not (path or authority):
        raise UrlError(_NOT_IN_MEMORY)
    if authority or path.startswith("file:"):
        raise UrlError("has a file whose path does not follow three slashes, or an absolute one four")
    if "#" in place:
        raise UrlError("has a #, which is written %23")
    for name in ("check_same_thread", "uri", "connection_limit"):
        query.take(name)
    query.refuse(_INSTEAD)
    return DatabaseUrl((), "", "", path, parameters={"mode": mode or "rwc"})
