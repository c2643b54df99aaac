"""PostgreSQL through a session pooler that has the limits answered, and that nothing rendered configures."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from poolwright.questions import evaluate
from tests.processes import wait_until
from tests.servers import PgBouncer, PostgreSQL
from tests.service import Service, migrate
from tests.smoke.layers import Layer, render
from tests.smoke.traffic import PATIENT, item_fields, new_item, parallel, sold

pytestmark = [pytest.mark.each_driver, pytest.mark.databases("postgresql")]

# min(20, 15) - 0 - 2 - 2 = 11 clients for 1 x (1 + 1) processes: 5 each, of 15 connections to the server
ANSWERS = {"pooler": "managed", "pooler_mode": "session", "pooler_max_clients": 20, "pooler_pool_size": 15}
ANSWERS |= {"workers": 1, "reserve": 2}


@pytest.fixture(scope="module")
def pooled_project(layer: Layer, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layer's project with a managed pooler answered; it needs the same packages."""
    directory = tmp_path_factory.mktemp("managed") / "project"
    render(layer, directory, **ANSWERS)
    (directory / ".venv").symlink_to(project / ".venv")
    return directory


@pytest.fixture(scope="module")
def pooler(server: PostgreSQL) -> Iterator[PgBouncer]:
    settings = {"pool_mode": "session", "max_client_conn": ANSWERS["pooler_max_clients"]}
    made = PgBouncer(None, server, int(str(ANSWERS["pooler_pool_size"])), **settings)
    yield made
    made.close()


def test_every_process_of_the_plan_has_its_pool_at_the_pooler(
    layer: Layer, pooled_project: Path, server: PostgreSQL, pooler: PgBouncer
) -> None:
    values = evaluate({**vars(layer), **ANSWERS}).values
    processes, each = values["processes"], values["connections_per_process"]
    assert (processes, each, values["pooler_connections"]) == (2, 5, 10)
    name = server.create_database()
    migrate(pooled_project, server.url(name))
    url = server.url(name, pooler.port)
    with ExitStack() as stack:
        services = [Service(pooled_project, url, **PATIENT) for _ in range(processes)]
        for service in services:
            stack.callback(service.stop)
        clients = [stack.enter_context(service.client()) for service in services]
        client = clients[0]
        sends = [stack.enter_context(parallel(service, 16)) for service in services]
        item = new_item(client, price_cents=1, stock=1000)
        with server.blocked(name, seconds=2):
            held = [send("GET", "/items") for send in sends for _ in range(each)]
            wait_until(lambda: server.connections(name) == processes * each, 10, "all connections are held")
        answers = []
        for number in range(20):
            for send in sends:
                answers.append(send("GET", f"/items/{item['id']}"))
                answers.append(send("GET", "/items", params={"limit": 1 + number}))
                answers.append(send("POST", "/items", json=item_fields()))
                answers.append(send("PUT", "/items", json=[item_fields() for _ in range(5)]))
                answers.append(send("POST", "/orders", json={"item_id": item["id"], "quantity": 1}))
        failed = [done.response.text for done in (a.result() for a in held + answers) if not done.response.is_success]
        assert failed == []
        assert sold(client) == 20 * processes
        assert server.connections(name) <= values["pooler_connections"]
        assert server.idle_in_transaction(name) == 0
        assert [client.get("/readyz").status_code for client in clients] == [200] * processes
