"""Products of values as parameters of a test: all of them, of which `make test` takes a cover."""

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def product(whole: Iterable[tuple[Any, ...]], cover: Collection[tuple[Any, ...]]) -> list[Any]:
    """Parameters for `pytest.mark.parametrize`: those of `whole` beyond `cover` are for --all-combinations only."""
    return [row if row in cover else pytest.param(*row, marks=pytest.mark.beyond_cover) for row in whole]


def neighbours(values: Iterable[Any]) -> list[tuple[Any, Any]]:
    """Each value and the next one, the last and the first: every value leaves once and arrives once."""
    ring = list(values)
    return list(zip(ring, [*ring[1:], *ring[:1]], strict=True))
