"""The plan's bar as a small SVG picture: readable on light and dark, no font or other file fetched."""

from xml.sax.saxutils import escape

from poolwright.plan import Side, sides
from poolwright.questions import Evaluation

_WIDTH = 720
_MARGIN = 16
_BAR_HEIGHT = 40
_LINE_HEIGHT = 24
_FILLS = {"server": "#6b7280", "reserve": "#b45309", "app": "#0f766e", "headroom": "#94a3b8", "missing": "#b91c1c"}
_STYLE = (
    "text{font:14px system-ui,sans-serif;fill:#111827}.title{font-weight:600}"
    ".page{fill:#ffffff}.edge{fill:none;stroke:#111827}"
    "@media(prefers-color-scheme:dark){text{fill:#f3f4f6}.page{fill:#111827}.edge{stroke:#f3f4f6}}"
)


def draw(evaluation: Evaluation) -> str:
    """An SVG document with a bar to scale, and its numbers, for each side of the plan."""
    drawn = sides(evaluation)
    tops = [_MARGIN + sum(_height(side) for side in drawn[:index]) for index in range(len(drawn))]
    height = _MARGIN + sum(map(_height, drawn))
    title = escape("; ".join(side.title for side in drawn))
    described = escape("; ".join(f"{part.name} {part.connections}" for side in drawn for part in side.parts))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        ' role="img">',
        f"<title>{title}</title><desc>{described}</desc><style>{_STYLE}</style>",
        f'<rect class="page" width="{_WIDTH}" height="{height}"/>',
        *(line for side, top in zip(drawn, tops, strict=True) for line in _side_lines(side, top)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _height(side: Side) -> int:
    return _LINE_HEIGHT + _BAR_HEIGHT + len(side.parts) * _LINE_HEIGHT + _MARGIN


def _side_lines(side: Side, start: int) -> list[str]:
    total = sum(part.connections for part in side.parts) or 1
    top = start + _LINE_HEIGHT
    inner = _WIDTH - 2 * _MARGIN
    shapes: list[str] = []
    legend: list[str] = []
    before = 0
    for row, part in enumerate(side.parts):
        left = _MARGIN + inner * before / total
        wide = inner * part.connections / total
        before += part.connections
        fill = _FILLS[part.name]
        shapes.append(f'<rect x="{left:.2f}" y="{top}" width="{wide:.2f}" height="{_BAR_HEIGHT}" fill="{fill}"/>')
        base = top + _BAR_HEIGHT + (row + 1) * _LINE_HEIGHT
        text = escape(f"{part.name} {part.connections}: {part.purpose}")
        legend.append(f'<rect x="{_MARGIN}" y="{base - 11}" width="12" height="12" fill="{fill}"/>')
        legend.append(f'<text x="{_MARGIN + 20}" y="{base}">{text}</text>')
    return [
        f'<text class="title" x="{_MARGIN}" y="{start + 10}">{escape(side.title)}</text>',
        *shapes,
        f'<rect class="edge" x="{_MARGIN}" y="{top}" width="{inner}" height="{_BAR_HEIGHT}"/>',
        *legend,
    ]
