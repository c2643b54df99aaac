"""The tables of the README that commands write, each between two marks of its own."""

from collections.abc import Sequence
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def replace_table(mark: str, text: str) -> None:
    """Put `text` between the two lines that consist of `mark`."""
    before, _, after = README.read_text(encoding="utf-8").split(f"{mark}\n")
    README.write_text(f"{mark}\n".join([before, f"{text}\n", after]), encoding="utf-8")


def markdown_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown, its columns aligned; the first row is the header."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]
