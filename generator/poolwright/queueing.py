"""How long requests wait for a connection of a pool: the M/M/c queue, and what its limits refuse.

Requests arrive at random (Poisson), hold a connection for a time that varies about its mean (exponential), and wait in
one line for the next that is free. Constant times make about half of the wait.

Sources: L. Kleinrock, Queueing Systems, volume 1, Wiley 1975, chapter 3 (Erlang B and C, the M/M/c/K queue);
N. K. Boots and H. Tijms, A multiserver queueing system with impatient customers, Management Science 45(3), 1999.
"""

import math
from dataclasses import dataclass


def lost_share(servers: int, offered: float, places: int = 0) -> float:
    """The share of requests that find all servers busy and all waiting places taken: 0 to 1.

    servers: 1 or more. offered: arrivals per second x mean seconds of service, 0 or more, also above `servers`.
    places: how many may wait; 0 is Erlang's B formula.

    The recursion of the birth and death process, B(n) = r B(n-1) / (1 + r B(n-1)) with r = offered / min(n, servers),
    needs no factorial and cannot overflow.
    """
    lost = 1.0
    for size in range(1, servers + places + 1):
        weight = offered / min(size, servers) * lost
        lost = weight / (1 + weight)
    return lost


def waiting_share(servers: int, offered: float) -> float:
    """Erlang's C formula: the share of requests that find all servers busy and wait, 0 to 1; 1 from full load on.

    From Erlang B: C = c B / (c - a (1 - B)) with c servers and a offered.
    """
    if offered >= servers:
        return 1.0
    lost = lost_share(servers, offered)
    return servers * lost / (servers - offered * (1 - lost))


@dataclass(frozen=True)
class Queue:
    """A pool under load.

    arrivals: requests per second, 0 or more. hold: mean seconds that each holds a connection, above 0. servers:
    connections, 1 or more. The waits are those of a line without limits; they are inf where the pool cannot keep up.
    """

    arrivals: float
    hold: float
    servers: int

    @property
    def busy(self) -> float:
        """Connections busy on average while all requests are served: Little's law, arrivals x hold."""
        return self.arrivals * self.hold

    @property
    def utilisation(self) -> float:
        """The busy share of the connections; from 1 on the line only grows."""
        return self.busy / self.servers

    @property
    def waiting_share(self) -> float:
        """The share of requests that wait at all."""
        return waiting_share(self.servers, self.busy)

    @property
    def mean_wait(self) -> float:
        """Mean seconds of waiting over all requests: C / (c / hold - arrivals)."""
        return self.waiting_share / self._spare if self._spare > 0 else math.inf

    def wait_quantile(self, share: float) -> float:
        """Seconds that `share` of the requests (0 to 1, 1 excluded) wait at most.

        P(wait > t) = C exp(-(c / hold - arrivals) t).
        """
        if self._spare <= 0:
            return math.inf
        waiting = self.waiting_share
        return math.log(waiting / (1 - share)) / self._spare if waiting > 1 - share else 0.0

    def refused_share(self, places: int, patience: float) -> float:
        """The share of requests refused by a line with `places`, or after `patience` seconds in it: 0 to 1.

        The larger of the two, each exact by itself, at any load: near the point where both bind alike it is a little
        low, by what the second limit adds to the first.
        """
        return max(lost_share(self.servers, self.busy, places), self._impatient_share(patience))

    @property
    def _spare(self) -> float:
        """Requests per second that the pool could serve besides; negative where it cannot keep up."""
        return self.servers / self.hold - self.arrivals

    def _impatient_share(self, patience: float) -> float:
        """The share that leaves after `patience` seconds without service (M/M/c+D, Boots and Tijms).

        With u = exp(-(c / hold - arrivals) patience) and b the Erlang B of one server less, the share is
        rho u / (1 / b + arrivals x (1 - u) / (c / hold - arrivals) + rho u), divided by u where u would overflow.
        """
        before = lost_share(self.servers - 1, self.busy)
        if before == 0:
            return 0.0
        spare, load = self._spare, self.utilisation
        exponent = spare * patience
        # seconds: the integral of exp(-spare t) from 0 to patience
        time = patience if exponent == 0 else -math.expm1(-abs(exponent)) / abs(spare)
        if exponent >= 0:
            left = load * math.exp(-exponent)
            return left / (1 / before + self.arrivals * time + left)
        return load / (math.exp(exponent) / before + self.arrivals * time + load)
