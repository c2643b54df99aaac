import configparser
import os
import shutil
import socket
import tempfile
from pathlib import Path

from tests.processes import Process, free_port
from tests.servers import unstable
from tests.servers.postgresql import PostgreSQL


class PgBouncer:
    """PgBouncer with the rendered pgbouncer.ini, but for addresses, log-in, the size of its pool, and `settings`.

    rendered: None for one with its own defaults besides.
    """

    def __init__(self, rendered: Path | None, server: PostgreSQL, connections: int, **settings: object) -> None:
        self.port = free_port()
        self._directory = Path(tempfile.mkdtemp(prefix="poolwright-pgbouncer-"))
        file = self._directory / "pgbouncer.ini"
        ini = configparser.ConfigParser(interpolation=None)
        ini.read([rendered] if rendered else [])
        ini["databases"] = {"*": f"host=127.0.0.1 port={server.port}"}
        ini.setdefault("pgbouncer", {})
        ini["pgbouncer"].update(
            listen_addr="127.0.0.1",
            listen_port=str(self.port),
            auth_type="trust",
            auth_file=str(self._directory / "users"),
            unix_socket_dir="",
            default_pool_size=str(connections),
            max_db_connections=str(connections),
            **{name: str(value) for name, value in settings.items()},
        )
        if os.geteuid() == 0:  # it refuses to stay root
            ini["pgbouncer"]["user"] = "postgres"
        with file.open("w") as written:
            ini.write(written)
        (self._directory / "users").write_text('"app" ""\n"app_migrator" ""\n')
        if os.geteuid() == 0:
            for path in (self._directory, *self._directory.iterdir()):
                shutil.chown(path, "postgres", "postgres")
        command: list[str | Path] = [*unstable.command("usr/sbin/pgbouncer"), file]
        self._process = Process(command, log=self._directory / "log", cwd=self._directory)
        self._process.wait_for(self._listens, seconds=30)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def close(self) -> None:
        self._process.kill_tree()
        shutil.rmtree(self._directory, ignore_errors=True)
