"""Numbers as the reports print them."""

import math


def short(number: float) -> str:
    """A number to three figures, and nothing below a thousandth: 1200, 37.5, 0.004."""
    if number == 0 or abs(number) >= 100:
        return f"{number:.0f}"
    if abs(number) < 0.001:
        return "<0.001"
    figures = 2 - math.floor(math.log10(abs(number)))
    return f"{number:.{min(figures, 3)}f}".rstrip("0").rstrip(".")


def percent(share: float) -> str:
    """A share of 0 to 1 as people read it: 12.5 %."""
    return f"{short(100 * share)} %"


def milliseconds(seconds: float) -> str:
    """Seconds as people read them in milliseconds: 37.5 ms."""
    return f"{short(1000 * seconds)} ms"


def rounded(number: float) -> float | None:
    """The number to six figures as JSON has it; None for what has no end."""
    return float(f"{number:.6g}") if math.isfinite(number) else None
