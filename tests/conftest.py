import pytest

from tests.fault_table import FaultTable
from tests.rehearsal.table import RehearsalTable


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all-layers", action="store_true", help="no test is content with one layer of each driver or database"
    )
    parser.addoption("--write-tables", action="store_true", help="write the tables that the tests make to README.md")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fault(name): a result in the table layer x fault (tests/fault_table.py)")
    write = bool(config.getoption("--write-tables"))
    config.pluginmanager.register(FaultTable(write=write), "fault table")
    config.pluginmanager.register(RehearsalTable(write=write), "rehearsal table")
