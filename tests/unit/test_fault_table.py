from typing import Literal

import pytest

from tests.fault_table import FaultTable

Outcome = Literal["passed", "failed", "skipped"]


def add(table: FaultTable, layer: str, fault: str, outcome: Outcome, databases: tuple[str, ...] = ()) -> None:
    properties: list[tuple[str, object]] = [("fault", [layer, fault, list(databases)])]
    where = ("test.py", 1, "test")
    report = pytest.TestReport("test", where, {}, outcome, None, "call", user_properties=properties)
    table.pytest_runtest_logreport(report)


def cells(table: FaultTable, layer: str) -> dict[str, str]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.lines()]
    (found,) = [row for row in rows if row[0] == layer]
    return dict(zip(rows[0][1:], found[1:], strict=True))


def test_one_failure_among_the_tests_of_a_fault_fails_it() -> None:
    table = FaultTable(write=False)
    outcomes: tuple[Outcome, ...] = ("passed", "failed", "passed")
    for outcome in outcomes:
        add(table, "mysql-raw-asyncmy", "killed", outcome)
    assert cells(table, "mysql-raw-asyncmy") == {"killed": "failed"}


def test_what_a_database_has_nothing_of_is_told_from_what_did_not_run() -> None:
    table = FaultTable(write=False)
    add(table, "mysql-raw-asyncmy", "killed", "passed", ("mysql", "postgresql"))
    add(table, "mysql-raw-asyncmy", "exhausted", "passed")
    add(table, "sqlite-raw-aiosqlite", "exhausted", "passed")
    add(table, "postgresql-raw-asyncpg", "exhausted", "failed")
    assert cells(table, "sqlite-raw-aiosqlite") == {"exhausted": "passed", "killed": "-"}
    assert cells(table, "postgresql-raw-asyncpg") == {"exhausted": "failed", "killed": ""}
