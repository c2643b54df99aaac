"""One rendered project, virtual environment and running service for each layer; every test runs once for each layer.

`@pytest.mark.databases("postgresql", ...)` restricts a test to the databases where its subject exists, and
`@pytest.mark.each_driver` or `each_database` to one layer of each, where nothing else of a layer matters
(`make test-all` runs these on every layer, too).
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from tests.servers import DATABASES, Database, PostgreSQL, Server
from tests.service import Service, install, migrate
from tests.smoke.layers import Layer, all_layers, one_of_each, render
from tests.smoke.shared import SharedServices
from tests.smoke.traffic import PATIENT, StartService


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "databases(*names): the databases where the subject exists")
    config.addinivalue_line("markers", "each_driver: with one layer of each driver")
    config.addinivalue_line("markers", "each_database: with one layer of each database")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "layer" not in metafunc.fixturenames:
        return
    layers = all_layers()
    for mark in metafunc.definition.iter_markers("databases"):
        layers = [layer for layer in layers if layer.database in mark.args]
    for axis in ("driver", "database"):
        if metafunc.definition.get_closest_marker(f"each_{axis}") and not metafunc.config.getoption(
            "--all-combinations"
        ):
            layers = one_of_each(axis, layers)
    # One worker of pytest-xdist takes all tests of a layer: `--dist loadgroup`.
    parameters = [pytest.param(layer, id=str(layer), marks=pytest.mark.xdist_group(str(layer))) for layer in layers]
    metafunc.parametrize("layer", parameters, indirect=True, scope="session")


@pytest.fixture(scope="session")
def layer(request: pytest.FixtureRequest) -> Layer:
    chosen: Layer = request.param
    return chosen


@pytest.fixture(scope="session")
def project(layer: Layer, packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered project with what it declares itself to need at run time, and nothing else."""
    directory = tmp_path_factory.mktemp(str(layer)) / "project"
    render(layer, directory)
    install(directory, packages / "plain")
    return directory


@pytest.fixture(scope="session")
def started_databases() -> Iterator[Callable[..., Database]]:
    started: dict[str, Database] = {}

    def get(name: str, **options: bool) -> Database:
        key = f"{name} {options}"
        if key not in started:
            started[key] = DATABASES[name](**options)
            started[key].start()
        return started[key]

    yield get
    for database in started.values():
        database.close()


@pytest.fixture(scope="session")
def server(layer: Layer, started_databases: Callable[..., Database]) -> Database:
    """Shared by the tests of all layers on this database: never killed."""
    return started_databases(layer.database)


@pytest.fixture(scope="session")
def secured_server(layer: Layer, started_databases: Callable[..., Database]) -> Database:
    """As `server`; it requires TLS."""
    return started_databases(layer.database, secured=True)


@pytest.fixture(scope="session")
def server_of_layer(layer: Layer) -> Iterator[Server]:
    with _server_for(layer) as made:
        yield made


@pytest.fixture
def mortal_server(server_of_layer: Server) -> Server:
    """For the tests of one layer, which may kill and start it; their data stays."""
    if not server_of_layer.running:  # a test failed
        server_of_layer.start()
    return server_of_layer


@pytest.fixture(scope="session")
def mortal_database(project: Path, server_of_layer: Server) -> str:
    """Migrated, on `mortal_server`; shared by the tests of a layer."""
    name = server_of_layer.create_database()
    migrate(project, server_of_layer.url(name))
    return name


@pytest.fixture
def own_server(layer: Layer) -> Iterator[Server]:
    """Started for one test, which may change its settings or count all its connections."""
    with _server_for(layer) as made:
        yield made


def _server_for(layer: Layer) -> Server:
    made = DATABASES[layer.database]()
    assert isinstance(made, Server), "restrict the test with @pytest.mark.databases"
    return made


@pytest.fixture(scope="session")
def database(project: Path, server: Database) -> Iterator[str]:
    """Migrated; shared by the tests of a layer."""
    yield from _migrated(project, server)


@pytest.fixture
def new_database(project: Path, server: Database) -> Iterator[str]:
    """Migrated and empty."""
    yield from _migrated(project, server)


def _migrated(project: Path, server: Database) -> Iterator[str]:
    name = server.create_database()
    migrate(project, server.url(name))
    yield name
    if isinstance(server, PostgreSQL):  # which takes 8 MB for each
        server.drop_database(name)


@pytest.fixture(scope="session")
def service(project: Path, server: Database, database: str) -> Iterator[Service]:
    """With the settings that the project was generated with, but patient; shared by the tests of a layer."""
    running = Service(project, server.url(database), **PATIENT)
    yield running
    running.stop()
    assert "Traceback" not in running.process.log(), running.process.log()[-4000:]


@pytest.fixture(scope="session")
def client(service: Service) -> Iterator[httpx2.Client]:
    with service.client() as connected:
        yield connected


@pytest.fixture
def start_service(project: Path) -> Iterator[StartService]:
    """Starts services that end with the test: `start_service(database_url, POOL_SIZE=2, ...)`."""
    with ExitStack() as stack:

        def start(database_url: str, **settings: object) -> Service:
            running = Service(project, database_url, **settings)  # type: ignore[arg-type]
            stack.callback(running.stop)
            return running

        yield start


@pytest.fixture(scope="session")
def shared_service(project: Path) -> Iterator[SharedServices]:
    """For what leaves a service as it was; all end with the tests of the layer."""
    services = SharedServices(project, most=10)
    yield services
    services.stop()


@pytest.fixture(scope="session")
def mortal_service(project: Path) -> Iterator[SharedServices]:
    """Services on `mortal_server`, one at a time, so that its connections can be counted."""
    services = SharedServices(project, most=1)
    yield services
    services.stop()
