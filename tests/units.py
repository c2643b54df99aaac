"""systemd's units, as the tests read them."""

from pathlib import Path

Unit = dict[str, list[str]]


def read_unit(file: Path) -> Unit:
    """Each key of a unit with its values, in order."""
    found: Unit = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found
