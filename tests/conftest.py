"""The options of the tests, and the tables that they end with.

`make test` takes covers of the products that would take too long each time, `make test-all` takes all of them: layers
by the marks `each_driver` and `each_database` (tests/smoke/conftest.py), the rest by `product` (tests/products.py).
"""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.fault_table import FaultTable
from tests.rehearsal.table import RehearsalTable
from tests.service import Service
from tests.temporary import folder_for_packages, use_memory

# The longest first, so that no processor is idle at the end: the groups of render's and of each layer's tests, then
# tests of a minute, then those of a moment. `make` keeps pytest-xdist from ordering them by number.
FOLDERS = ("render", "smoke", "update", "rehearsal", "unit", "cli")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all-combinations", action="store_true", help="whole products, not covers of them (make test-all)"
    )
    parser.addoption("--write-tables", action="store_true", help="write the tables that the tests make to README.md")


def pytest_configure(config: pytest.Config) -> None:
    use_memory()
    config.addinivalue_line("markers", "fault(name): a result in the table layer x fault (tests/fault_table.py)")
    config.addinivalue_line("markers", "beyond_cover: a part of a product that --all-combinations takes only")
    write = bool(config.getoption("--write-tables"))
    config.pluginmanager.register(FaultTable(write=write), "fault table")
    config.pluginmanager.register(RehearsalTable(write=write), "rehearsal table")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what its services told their logs: an answer of 503 or 500 does not say why."""
    report = yield
    if report.failed:
        for service in Service.all_running:
            report.sections.append((f"end of the log of {service.base_url}", service.process.log()[-4000:]))
    return report


@pytest.fixture(scope="session")
def packages() -> Iterator[Path]:
    """Where projects have their virtual environments: one project after the other has the same ones."""
    with folder_for_packages() as folder:
        yield folder


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: FOLDERS.index(item.path.parent.name))
    if config.getoption("--all-combinations"):
        return
    found = list(items)
    items[:] = [item for item in found if not item.get_closest_marker("beyond_cover")]
    config.hook.pytest_deselected(items=[item for item in found if item.get_closest_marker("beyond_cover")])
