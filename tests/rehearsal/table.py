"""The table deployment x database: what a rehearsal found.

`RehearsalTable` is a pytest plugin, which tests/conftest.py registers. It sees reports only, so it works under
pytest-xdist.
"""

from dataclasses import asdict, dataclass

import pytest

from tests.readme import markdown_table, replace_table

MARK = "<!-- rehearsal: made by make rehearse -->"


@dataclass(frozen=True)
class Row:
    """planned: connections to the server at once; peak: the most in a rollout, whatever else the platform does in it;
    crash: while an instance that was killed starts again; drain: while the platform empties a host, "-" where it does
    not. refused: connections that the server refused (on Lambda, requests that found none); lost: requests without an
    answer, or with another error, but for those of the instance that was killed.
    """

    deployment: str
    database: str
    planned: int
    peak: int
    crash: int
    drain: int | str
    refused: int
    lost: int


def record(request: pytest.FixtureRequest, row: Row) -> None:
    """Add the row to the test's report, from any process of pytest-xdist."""
    request.node.user_properties.append(("rehearsal", asdict(row)))


class RehearsalTable:
    """Collects rows, prints them as a table at the end, and with `write` puts it into the README, too."""

    def __init__(self, *, write: bool) -> None:
        self._write = write
        self._rows: list[Row] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            found = dict(report.user_properties).get("rehearsal")
            if isinstance(found, dict):
                self._rows.append(Row(**found))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._rows:
            return
        terminalreporter.section("deployment x database")
        for line in self.lines():
            terminalreporter.line(line)
        if self._write:
            replace_table(MARK, "\n".join(self.lines()))

    def lines(self) -> list[str]:
        """The table so far, in Markdown."""
        rows = sorted(self._rows, key=lambda row: (row.deployment, row.database))
        return markdown_table(
            [list(Row.__annotations__), *([str(value) for value in asdict(row).values()] for row in rows)]
        )
