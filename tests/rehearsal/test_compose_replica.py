"""The service `replica` of compose.yaml comes true: its own commands, on servers of this machine, make a replica."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pymongo
import pytest
import yaml
from pymongo.errors import NotPrimaryError, ServerSelectionTimeoutError

from poolwright.render import render_project
from tests.processes import Process, free_port, wait_until
from tests.servers import MongoDB, PostgreSQL
from tests.servers.mongodb import mongod

LIMIT = 40
SECRETS = "/run/secrets/"
REPLICA = "127.0.0.2"  # where it listens: the first server has the same port on 127.0.0.1


class Project:
    """A rendered deploy/ and a directory that every user can read: for secrets and data."""

    def __init__(self, database: str, directory: Path) -> None:
        answers = {"project_name": "rehearsal", "database": database, "deployment": "compose"}
        render_project({**answers, "read_replica": True, "max_connections": LIMIT}, directory / "project")
        self.deploy = directory / "project" / "deploy"
        self.document: dict[str, Any] = yaml.safe_load((self.deploy / "compose.yaml").read_text(encoding="utf-8"))
        self.directory = Path(tempfile.mkdtemp(prefix="poolwright-compose-"))
        self.directory.chmod(0o755)
        for name in self.document["secrets"]:
            (self.directory / name).write_text(f"of_{name}")

    def command(self, service: str) -> list[str]:
        """What its container runs; Compose reads $$ as $."""
        row = self.document["services"][service]
        return [word.replace("$$", "$") for word in [*row.get("entrypoint", []), *row["command"]]]

    def environment(self, service: str, instead: Mapping[str, str]) -> dict[str, str]:
        """Its variables, with the places of this machine."""
        given: dict[str, str] = self.document["services"][service]["environment"]
        moved = {name: value.replace(SECRETS, f"{self.directory}/") for name, value in given.items()}
        return {**os.environ, **moved, **instead}

    def close(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)


class Following(Project):
    """PostgreSQL: a first server with the rendered options and files, and the service `replica`."""

    def __init__(self, directory: Path) -> None:
        super().__init__("postgresql", directory)
        self.first = PostgreSQL(max_connections=LIMIT)
        self._user = "postgres" if os.geteuid() == 0 else None
        self._data = self.directory / "volume" / "18" / "docker"
        self._data.parent.parent.mkdir()
        # A copy that was cut short.
        (self._data.parent / "docker.new" / "base").mkdir(parents=True)
        for path in (self._data.parent.parent, self._data.parent, *self._data.parent.rglob("*")):
            if self._user is not None:
                shutil.chown(path, self._user, self._user)
        self._replica: Process | None = None

    def start_first(self) -> None:
        options = self.command("database")
        pairs = dict(option.split("=") for option in options[2::2])
        assert pairs.pop("max_connections") == str(LIMIT)
        rules = self.document["configs"][Path(pairs["hba_file"]).name]["content"]
        hba_file = self.directory / "pg_hba.conf"
        hba_file.write_text(f"host all postgres 127.0.0.0/8 trust\n{rules}")
        # The copy takes this file with it, where the image's says on which addresses a server listens.
        ours = {"listen_addresses": REPLICA, "unix_socket_directories": "", "fsync": "off", "shared_buffers": "32MB"}
        with (self.first.data / "postgresql.conf").open("a") as file:
            for name, value in {**pairs, **ours, "hba_file": hba_file}.items():
                file.write(f"{name} = '{value}'\n")
        self.first.start()
        self.first.run("CREATE DATABASE app TEMPLATE template0")  # without what the tests' roles have

    def make_roles(self) -> None:
        *shell, script = self.command("roles")
        for name, here in {
            SECRETS: f"{self.directory}/",
            "/roles.sql": str(self.deploy / "roles.sql"),
            "PGHOST=database": f"PGHOST=127.0.0.1 PGPORT={self.first.port}",
        }.items():
            assert name in script
            script = script.replace(name, here)
        subprocess.run([*shell, script], check=True, cwd=self.directory, capture_output=True)

    def start_replica(self) -> None:
        self.run_replica()
        assert self._replica is not None
        self._replica.wait_for(self.healthy, seconds=60)

    def run_replica(self) -> None:
        """Start it, healthy or not."""
        environment = self.environment("replica", self._places(PRIMARY="127.0.0.1", PGDATA=str(self._data)))
        log = self.directory / "log"
        self._replica = Process(self.command("replica"), log=log, cwd=self.directory, env=environment, user=self._user)

    def log(self) -> str:
        """Of the replica."""
        return (self.directory / "log").read_text(errors="replace")

    def empty_volume(self) -> None:
        shutil.rmtree(self._data.parent)

    def stop_replica(self) -> None:
        assert self._replica is not None
        self._replica.end()

    def _places(self, **more: str) -> dict[str, str]:
        return {"PATH": f"{self.first.binaries}:{os.environ['PATH']}", "PGPORT": str(self.first.port), **more}

    def healthy(self) -> bool:
        kind, *check = self.document["services"]["replica"]["healthcheck"]["test"]
        assert kind == "CMD"
        environment = self.environment("replica", self._places(PGHOST=REPLICA))
        return subprocess.run(check, env=environment, capture_output=True).returncode == 0

    def ask(self, query: str, user: str = "postgres") -> list[tuple[Any, ...]]:
        """The rows of a query of the replica."""
        with self._connect(REPLICA, user) as connection:
            return connection.execute(query.encode()).fetchall()

    def write(self, statement: str) -> None:
        """Run a statement on the first server."""
        with self._connect("127.0.0.1", "postgres") as connection:
            connection.execute(statement.encode())

    def _connect(self, host: str, user: str) -> psycopg.Connection[Any]:
        password = (self.directory / "app_password").read_text()
        return psycopg.connect(
            host=host, port=self.first.port, dbname="app", user=user, password=password, autocommit=True
        )

    def numbers(self) -> list[int]:
        return [number for (number,) in self.ask("SELECT number FROM numbers ORDER BY 1")]

    def close(self) -> None:
        if self._replica is not None:
            self._replica.kill_tree()
        self.first.close()
        super().close()


class Joining(Project):
    """MongoDB: a first server, and the services `replica` and `join`."""

    def __init__(self, directory: Path) -> None:
        super().__init__("mongodb", directory)
        self.first = MongoDB(max_connections=LIMIT, open_to_all=True)
        self._port = free_port()
        self._replica: Process | None = None

    def start_replica(self) -> None:
        command = self.command("replica")
        assert command[0] == "mongod"
        # A container has a network and directories of its own.
        command[0] = mongod()
        command[command.index("--bind_ip_all")] = "--bind_ip=127.0.0.1"
        command += ["--port", str(self._port), "--dbpath", str(self.directory), "--nounixsocket"]
        command += ["--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64"]
        self._replica = Process(command, log=self.directory / "log")

    def join(self) -> None:
        places = {"SERVERS": f"mongodb://{self._members[0]}/?replicaSet=rs0", "MEMBER": self._members[1]}
        environment = self.environment("join", places)
        subprocess.run(self.command("join"), check=True, env=environment, cwd=self.directory)

    @property
    def _members(self) -> tuple[str, str]:
        return f"127.0.0.1:{self.first.port}", f"127.0.0.1:{self._port}"

    def _client(self, secret: str) -> "pymongo.MongoClient[dict[str, Any]]":
        """With the URL that secrets.sh makes for the app."""
        script = (self.deploy / "secrets.sh").read_text(encoding="utf-8")
        (url,) = re.findall(rf'^keep {secret} "(.*)"$', script, re.MULTILINE)
        for name, here in zip(("database:27017", "replica:27017"), self._members, strict=True):
            url = url.replace(name, here)
        return pymongo.MongoClient(url, serverSelectionTimeoutMS=2000)

    def replica(self) -> "pymongo.MongoClient[dict[str, Any]]":
        """The replica alone."""
        return pymongo.MongoClient(self._members[1], directConnection=True, serverSelectionTimeoutMS=2000)

    def healthy(self) -> bool:
        """What the health check asks; mongosh, which asks it there, is in no package that the tests could install."""
        with self.replica() as client:
            return bool(client.admin.command("hello")["secondary"])

    def write(self, number: int) -> None:
        with self._client("database_url") as client:
            client.app.numbers.insert_one({"_id": number})

    def read(self) -> list[int]:
        with self._client("replica_database_url") as client:
            return [found["_id"] for found in client.app.numbers.find().sort("_id")]

    def stop_replica(self) -> None:
        assert self._replica is not None
        self._replica.kill_tree()

    def close(self) -> None:
        if self._replica is not None:
            self._replica.kill_tree()
        self.first.close()
        super().close()


@pytest.fixture
def following(tmp_path: Path) -> Iterator[Following]:
    made = Following(tmp_path)
    try:
        made.start_first()
        made.make_roles()
        yield made
    finally:
        made.close()


@pytest.mark.xdist_group("rehearsal-postgresql")
def test_the_replica_of_postgresql_follows(following: Following) -> None:
    following.write("CREATE TABLE numbers (number int)")
    following.write("GRANT SELECT ON numbers TO app")
    following.write("INSERT INTO numbers VALUES (1)")
    following.start_replica()
    wait_until(lambda: following.numbers() == [1], 10, "what was there before")
    following.write("INSERT INTO numbers VALUES (2)")
    wait_until(lambda: following.numbers() == [1, 2], 10, "what came later")
    assert following.ask("SHOW max_connections", user="app") == [(str(LIMIT),)]
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        following.ask("INSERT INTO numbers VALUES (3)")
    (slot,) = following.first.ask("SELECT slot_name, active FROM pg_replication_slots")
    assert slot == ("replica", True)

    # It goes on where it was, and so it does where the roles are made again.
    copied = following.ask("SELECT (pg_stat_file('PG_VERSION')).modification")
    following.stop_replica()
    following.write("INSERT INTO numbers VALUES (4)")
    following.make_roles()
    following.start_replica()
    wait_until(lambda: following.numbers() == [1, 2, 4], 10, "what came while it was away")
    assert following.ask("SELECT (pg_stat_file('PG_VERSION')).modification") == copied


@pytest.mark.xdist_group("rehearsal-postgresql")
def test_a_replica_that_does_not_follow_is_not_healthy(following: Following) -> None:
    following.start_replica()
    assert following.healthy()
    following.first.run("ALTER ROLE app_replication NOLOGIN")
    following.first.run("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
    wait_until(lambda: not following.healthy(), 30, "it does not follow")
    assert following.ask("SELECT 1") == [(1,)]


@pytest.mark.xdist_group("rehearsal-postgresql")
def test_a_replica_that_was_away_for_too_long_says_so_and_is_made_anew(following: Following) -> None:
    slots = "SELECT wal_status FROM pg_replication_slots"
    following.start_replica()
    following.stop_replica()
    following.first.run("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
    following.first.run("SELECT pg_reload_conf()")
    following.write("CREATE TABLE numbers AS SELECT 1 AS number")

    def lost() -> bool:
        following.write("SELECT pg_switch_wal()")
        following.write("CHECKPOINT")
        following.write("INSERT INTO numbers VALUES (2)")
        return following.first.ask(slots) == [("lost",)]

    wait_until(lost, 20, "the slot is given up")
    following.run_replica()
    refused = re.compile("could not (receive data from WAL stream|start WAL streaming)")
    wait_until(lambda: refused.search(following.log()), 20, "it says so")
    wait_until(lambda: not following.healthy(), 20, "it does not follow")

    # As README.md has it.
    following.stop_replica()
    following.empty_volume()
    following.make_roles()
    following.start_replica()
    assert following.numbers()[:2] == [1, 2]


@pytest.fixture
def joining(tmp_path: Path) -> Iterator[Joining]:
    made = Joining(tmp_path)
    try:
        made.first.start()
        yield made
    finally:
        made.close()


@pytest.mark.xdist_group("rehearsal-mongodb")
def test_the_replica_of_mongodb_follows_and_the_first_server_does_not_need_it(joining: Joining) -> None:
    joining.write(1)
    joining.start_replica()
    for _ in range(2):
        joining.join()
    wait_until(joining.healthy, 60, "a secondary")
    assert joining.read() == [1]
    joining.write(2)
    wait_until(lambda: joining.read() == [1, 2], 10, "what came later")
    with joining.replica() as client, pytest.raises(NotPrimaryError):
        client.app.numbers.insert_one({"_id": 3})
    with joining.replica() as client:
        connections = client.admin.command("serverStatus")["connections"]
        _, member = client.admin.command("replSetGetConfig")["config"]["members"]
    assert connections["current"] + connections["available"] == LIMIT
    assert (member["votes"], member["priority"]) == (0, 0)  # a vote would count only some time after the copy

    joining.stop_replica()
    joining.write(4)
    with pytest.raises(ServerSelectionTimeoutError):
        joining.read()
    joining.start_replica()
    joining.join()
    wait_until(joining.healthy, 60, "a secondary again")
    wait_until(lambda: joining.read() == [1, 2, 4], 10, "what came while it was away")
