import shutil
import socket
import tempfile
from pathlib import Path

from tests.processes import Process, free_port
from tests.servers.base import ServerMissing


class Redis:
    """Redis on a free loopback port, which keeps nothing on disk; made, but not started."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._directory = Path(tempfile.mkdtemp(prefix="poolwright-redis-"))
        self._process: Process | None = None

    def start(self) -> None:
        found = shutil.which("redis-server")
        if found is None:
            raise ServerMissing("Redis is not installed: apt-get install redis-server")
        command = [found, "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--dir", str(self._directory)]
        self._process = Process(command, log=self._directory / "log")
        self._process.wait_for(lambda: self.run("PING") == "+PONG", seconds=30)

    def run(self, *words: str) -> str:
        """The first line of the answer to a command; "" while nobody answers."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(b"".join([f"*{len(words)}\r\n".encode(), *(_bulk(word) for word in words)]))
                return connection.makefile("rb").readline().decode().strip()
        except OSError:
            return ""

    def clients(self) -> int:
        """Connections of apps."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(b"CLIENT LIST\r\n")
            answer = connection.makefile("rb")
            size = int(answer.readline()[1:])
            return len(answer.read(size).splitlines()) - 1  # this one

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill_tree()

    def freeze(self) -> None:
        assert self._process is not None
        self._process.freeze()

    def thaw(self) -> None:
        assert self._process is not None
        self._process.thaw()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)


def _bulk(word: str) -> bytes:
    return f"${len(word.encode())}\r\n{word}\r\n".encode()
