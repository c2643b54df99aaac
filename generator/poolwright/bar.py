"""The plan as a bar of letters, to scale, which reads without colour and at any width."""

import textwrap
from collections.abc import Sequence

from poolwright.plan import Part, Side, sides
from poolwright.questions import Evaluation

_INDENT = "  "


def bar_lines(evaluation: Evaluation, width: int) -> list[list[tuple[str, str]]]:
    """A bar and its legend for each side of the plan, as lines of (part, text).

    The part is "" for text that belongs to none.
    """
    return [line for side in sides(evaluation) for line in _side_lines(side, width)]


def _side_lines(side: Side, width: int) -> list[list[tuple[str, str]]]:
    cells = scaled([part.connections for part in side.parts], max(width - 2, len(side.parts)))
    bar = [(part.name, part.letter * count) for part, count in zip(side.parts, cells, strict=True) if count]
    title = textwrap.wrap(f"{side.title}:", max(width, 20))
    return [*([("", line)] for line in title), [("", "["), *bar, ("", "]")], *_legend(side.parts, width)]


def scaled(counts: Sequence[int], cells: int) -> list[int]:
    """The cells for each count, `cells` in all, in proportion; a count above 0 has at least one cell."""
    total = sum(counts)
    if total == 0:
        return [0 for _ in counts]
    shares = [count * cells / total for count in counts]
    drawn = [max(int(share), 1 if count else 0) for share, count in zip(shares, counts, strict=True)]
    by_remainder = sorted(range(len(counts)), key=lambda index: int(shares[index]) - shares[index])
    for index in by_remainder:
        if sum(drawn) < cells and counts[index]:
            drawn[index] += 1
    while sum(drawn) > cells:
        drawn[drawn.index(max(drawn))] -= 1
    return drawn


def _legend(drawn: Sequence[Part], width: int) -> list[list[tuple[str, str]]]:
    lines: list[list[tuple[str, str]]] = []
    for part in drawn:
        text = f"{part.letter} {part.name} {part.connections} ({part.purpose})"
        wrapped = textwrap.wrap(text, max(width, 20), subsequent_indent=_INDENT)
        lines.extend([(part.name, line)] for line in wrapped)
    pairs = [lines[start : start + 2] for start in range(0, len(lines), 2)]
    if len(lines) != len(drawn) or any(len(line[0][1]) > width // 2 - 1 for line in lines):
        return lines
    half = width // 2
    return [
        [(left[0][0], left[0][1].ljust(half)), *(part for line in right for part in line)] for left, *right in pairs
    ]
