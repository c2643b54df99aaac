"""What our SQL calls exists on every server that we support: the functions and variables that it names, in one place.

They are read from the template, from the catalog's scripts and from the probe of `poolwright check`. A name that is new
here fails until it is listed, with the servers that have it.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]

POSTGRESQL = frozenset({"PostgreSQL 14", "PostgreSQL 15", "PostgreSQL 16", "PostgreSQL 17", "PostgreSQL 18"})
MYSQL = frozenset({"MySQL 8.4", "MySQL 9.7"})
MARIADB = frozenset({"MariaDB 10.11", "MariaDB 11.8"})
EVERY = POSTGRESQL | MYSQL | MARIADB
BOTH = MYSQL | MARIADB

# In lower case; the types that are written like calls, too. MySQL 9.6 has moved MD5() and SHA1() into a component that
# is not installed: they must not stand here.
FUNCTIONS = {
    **dict.fromkeys(["cast", "coalesce", "count", "max", "min", "sum", "varchar", "char", "decimal", "numeric"], EVERY),
    **dict.fromkeys(
        ["binary", "concat", "connection_id", "database", "date", "datetime", "get_lock", "json_table"], BOTH
    ),
    **dict.fromkeys(["last_insert_id", "sha2", "sleep", "substring_index", "unhex", "user"], BOTH),
    **dict.fromkeys(["current_database", "current_schema", "current_setting", "format", "hashtext"], POSTGRESQL),
    **dict.fromkeys(["has_database_privilege", "has_schema_privilege"], POSTGRESQL),
    **dict.fromkeys(["json_agg", "json_build_object", "json_object_agg"], POSTGRESQL),
    **dict.fromkeys(
        ["nullif", "pg_advisory_xact_lock", "pg_backend_pid", "pg_create_physical_replication_slot"], POSTGRESQL
    ),
    **dict.fromkeys(["pg_drop_replication_slot", "pg_get_userbyid", "pg_has_role", "pg_sleep", "unnest"], POSTGRESQL),
}
# Those that need no privilege to be set: max_error_count does on MySQL.
VARIABLES = {
    **dict.fromkeys(["innodb_lock_wait_timeout", "lock_wait_timeout", "sql_mode", "sql_notes", "time_zone"], BOTH),
    **dict.fromkeys(["hostname", "max_connections", "max_user_connections", "version", "wait_timeout"], BOTH),
    **dict.fromkeys(["max_execution_time", "server_uuid"], MYSQL),
    **dict.fromkeys(["max_statement_time", "max_error_count"], MARIADB),
    **dict.fromkeys(
        ["application_name", "statement_timeout", "timezone", "search_path", "client_connection_check_interval"],
        POSTGRESQL,
    ),
    **dict.fromkeys(["idle_in_transaction_session_timeout", "default_transaction_read_only", "role"], POSTGRESQL),
}
# What runs on some servers of its database alone.
ONLY_ON = {"template/app/{{adapters.mysql}}/time_limit.py": MYSQL}
FOLDERS_BY_SERVER = {
    "mysql": BOTH,
    "asyncmy": BOTH,
    "aiomysql": BOTH,
    "postgresql": POSTGRESQL,
    "asyncpg": POSTGRESQL,
    "psycopg": POSTGRESQL,
}

PUT_IN = "put_in"
STATEMENT = re.compile(
    r"\s*(SELECT|INSERT|UPDATE|DELETE|SET|CREATE|ALTER|WITH|KILL|DROP|,? ?[a-z_]+ = )", re.IGNORECASE
)
COMMENTED = {re.compile(r"/\*!\d+(.*?)\*/", re.DOTALL): MYSQL, re.compile(r"/\*M!(.*?)\*/", re.DOTALL): MARIADB}
CALL = re.compile(r"\b([a-z_0-9]+)\(", re.IGNORECASE)
SET = re.compile(r"(?:\bSET |\bSET LOCAL |^,? ?|, )([a-z_]+) = ", re.IGNORECASE)
READ = re.compile(r"@@(\w+)")
OPTION = re.compile(r"-c (\w+)=")


class Piece(NamedTuple):
    """Some of our SQL, and the servers that may run it."""

    where: str
    text: str
    servers: frozenset[str]


def servers_of(path: Path) -> frozenset[str] | None:
    """Of the database that the file's folder is for; None where that is SQLite or MongoDB, which we bring or name."""
    where = path.relative_to(ROOT).as_posix()
    if where in ONLY_ON:
        return ONLY_ON[where]
    found = [servers for name, servers in FOLDERS_BY_SERVER.items() if re.search(rf"[._]{name}\b", where)]
    found += [servers for name, servers in FOLDERS_BY_SERVER.items() if path.name == f"{name}_facts.py"]
    if found:
        return found[0]
    return None if re.search("sqlite|mongo|beanie|motor|cache", where) else EVERY


def strings(path: Path) -> Iterator[str]:
    """The texts of a Python file; what an f-string puts in is PUT_IN."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {id(value) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for value in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(v.value) if isinstance(v, ast.Constant) else PUT_IN for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value


def scripts(value: Any) -> Iterator[str]:
    """All texts of a value of the catalog."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from scripts(inner)


@cache
def pieces() -> list[Piece]:
    found: list[tuple[str, str, frozenset[str]]] = []
    probe = ROOT / "generator/poolwright/probe"
    for path in sorted([*ROOT.glob("template/**/*"), *probe.glob("*_facts.py")]):
        servers = servers_of(path)
        if servers is None or not path.is_file():
            continue
        where = path.relative_to(ROOT).as_posix()
        if path.name.endswith((".sql", ".sql.jinja")):
            text = re.sub("--.*", "", path.read_text(encoding="utf-8"))
            found += [(where, statement, servers) for statement in text.split(";")]
        elif path.suffix == ".py":
            found += [(where, text, servers) for text in strings(path) if STATEMENT.match(text) or OPTION.search(text)]
    catalog = yaml.safe_load((ROOT / "generator/poolwright/catalog.yml").read_text(encoding="utf-8"))
    for database, servers in (("mysql", BOTH), ("postgresql", POSTGRESQL)):
        for text in scripts(catalog["databases"][database]):
            statements = re.findall(r"^\s*(?:SELECT|WHERE|ALTER|CREATE|INSERT).*|--command=.*", text, re.MULTILINE)
            found.append(("generator/poolwright/catalog.yml", "\n".join(statements), servers))
    separated = []
    for where, text, servers in found:
        for comment, heeding in COMMENTED.items():
            separated += [Piece(where, inner, heeding) for inner in comment.findall(text)]
            text = comment.sub("", text)
        separated.append(Piece(where, text, servers))
    return separated


def names(pattern: re.Pattern[str], text: str) -> set[str]:
    return {name.lower() for name in pattern.findall(text)} - {PUT_IN}


def test_every_function_exists_wherever_it_is_called() -> None:
    unknown = {
        (piece.where, name)
        for piece in pieces()
        for name in names(CALL, piece.text)
        if not FUNCTIONS.get(name, frozenset()) >= piece.servers
    }
    assert unknown == set()


def test_every_variable_exists_wherever_it_is_set_or_read() -> None:
    unknown = set()
    for piece in pieces():
        used = names(READ, piece.text) | names(OPTION, piece.text)
        if not re.search(r"\b(UPDATE|WHERE|FROM)\b", piece.text):  # there it is a column
            used |= names(SET, piece.text)
        unknown |= {(piece.where, n) for n in used if not VARIABLES.get(n, frozenset()) >= piece.servers}
    assert unknown == set()


@pytest.mark.parametrize(
    ("where", "kind", "name"),
    [
        ("migration_lock.py", CALL, "sha2"),
        ("0001_items_and_orders.sql", CALL, "varchar"),
        ("roles.sql.jinja", CALL, "current_database"),
        ("options.py", SET, "lock_wait_timeout"),
        ("options.py", SET, "max_execution_time"),
        ("migration_lock.py", SET, "statement_timeout"),
        ("roles.sql.jinja", SET, "idle_in_transaction_session_timeout"),
        ("connecting.py", OPTION, "timezone"),
        ("time_limit.py", READ, "server_uuid"),
        ("mysql_facts.py", CALL, "substring_index"),
        ("postgresql_facts.py", CALL, "json_agg"),
        ("catalog.yml", CALL, "pg_create_physical_replication_slot"),
    ],
)
def test_the_reader_finds_what_is_there(where: str, kind: re.Pattern[str], name: str) -> None:
    assert any(name in names(kind, piece.text) for piece in pieces() if piece.where.endswith(where))
