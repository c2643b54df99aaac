"""What the load test saw at each level of concurrency, as a table and as a picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import quantiles

_STEP, _LEFT, _TOP, _BASE = 80, 30, 50, 310
_COLORS = {"p50": "#b45309", "p95": "#b91c1c"}


@dataclass
class Level:
    """What was seen while so many users sent one request after the other."""

    users: int
    started: float
    seconds: float = 0
    milliseconds: list[float] = field(default_factory=list)  # of each request that was served
    refused: int = 0
    pools: dict[str, tuple[float, float]] = field(
        default_factory=dict
    )  # of each, the most connections in use, the limit

    def end(self, now: float) -> None:
        """Say that the level is over."""
        self.seconds = now - self.started

    def note_pool(self, pool: str, in_use: float, limit: float) -> None:
        """Say what /metrics tells now."""
        most, _ = self.pools.get(pool, (0, 0))
        self.pools[pool] = max(most, in_use), limit

    @property
    def is_full(self) -> bool:
        """Whether all connections of a pool were in use at once."""
        return any(most >= limit for most, limit in self.pools.values())

    @property
    def per_second(self) -> float:
        """Requests served."""
        return len(self.milliseconds) / self.seconds

    @property
    def latencies(self) -> tuple[float, float]:
        """Milliseconds that half of the requests, and 95 of 100, were served within."""
        if len(self.milliseconds) < 2:
            return 0, 0
        percentiles = quantiles(self.milliseconds, n=20)
        return percentiles[9], percentiles[18]


def table(levels: Sequence[Level]) -> Iterator[str]:
    """A line for each level."""
    yield f"{'users':>6} {'served/s':>9} {'p50 ms':>8} {'p95 ms':>8} {'refused':>8} {'in use':>8}"
    first_full = next((level for level in levels if level.is_full), None)
    for level in levels:
        median, most = level.latencies
        in_use = " ".join(f"{most:.0f}/{limit:.0f}" for most, limit in level.pools.values())
        line = f"{level.users:>6} {level.per_second:>9.0f} {median:>8.1f} {most:>8.1f} {level.refused:>8} {in_use:>8}"
        yield line + ("  <- the pool is full from here" if level is first_full else "")


def draw(levels: Sequence[Level]) -> Iterator[str]:
    """An SVG document: a bar for each level's throughput, lines for its latencies, shaded where the pool is full."""
    width, height = 2 * _LEFT + _STEP * len(levels), _BASE + 60
    per_second = max(level.per_second for level in levels) or 1
    milliseconds = max(level.latencies[1] for level in levels) or 1
    tall = _BASE - _TOP
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">'
    yield f'<rect width="{width}" height="{height}" fill="#ffffff"/><g font-size="12">'
    yield f'<text x="{_LEFT}" y="20">Bars: requests served per second. Lines: milliseconds.</text>'
    yield f'<text x="{_LEFT}" y="38">Shaded: all connections of the pool are in use.</text>'
    for number, level in enumerate(levels):
        x, high = _LEFT + _STEP * number, tall * level.per_second / per_second
        if level.is_full:
            yield f'<rect x="{x}" y="{_TOP}" width="{_STEP}" height="{tall}" fill="#fee2e2"/>'
        yield f'<rect x="{x + 15}" y="{_BASE - high:.0f}" width="50" height="{high:.0f}" fill="#5eead4"/>'
        yield f'<text x="{x + 15}" y="{_BASE - 4}">{level.per_second:.0f}/s</text>'
        yield f'<text x="{x + 15}" y="{_BASE + 16}">{level.users} users</text>'
    for number, (name, color) in enumerate(_COLORS.items()):
        points = [
            f"{_LEFT + _STEP * (place + 0.5):.0f},{_BASE - tall * level.latencies[number] / milliseconds:.0f}"
            for place, level in enumerate(levels)
        ]
        most = max(level.latencies[number] for level in levels)
        yield f'<polyline points="{" ".join(points)}" fill="none" stroke="{color}" stroke-width="2"/>'
        yield f'<text x="{_LEFT + 150 * number}" y="{_BASE + 42}" fill="{color}">{name}: up to {most:.0f} ms</text>'
    yield "</g></svg>"
