"""Passwords, TLS and the limits of a role: what stands between an app and its server."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.processes import wait_until
from tests.servers import MySQL, PostgreSQL, Server
from tests.service import migrate, start_migration
from tests.smoke.small_pool import SMALL_POOL, small_pool
from tests.smoke.traffic import StartService, assert_unavailable, item_fields, new_item, parallel

PASSWORD = "p@s:s/w?o#r%d%41"
ROLE_LIMIT = 2


@dataclass(frozen=True)
class Access:
    """A migrated database on a server that requires TLS, as a user of PASSWORD."""

    server: Server
    database: str
    user: str
    authority: Path  # signed the server's certificate
    stranger: Path  # did not

    def url(self, password: str = PASSWORD) -> str:
        return self.server.url_as(self.user, password, self.database)


@pytest.fixture(scope="session")
def access(project: Path, secured_server: Server) -> Access:
    certificates = secured_server.certificates
    assert certificates is not None
    made = Access(
        secured_server,
        secured_server.create_database(),
        secured_server.create_user(PASSWORD),
        certificates.authority,
        certificates.stranger,
    )
    migrate(project, secured_server.url(made.database), DATABASE_CA_FILE=made.authority)
    return made


@pytest.mark.fault("password")
@pytest.mark.each_driver  # which gets the password from one reader of URLs, whatever the style
@pytest.mark.databases("postgresql", "mysql", "mongodb")
def test_a_password_can_hold_characters_that_urls_use(
    project: Path, access: Access, start_service: StartService
) -> None:
    pressed = small_pool(
        start_service, access.server, access.database, url=access.url(), DATABASE_CA_FILE=access.authority
    )
    with pressed as (_, client):
        new_item(client)
    wrong = start_migration(project, access.url(PASSWORD + "x"), DATABASE_CA_FILE=access.authority)
    assert wrong.wait(60) != 0


@pytest.mark.fault("TLS")
@pytest.mark.databases("postgresql", "mysql", "mongodb")
@pytest.mark.each_driver
@pytest.mark.parametrize("fault", ["authority", "host"])
def test_a_certificate_that_is_not_the_server_s_is_refused(
    access: Access, start_service: StartService, fault: str
) -> None:
    url, authority = access.url(), access.authority
    if fault == "authority":
        authority = access.stranger
    else:
        url = url.replace("@localhost:", "@127.0.0.1:").replace("replicaSet=rs0", "directConnection=true")
    with start_service(url, **SMALL_POOL, POOL_TIMEOUT_SECONDS=1, DATABASE_CA_FILE=authority).client() as client:
        assert_unavailable(client.get("/readyz"))
        assert_unavailable(client.post("/items", json=item_fields()))
        assert client.get("/livez").status_code == 200


@pytest.mark.fault("TLS")
@pytest.mark.databases("postgresql", "mysql", "mongodb")
@pytest.mark.each_driver
def test_the_way_to_another_machine_is_encrypted_and_verified_where_that_is_asked_for(
    access: Access, server: Server, database: str, start_service: StartService
) -> None:
    def away(url: str) -> str:
        """The same server under a name that does not say that it is here; clients look it up as 127.0.0.1."""
        return re.sub(r"127\.0\.0\.1|localhost", "127.1", url).replace("replicaSet=rs0", "directConnection=true")

    signed_by_nobody_known, without_tls = away(access.url()), away(server.url(database))
    for url, database_tls, is_warned in ((signed_by_nobody_known, "auto", True), (without_tls, "off", False)):
        service = start_service(url, **SMALL_POOL, DATABASE_TLS=database_tls)
        with service.client() as client:
            assert client.get("/readyz").status_code == 200
        assert ("whoever answers is taken for the database server" in service.process.log()) is is_warned
    for url, database_tls, remedy in (
        (signed_by_nobody_known, "verify", "DATABASE_CA_FILE names"),
        (without_tls, "auto", "DATABASE_TLS=off"),
    ):
        service = start_service(url, **SMALL_POOL, POOL_TIMEOUT_SECONDS=1, DATABASE_TLS=database_tls)
        with service.client() as client:
            assert_unavailable(client.get("/readyz"))
        assert remedy in service.process.log(), service.process.log()


@pytest.mark.fault("role limit")
@pytest.mark.databases("postgresql", "mysql")
@pytest.mark.each_driver
def test_a_role_with_fewer_connections_than_the_pool_serves_with_those(
    server: PostgreSQL | MySQL, database: str, start_service: StartService
) -> None:
    user = server.create_user("secret")
    server.limit_connections(user, ROLE_LIMIT)
    url = server.url_as(user, "secret", database)
    pressed = small_pool(start_service, server, database, url=url, POOL_TIMEOUT_SECONDS=1)
    with pressed as (service, client), parallel(service) as send:
        with server.blocked(database, seconds=5):
            held = [send("POST", "/items", json=item_fields()) for _ in range(ROLE_LIMIT)]
            wait_until(lambda: server.active(database) == ROLE_LIMIT, 5, "the role's connections are used")
            # One after the other: while a request tries to connect in the last place, the last verdict holds.
            for path in ("/items", "/readyz"):
                assert_unavailable(send("GET", path).result().response)
            assert client.get("/livez").status_code == 200
        assert [write.result().status for write in held] == [201] * ROLE_LIMIT
        assert client.get("/items").status_code == 200
        server.limit_connections(user, 10)
