"""The table layer x fault: what became of the tests marked `fault(name)`, on each layer that they ran on.

A pytest plugin, which tests/conftest.py registers. It sees reports only, so it works under pytest-xdist.
"""

import pytest

from tests.readme import markdown_table, replace_table

MARK = "<!-- faults: made by make faults -->"
PASSED, FAILED, NOT_APPLICABLE, NOT_RUN = "passed", "failed", "-", ""

FAULTS = {
    "exhausted": "all connections are held: 503 within the pool timeout, at once where many wait; it stays ready",
    "512 clients": "on a pool of 3: it serves what 3 connections can, and refuses the rest at once",
    "slow readers": "clients that do not read their answers hold no connection",
    "timeout": "a statement over its time limit is stopped in the server and is 504",
    "cancelled": "600 requests cancelled at random moments, in and out of transactions",
    "raises": "an endpoint that raises after writing commits nothing",
    "races": "orders of everybody at once never oversell, and open no more connections than planned",
    "killed": "the server is killed and restarted, idle and under load",
    "crashed": "the service is killed at work: its connections and locks are gone soon, and nothing is half-committed",
    "reset": "connections are reset at random moments, or as soon as they are made",
    "frozen": "the server keeps its connections and answers nothing",
    "away": "the server is not there, or not migrated, when the service starts",
    "role limit": "the server gives the role fewer connections than the pool has",
    "password": "the password is made of characters that URLs use for themselves",
    "TLS": "required, and verified: another authority's or another host's certificate is refused",
    "SIGTERM": "requests in flight finish, then the pool closes",
    "PgBouncer": "transactions change the server's connection",
}


class FaultTable:
    """Collects results, prints them as a table at the end, and with `write` puts it into the README, too."""

    def __init__(self, *, write: bool) -> None:
        self._write = write
        self._results: dict[tuple[str, str], str] = {}  # by layer and fault
        self._databases: dict[str, set[str]] = {}  # by fault, where it exists; "*" is everywhere

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            mark = item.get_closest_marker("fault")
            if mark is None or not isinstance(item, pytest.Function):
                continue
            (fault,) = mark.args
            assert fault in FAULTS, f"{item.nodeid}: no such fault in tests/fault_table.py"
            databases = [name for restriction in item.iter_markers("databases") for name in restriction.args]
            item.user_properties.append(("fault", [str(item.callspec.params["layer"]), fault, databases]))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, value in report.user_properties:
            if name != "fault" or report.skipped:
                continue
            assert isinstance(value, list)
            layer, fault, databases = value
            self._databases.setdefault(fault, set()).update(databases or ["*"])
            if report.failed:
                self._results[layer, fault] = FAILED
            elif report.when == "call":
                self._results.setdefault((layer, fault), PASSED)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._results:
            return
        terminalreporter.section("layer x fault")
        for line in self.lines():
            terminalreporter.line(line)
        if self._write:
            legend = [f"- {fault}: {meaning}" for fault, meaning in FAULTS.items()]
            replace_table(MARK, "\n".join([*self.lines(), "", *legend]))

    def lines(self) -> list[str]:
        """The table so far, in Markdown."""
        seen = {fault for _, fault in self._results}
        faults = [fault for fault in FAULTS if fault in seen]
        rows = [["layer", *faults]]
        for layer in sorted({layer for layer, _ in self._results}):
            rows.append([layer, *(self._cell(layer, fault) for fault in faults)])
        return markdown_table(rows)

    def _cell(self, layer: str, fault: str) -> str:
        exists = {"*", layer.partition("-")[0]} & self._databases[fault]
        missing = NOT_RUN if exists else NOT_APPLICABLE
        return self._results.get((layer, fault), missing)
