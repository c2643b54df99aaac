import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pymysql
from pymysql.cursors import Cursor

from tests.processes import Process, free_port
from tests.servers.base import FreshData, Server, ServerMissing
from tests.servers.roles import mysql_privileges
from tests.wire import Conversation, MySQLCommand

BINARIES = "/usr/sbin:/usr/local/sbin"
PASSWORD = "secret"
LOG_SIZE = "4M"
OWN_CONNECTIONS = 50  # of the tests, beside max_connections
OWNER_PRIVILEGES = "ALTER, CREATE, DELETE, DROP, INDEX, INSERT, REFERENCES, SELECT, UPDATE"


class MySQL(Server):
    """MariaDB without durability, which speaks MySQL's protocol; the tests log in as `root`, who is not counted.

    Apps and migrations have the users of roles.sql with the same privileges, on every database that the tests make.
    """

    processes: ClassVar[str] = "information_schema.processlist"
    conversation: ClassVar[type[Conversation]] = MySQLCommand
    # A clean shutdown waits for the connections of clients that are slow to leave.
    stop_signal: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(self, max_connections: int = 151, *, secured: bool = False) -> None:
        super().__init__("mysql", secured=secured)
        self._max_connections = max_connections
        # The administrator's way in, whoever else knocks: at the other port, the one place kept for him is held for a
        # moment by each client that is about to be refused.
        self._own_port = free_port()
        self.socket = self._directory / "socket"
        self._user = self._account()
        if self._user is not None:
            try:
                account = pwd.getpwnam(self._user)
            except KeyError:
                raise ServerMissing("There is no user mysql: apt-get install mariadb-server") from None
            for path in (self._directory, *self._directory.iterdir()):
                os.chown(path, account.pw_uid, account.pw_gid)
        self._make_data(self._directory / "data")

    def _account(self) -> str | None:
        """Whose process it is, None for the user of the tests."""
        return "mysql" if os.geteuid() == 0 else None  # mariadbd refuses to run as root

    def _make_data(self, target: Path) -> None:
        _fresh_data(self._user).copy(target)

    def _command(self) -> Sequence[str]:
        return [_binary("mariadbd"), "--no-defaults"]

    def _own_settings(self) -> dict[str, object]:
        """Those that the other server does not know."""
        return {
            "extra-port": self._own_port,
            "extra-max-connections": OWN_CONNECTIONS,
            "skip-name-resolve": 1,
            "innodb-log-file-size": LOG_SIZE,
        }

    def start(self) -> None:
        settings: dict[str, object] = {
            "datadir": self._directory / "data",
            "tmpdir": self._directory,
            "bind-address": "127.0.0.1",
            "port": self.port,
            "socket": self.socket,
            "pid-file": self._directory / "pid",
            "max-connections": self._max_connections,
            "innodb-buffer-pool-size": "64M",
            "innodb-flush-log-at-trx-commit": 2,  # written, so that a kill loses nothing, but not synced
            "innodb-flush-method": "nosync",
            "innodb-doublewrite": 0,
            **self._own_settings(),
        }
        if self.certificates is not None:
            settings |= {"ssl-cert": self.certificates.certificate, "ssl-key": self.certificates.key}
            settings |= {"require-secure-transport": 1}
        command = [*self._command(), *(f"--{name}={value}" for name, value in settings.items())]
        self._process = Process(command, log=self._directory / "log", cwd=self._directory, user=self._user)
        self._process.wait_for(self._answers, seconds=30)
        self._remove_anonymous_users()
        for role in mysql_privileges():
            self._create_user(role, PASSWORD, role)
        self._create_user("owner", PASSWORD)

    def _remove_anonymous_users(self) -> None:
        """On loopback those of a fresh installation win over 'app'@'%'."""
        self.run("DELETE FROM mysql.global_priv WHERE User = ''")
        self.run("FLUSH PRIVILEGES")

    def _create_user(self, name: str, password: str, role: str | None = None) -> None:
        """With a role's privileges, or those of one who makes databases."""
        what = f"{OWNER_PRIVILEGES} ON *.*" if role is None else f"{mysql_privileges()[role]} ON `t%`.*"
        with self._connect() as cursor:
            cursor.execute(f"CREATE USER IF NOT EXISTS {name}@'%%' IDENTIFIED BY %s", (password,))
            cursor.execute(f"GRANT {what} TO {name}@'%'")

    def _answers(self) -> bool:
        try:
            with self._connect():
                return True
        except pymysql.OperationalError:
            return False

    @contextlib.contextmanager
    def _connect(self, database: str | None = None) -> Iterator[Cursor]:
        connection: pymysql.Connection[Any] = pymysql.connect(
            host=self.host,
            port=self._own_port,
            user="root",
            ssl_ca=None if self.certificates is None else str(self.certificates.authority),
            database=database,
            autocommit=True,
            connect_timeout=5,
            read_timeout=30,
        )
        with connection, connection.cursor() as cursor:
            yield cursor

    def url(self, database: str, port: int | None = None) -> str:
        return f"mysql://app:{PASSWORD}@{self.host}:{port or self.port}/{database}"

    def create_user(self, password: str) -> str:
        name = f"u{uuid.uuid4().hex[:20]}"
        self._create_user(name, password, "app")
        return name

    def limit_connections(self, user: str, most: int) -> None:
        with self._connect() as cursor:
            cursor.execute(f"ALTER USER {user}@'%' WITH MAX_USER_CONNECTIONS {most}")

    def create_database(self) -> str:
        name = f"t{uuid.uuid4().hex}"
        with self._connect() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
        return name

    def version(self) -> str:
        with self._connect() as cursor:
            cursor.execute("SELECT VERSION()")
            ((version,),) = cursor.fetchall()
        return f"MariaDB {version.split('-')[0]}"

    def databases(self) -> set[str]:
        with self._connect() as cursor:
            cursor.execute("SHOW DATABASES")
            return {name for (name,) in cursor.fetchall()}

    def connections(self, database: str) -> int:
        return self._count(f"{self.processes} AS p", database)

    def active(self, database: str) -> int:
        return self._count(f"{self.processes} AS p", database, "p.command IN ('Query', 'Execute')")

    def idle_in_transaction(self, database: str) -> int:
        transactions = f"information_schema.innodb_trx AS t JOIN {self.processes} AS p"
        return self._count(f"{transactions} ON p.id = t.trx_mysql_thread_id AND p.command = 'Sleep'", database)

    def _count(self, tables: str, database: str, condition: str = "true") -> int:
        ours = f"p.user <> 'root' AND p.db = %s AND {condition}"
        with self._connect() as cursor:
            cursor.execute(f"SELECT count(*) FROM {tables} WHERE {ours}", (database,))
            ((count,),) = cursor.fetchall()
        return int(count)

    def refused_connections(self) -> int:
        ((_, count),) = self.run("SHOW GLOBAL STATUS LIKE 'Connection_errors_max_connections'")
        return int(count)

    @contextlib.contextmanager
    def blocked(self, database: str, seconds: float, table: str = "items") -> Iterator[None]:
        """Until the block is left, whatever `seconds` says. Reads of items wait too."""
        with self._connect(database) as cursor:
            cursor.execute("SET lock_wait_timeout = 10, innodb_lock_wait_timeout = 10")
            cursor.execute("BEGIN")
            # A lock of the table orders would stop updates of items too, to which it refers: all its gaps are locked.
            cursor.execute("LOCK TABLES items WRITE" if table == "items" else f"SELECT * FROM {table} FOR UPDATE")
            yield
            cursor.execute("ROLLBACK")
            cursor.execute("UNLOCK TABLES")

    def run_file(self, file: Path, user: str = "root") -> None:
        """Run a script with the server's own client, as the administrator or a user without a password."""
        client, port = _binary("mariadb"), self._own_port if user == "root" else self.port
        command = [client, "--no-defaults", "--host=127.0.0.1", f"--port={port}", f"--user={user}"]
        subprocess.run(command, check=True, input=file.read_bytes())

    def run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement as the administrator, and return its rows."""
        with self._connect() as cursor:
            cursor.execute(statement, values or None)
            return list(cursor.fetchall())

    def age_orders(self, database: str, days: int) -> None:
        with self._connect(database) as cursor:
            cursor.execute("UPDATE orders SET created_at = created_at - INTERVAL %s DAY", (days,))


@cache
def _fresh_data(user: str | None) -> FreshData:
    install = [_binary("mariadb-install-db"), "--no-defaults", "--auth-root-authentication-method=normal"]
    install += ["--skip-test-db", "--skip-name-resolve", f"--innodb-log-file-size={LOG_SIZE}"]
    # A server that starts deletes temporary tables, whoever's they are.
    return FreshData("mysql", lambda target: [*install, f"--tmpdir={target.parent}", f"--datadir={target}"], user)


def _binary(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=BINARIES)
    if found is None:
        raise ServerMissing(f"MariaDB's {name} is not installed: apt-get install mariadb-server")
    return found
