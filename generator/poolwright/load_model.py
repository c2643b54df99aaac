"""The queues of a plan under a load, and the verdict on them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from poolwright.queueing import Queue, lost_share

KEEPS_UP = "keeps_up"
POOL_TOO_SMALL = "pool_too_small"
SERVER_TOO_SMALL = "server_too_small"
POOL_EXCEEDS_CORES = "pool_exceeds_cores"


@dataclass(frozen=True)
class Demand:
    """What a deployment has to serve.

    rps: requests per second over all processes. hold_ms: mean milliseconds that each holds a connection. cores: those
    of the database server, None where nobody said.
    """

    rps: float
    hold_ms: float
    cores: int | None

    @property
    def busy(self) -> float:
        """Connections busy at the server on average (Little's law)."""
        return self.rps * self.hold_ms / 1000


class Model:
    """The queues of a plan that fits under a load.

    The processes are those of the steady state: a rollout's surge and second revision come on top and share the load.
    """

    def __init__(self, values: Mapping[str, Any], load: Demand) -> None:
        settings, constants = values["settings"], values["catalog"]["plan"]
        self.instances, self.workers = values["instances"], values["workers"]
        self.processes = self.instances * self.workers
        self.places, self.patience = settings["pool_max_waiting"], settings["pool_timeout_seconds"]
        self.most_refused = constants["most_refused_share"]
        self.useful = math.inf if load.cores is None else load.cores * constants["connections_per_core"]
        self.loses = values["catalog"]["deployments"][values["deployment"]]["one_worker"]
        pool = settings["pool_size"] + settings["max_overflow"]
        self.total: int = self.processes * pool
        hold = load.hold_ms / 1000
        # In session mode nobody waits for the pooler: each of the app's connections has one of the server's.
        shared = values["pooled"] and not values["pooler_keeps"]
        self.pooler = Queue(load.rps, hold, values["pooler_connections"]) if shared else None
        self.each = Queue(load.rps / self.processes, self._hold(hold), pool)
        self.refused = self.refused_with(self.each)
        self.to_server = values["pooler_connections"] if shared else self.total
        self.verdict = self._verdict(load)

    def refused_with(self, each: Queue) -> float:
        """The share refused where each process has this pool."""
        if self.loses:  # the platform starts no further process and queues nothing
            return lost_share(self.processes * each.servers, self.processes * each.busy)
        return each.refused_share(self.places, self.patience)

    def _hold(self, hold: float) -> float:
        """Mean seconds that a request holds a connection of the app's, which it does while it waits for the pooler.

        At most as long as the pooler takes to serve all that the app's connections can bring before it.
        """
        if self.pooler is None:
            return hold
        return min(hold + self.pooler.mean_wait, max(hold, self.total * hold / self.pooler.servers))

    def _verdict(self, load: Demand) -> str:
        if load.busy > self.useful:
            return SERVER_TOO_SMALL
        full = any(queue.utilisation >= 1 for queue in (self.each, self.pooler) if queue)
        if full or self.refused > self.most_refused:
            return POOL_TOO_SMALL
        return POOL_EXCEEDS_CORES if self.to_server > self.useful else KEEPS_UP
