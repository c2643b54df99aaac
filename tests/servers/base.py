"""What the tests ask of a database server, whichever it is."""

import abc
import atexit
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import quote, urlsplit

from tests.processes import Process, free_port
from tests.servers.certificates import Certificates
from tests.wire import AnyRequest, Conversation

TESTS_APPLICATION = "tests"  # how the tests' own connections name themselves: they are not counted


class ServerMissing(RuntimeError):
    """A server that the tests need cannot be found or installed; the message says what to install."""


def with_user(url: str, user: str, password: str | None = None) -> str:
    """The same URL for another user, with the same password or another."""
    parts = urlsplit(url)
    login, _, host = parts.netloc.rpartition("@")
    kept = login.partition(":")[1:]
    given = "".join(kept) if password is None else f":{quote(password, safe='')}"
    return parts._replace(netloc=f"{user}{given}@{host}").geturl()


def migrator_url(url: str) -> str:
    """What migrations have where the service has this URL: its user is app_migrator in the place of app."""
    return with_user(url, "app_migrator") if urlsplit(url).username == "app" else url


def owner_url(url: str) -> str:
    """What who makes databases has where the service has this URL, as the tests of a project do."""
    return with_user(url, "owner") if urlsplit(url).username == "app" else url


class FreshData:
    """The data directory of a new server, made once in a test process and copied for each, which is far quicker.

    command: makes it at a path; user: whose it is, None for the user of the tests.
    """

    def __init__(self, kind: str, command: Callable[[Path], Sequence[str]], user: str | None) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix=f"poolwright-{kind}-data-"))
        self._user = user
        atexit.register(shutil.rmtree, self._directory, ignore_errors=True)
        if user is not None:
            account = pwd.getpwnam(user)
            os.chown(self._directory, account.pw_uid, account.pw_gid)
        run_as(user, command(self._directory / "data"), self._directory)

    def copy(self, target: Path) -> None:
        """Make `target`, which must not exist, in a directory of the user's."""
        run_as(self._user, ["cp", "--archive", str(self._directory / "data"), str(target)], self._directory)


def run_as(user: str | None, command: Sequence[str], directory: Path) -> None:
    """Run a command in a directory, as another user if one is given; RuntimeError with its output if it fails."""
    done = subprocess.run(command, user=user, group=user, cwd=directory, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)


class Database(abc.ABC):
    """Databases (or files) made in a temporary directory that `close()` removes."""

    def __init__(self, kind: str) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix=f"poolwright-{kind}-"))

    def __enter__(self) -> Self:
        """Start it; it is closed at the end of the block, and where it does not start."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abc.abstractmethod
    def start(self) -> None:
        """Return when it answers."""

    def close(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)

    @abc.abstractmethod
    def url(self, database: str) -> str: ...

    def create_database(self) -> str:
        """The name of a new, empty database."""
        return f"t{uuid.uuid4().hex}"

    @abc.abstractmethod
    def version(self) -> str:
        """Its name and version."""

    @abc.abstractmethod
    def databases(self) -> set[str]:
        """The names of all databases that exist."""

    @abc.abstractmethod
    def idle_in_transaction(self, database: str) -> int:
        """Connections that hold a transaction open without doing anything in it."""

    @abc.abstractmethod
    def blocked(self, database: str, seconds: float, table: str = "items") -> contextlib.AbstractContextManager[None]:
        """While entered, writes to the table wait (for the end, or each for `seconds`)."""

    @abc.abstractmethod
    def age_orders(self, database: str, days: int) -> None:
        """Make every order that many days older."""


class Server(Database):
    """A server process on a free loopback port; made, but not started.

    secured: it requires TLS, with certificates that it makes.
    """

    connections_beside_pool: ClassVar[int] = 0  # what a process's driver opens besides its pool
    counts_one_database: ClassVar[bool] = True  # whether connections() tells databases apart
    conversation: ClassVar[type[Conversation]] = AnyRequest
    stop_signal: ClassVar[signal.Signals]

    def __init__(self, kind: str, *, secured: bool = False) -> None:
        super().__init__(kind)
        self.port = free_port()
        self.certificates = Certificates(self._directory) if secured else None
        self.host = "localhost" if secured else "127.0.0.1"
        self._process: Process | None = None

    @abc.abstractmethod
    def url(self, database: str, port: int | None = None) -> str:
        """The URL for an app; with `port`, through a proxy that listens there.

        Its user can do what roles.sql lets it; migrations have that of migrator_url.
        """

    def url_as(self, user: str, password: str, database: str) -> str:
        """The URL for an app that logs in as another user."""
        return with_user(self.url(database), user, password)

    @abc.abstractmethod
    def create_user(self, password: str) -> str:
        """The name of a new user that can do what apps do, and has to give this password."""

    @abc.abstractmethod
    def connections(self, database: str) -> int:
        """Client connections as the server sees them, but for the tests' own."""

    @abc.abstractmethod
    def active(self, database: str) -> int:
        """Those of them that run a statement now, or wait in one."""

    def held(self, database: str) -> contextlib.AbstractContextManager[None]:
        """While entered, reads of items wait for the end, however long that takes."""
        return self.blocked(database, 0)

    @abc.abstractmethod
    def refused_connections(self) -> int:
        """How many connections the server has refused because it had too many."""

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    def kill(self) -> None:
        """SIGKILL; `start()` starts it again with its data."""
        if self._process is not None:
            self._process.kill_tree()

    def stop(self) -> None:
        if self._process is not None:
            self._process.end(self.stop_signal)

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing is answered, until `thaw()`."""
        assert self._process is not None
        self._process.freeze()

    def thaw(self) -> None:
        assert self._process is not None
        self._process.thaw()

    def close(self) -> None:
        self.kill()
        super().close()
