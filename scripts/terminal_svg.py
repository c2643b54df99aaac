"""A terminal's lines as an SVG picture: the same bytes for the same lines, no font or other file fetched."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.sax.saxutils import escape, quoteattr

from pyte.screens import Char

_FONT = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"
_FONT_SIZE = 14
_CELL_WIDTH = 8.4  # what most monospaced fonts have at this size; textLength holds the others to it
_CELL_HEIGHT = 19
_BASELINE = 14
_MARGIN = 16
_FOREGROUND, _BACKGROUND, _EDGE = "#e5e7eb", "#111827", "#6b7280"  # the edge is seen on white and on black
_COLOURS = {
    **{"black": "#374151", "red": "#f87171", "green": "#4ade80", "brown": "#fbbf24", "blue": "#60a5fa"},
    **{"magenta": "#e879f9", "cyan": "#22d3ee", "white": "#e5e7eb"},
    **{"brightblack": "#9ca3af", "brightred": "#fca5a5", "brightgreen": "#86efac", "brightbrown": "#fde047"},
    **{"brightblue": "#93c5fd", "brightmagenta": "#f5d0fe", "brightcyan": "#a5f3fc", "brightwhite": "#ffffff"},
}
_WORDS = re.compile(r"\S+(?: \S+)*")


def draw(lines: Sequence[Sequence[Char]], columns: int, title: str) -> str:
    """An SVG document of the lines, `columns` wide, whatever they hold; `title` is read aloud and shown on hovering."""
    width = f"{columns * _CELL_WIDTH + 2 * _MARGIN:.1f}"
    height = len(lines) * _CELL_HEIGHT + 2 * _MARGIN
    told = escape("\n".join("".join(cell.data for cell in line).rstrip() for line in lines))
    shapes = [shape for row, line in enumerate(lines) for shape in _line(line, _MARGIN + row * _CELL_HEIGHT)]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' role="img" font-family={quoteattr(_FONT)} font-size="{_FONT_SIZE}">',
        f"<title>{escape(title)}</title>",
        f"<desc>{told}</desc>",
        f'<rect x="0.5" y="0.5" width="{float(width) - 1:.1f}" height="{height - 1}" rx="8" fill="{_BACKGROUND}"'
        f' stroke="{_EDGE}"/>',
        *shapes,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _line(cells: Sequence[Char], top: int) -> Iterator[str]:
    """A rectangle for each background and a text for each group of words of one style."""
    column = 0
    for style, group in groupby(cells, _style):
        text = "".join(cell.data for cell in group)
        foreground, background, attributes = style
        if background != _BACKGROUND:
            yield (
                f'<rect x="{_left(column)}" y="{top}" width="{_width(text)}" height="{_CELL_HEIGHT}"'
                f' fill="{background}"/>'
            )
        for words in _WORDS.finditer(text):
            length = f' textLength="{_width(words[0])}"' if len(words[0]) > 1 else ""
            yield (
                f'<text x="{_left(column + words.start())}" y="{top + _BASELINE}" fill="{foreground}"{attributes}'
                f"{length}>{escape(words[0])}</text>"
            )
        column += len(text)


def _style(cell: Char) -> tuple[str, str, str]:
    """The colours of the text and behind it, and the text's other attributes."""
    foreground, background = _colour(cell.fg, _FOREGROUND), _colour(cell.bg, _BACKGROUND)
    if cell.reverse:
        foreground, background = background, foreground
    attributes = ' font-weight="bold"' if cell.bold else ""
    attributes += ' font-style="italic"' if cell.italics else ""
    attributes += ' text-decoration="underline"' if cell.underscore else ""
    return foreground, background, attributes


def _colour(name: str, default: str) -> str:
    """The colour of pyte's name or six hexadecimal digits."""
    return default if name == "default" else _COLOURS.get(name) or f"#{name}"


def _left(column: int) -> str:
    return f"{_MARGIN + column * _CELL_WIDTH:.1f}"


def _width(text: str) -> str:
    return f"{len(text) * _CELL_WIDTH:.1f}"
