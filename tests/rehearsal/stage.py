"""Runs what a deployment starts, on loopback, under requests that hold connections."""

import asyncio
import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx2

from tests.processes import Process, free_port, wait_until
from tests.rehearsal.reading import Deployment
from tests.servers import Nginx
from tests.service import NO_TLS, START_SECONDS, client_of, environment
from tests.smoke.traffic import metric

# Requests are held until every pool is full and the rollout done, however slow the machine is.
PATIENCE = {"STATEMENT_TIMEOUT_SECONDS": "120"}
APART_SECONDS = 0.05  # between the first requests of two clients: one worker alone would take those that come at once
PAUSE_SECONDS = 1  # of a client that was answered: the requests must hold connections, not the processors


class Instance:
    """One host, container, pod: the deployment's own command on a port of ours; it answers when this returns."""

    def __init__(self, deployment: Deployment, project: Path, database_url: str) -> None:
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        self._metrics = tempfile.TemporaryDirectory(prefix="poolwright-metrics-")
        program, *arguments = deployment.command
        # Its own directory of metrics, with one worker too, so that all of them can be asked in the same way.
        given = {**deployment.environment, "PROMETHEUS_MULTIPROC_DIR": self._metrics.name, **PATIENCE}
        self.process = Process(
            [project / ".venv/bin" / program, *arguments, "--host", "127.0.0.1", "--port", str(port)],
            log=project / f"instance-{port}.log",
            cwd=project,
            env=environment(database_url, given),
        )
        self._nginx = None if deployment.site is None else Nginx(deployment.site, f"127.0.0.1:{port}")
        self.public_url = self._url if self._nginx is None else self._nginx.url

    def wait_until_ready(self) -> None:
        self.process.wait_for(self._ready, seconds=START_SECONDS)

    def _ready(self) -> bool:
        try:
            return httpx2.get(f"{self._url}/readyz", verify=NO_TLS).status_code == 200
        except httpx2.TransportError:
            return False

    def started_workers(self) -> int:
        """How many have started since the instance did."""
        return self.process.log().count("Application startup complete")

    def finished_workers(self) -> int:
        """How many have ended since the instance started."""
        return self.process.log().count("Finished server process")

    def client(self, connections: int = 10) -> httpx2.Client:
        """A client of it alone, without what stands before it."""
        return client_of(self._url, connections)

    def in_use(self) -> int:
        """Connections that requests hold, of all workers."""
        with self.client() as client:
            return int(metric(client, "db_pool_in_use"))

    def ended(self) -> None:
        """Wait until it has ended by itself."""
        self.process.wait(60)
        self.stop()

    def stop(self) -> None:
        self.process.end(seconds=5)
        if self._nginx is not None:
            self._nginx.close()
        self._metrics.cleanup()


class Load:
    """`clients` clients of each instance, which ask again as soon as they are answered; each request connects anew.

    answers: how many there were of each status; lost: requests that got none, or one that blames nobody but the app.
    """

    def __init__(self, clients: int) -> None:
        self.answers: Counter[int] = Counter()
        self.lost: list[str] = []
        self._clients = clients
        self._tasks: dict[Instance, list[asyncio.Task[None]]] = {}
        self._ending: set[Instance] = set()
        self._killed: set[Instance] = set()
        self._unanswered: Counter[Instance] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def add(self, instances: Sequence[Instance]) -> None:
        """Begin to ask these instances, too, or with as many clients more."""

        async def begin() -> None:
            for instance in instances:
                new = [asyncio.create_task(self._ask(instance, number)) for number in range(self._clients)]
                self._tasks.setdefault(instance, []).extend(new)

        asyncio.run_coroutine_threadsafe(begin(), self._loop).result(10)

    def drain(self, instances: Sequence[Instance]) -> None:
        """Ask these instances nothing new, as a balancer that takes them out."""
        self._ending.update(instances)

    def give_up(self, instances: Sequence[Instance]) -> None:
        """Ask these instances nothing new, and forgive them: they are about to be killed."""
        self._killed.update(instances)
        self.drain(instances)

    def unanswered(self, instance: Instance) -> int:
        """How many requests to an instance are on the way or with it."""
        return self._unanswered[instance]

    def settle(self, instances: Sequence[Instance]) -> None:
        """Wait until all requests to drained instances are answered."""

        async def answered() -> None:
            async with asyncio.timeout(60):
                await asyncio.gather(*(task for instance in instances for task in self._tasks.pop(instance)))

        asyncio.run_coroutine_threadsafe(answered(), self._loop).result(70)

    def close(self) -> None:
        self.drain(list(self._tasks))
        self.settle(list(self._tasks))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _ask(self, instance: Instance, number: int) -> None:
        await asyncio.sleep(number * APART_SECONDS)
        limits = httpx2.Limits(max_keepalive_connections=0)
        async with httpx2.AsyncClient(base_url=instance.public_url, timeout=60, limits=limits, verify=False) as client:
            while instance not in self._ending:
                self._unanswered[instance] += 1
                try:
                    status = (await client.get("/items", params={"limit": 1})).status_code
                except httpx2.TransportError as error:
                    if instance not in self._killed:
                        self.lost.append(repr(error))
                else:
                    self.answers[status] += 1
                    if status not in (200, 503) and instance not in self._killed:
                        self.lost.append(f"status {status}")
                finally:
                    self._unanswered[instance] -= 1
                await asyncio.sleep(PAUSE_SECONDS)


def wait_for_all(instances: Sequence[Instance], holds: Callable[[Instance], bool], what: str) -> None:
    """Wait until something holds of each instance."""
    wait_until(lambda: all(map(holds, instances)), 60, what)


def terminate(instances: Sequence[Instance]) -> None:
    for instance in instances:
        instance.process.send(signal.SIGTERM)
