"""Real databases for the tests, each server of their own on a free loopback port, ended with the test run."""

from tests.servers.base import Database, Server, ServerMissing
from tests.servers.mongodb import MongoDB
from tests.servers.mysql import MySQL
from tests.servers.nginx import Nginx
from tests.servers.oracle_mysql import OracleMySQL
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgresql import PostgreSQL, Standby
from tests.servers.redis import Redis
from tests.servers.sqlite import SQLite

__all__ = [
    "DATABASES",
    "Database",
    "MongoDB",
    "MySQL",
    "Nginx",
    "OracleMySQL",
    "PgBouncer",
    "PostgreSQL",
    "Redis",
    "SQLite",
    "Server",
    "ServerMissing",
    "Standby",
]

DATABASES: dict[str, type[PostgreSQL] | type[MySQL] | type[MongoDB] | type[SQLite]] = {
    "postgresql": PostgreSQL,
    "mysql": MySQL,
    "mongodb": MongoDB,
    "sqlite": SQLite,
}
