"""The results as a small SVG picture: readable on light and dark, no font or other file fetched."""

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from benchmarks.load import TIMED

TARGET = 1.15
_WIDTH = 960
_NAMES = 300
_PANEL = 160
_BARS = 110
_MOST = 1.6  # where a bar ends; its number says how far it would go
_TOP = 64
_LINE = 22
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#111827}.title{font-weight:600}.number{font-size:11px}"
    ".page{fill:#ffffff}.bar{fill:#0f766e}.one{stroke:#111827}.target{stroke:#b45309;stroke-dasharray:3 3}"
    "@media(prefers-color-scheme:dark){text{fill:#f3f4f6}.page{fill:#111827}.one{stroke:#f3f4f6}.bar{fill:#14b8a6}}"
)


def draw(results: Mapping[str, Any]) -> str:
    """An SVG document with a bar for each layer and request: CPU time beside the most similar minimal app."""
    height = _TOP + len(results) * _LINE + 16
    title = "CPU time per request, minimal hand-written app = 1"
    shapes = [
        f'<rect class="page" width="{_WIDTH}" height="{height}"/>',
        f'<text class="title" x="16" y="26">{title}</text>',
    ]
    for panel, request in enumerate(TIMED):
        left = _NAMES + panel * _PANEL
        shapes.append(f'<text class="title" x="{left}" y="{_TOP - 10}">{escape(request)}</text>')
        for kind, value in (("one", 1.0), ("target", TARGET)):
            x = left + _BARS * value / _MOST
            shapes.append(f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 4}" y2="{height - 12}"/>')
    for number, (name, row) in enumerate(results.items()):
        base = _TOP + number * _LINE + 14
        minimal, ratios = next(iter(row["ratios"].items()))
        shapes.append(f'<text x="16" y="{base}">{escape(name)}</text>')
        for panel, request in enumerate(TIMED):
            left = _NAMES + panel * _PANEL
            long = _BARS * min(ratios[request], _MOST) / _MOST
            shapes.append(
                f'<rect class="bar" x="{left}" y="{base - 10}" width="{long:.1f}" height="11">'
                f"<title>{escape(f'{name}, {request}: {ratios[request]:.2f} of {minimal}')}</title></rect>"
            )
            shapes.append(f'<text class="number" x="{left + _BARS + 6}" y="{base}">{ratios[request]:.2f}</text>')
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}"'
            f' height="{height}" role="img">',
            f"<title>{title}</title><desc>Solid line: 1. Dashed line: the target, {TARGET}.</desc>",
            f"<style>{_STYLE}</style>",
            *shapes,
            "</svg>\n",
        ]
    )
