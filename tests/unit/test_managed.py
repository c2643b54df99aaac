"""Managed servers: rows with a source, and the same capacity in a plan as in a project."""

import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from poolwright import managed
from poolwright.errors import UsageError
from poolwright.questions import evaluate


def test_every_row_is_whole() -> None:
    listed = managed.servers()
    assert len({server.name for server in listed}) == len(listed) > 60
    for server in listed:
        assert re.fullmatch(r"[a-z0-9.-]+", server.name)
        assert 0 <= server.server_reserve < server.max_connections <= 1_000_000
        assert re.fullmatch(r"20[0-9]{2}-(0[1-9]|1[0-2])", server.date)
        assert urlsplit(server.source).scheme == "https"
        assert server.label
        assert server.server_reserve_reason


# name -> limit and reserve, as the source has them
LIMITS = {
    "neon-0.25cu": (104, 7),
    "azure-postgresql-b1ms": (50, 15),
    "supabase-micro": (60, 3),
    "atlas-m10": (1500, 10),
    "digitalocean-postgresql-1gb": (25, 3),
    "render-8gb": (200, 10),
    # 65 % of 2^30 / 9531392 = 73.2, of 2^30 / 12582880 = 55.5, of 2^30 / 25165760 = 27.7
    "rds-postgresql-db.t4g.micro": (73, 9),
    "rds-mysql-db.t4g.micro": (55, 0),
    "rds-mariadb-db.t4g.micro": (27, 0),
}


@pytest.mark.parametrize(("name", "expected"), LIMITS.items())
def test_limits_by_hand(name: str, expected: tuple[int, int]) -> None:
    server = managed.find(name)
    assert (server.max_connections, server.server_reserve) == expected
    values = evaluate(server.answers({}), server.facts({})).values
    assert (values["limit"], values["reserved"]["server"]) == expected


#: What was seen on real servers (https://gist.github.com/guizmaii/1cacffef793c2ba9645083c3e18b3d8c for PostgreSQL,
#: https://serverfault.com/questions/862387/aws-rds-connection-limits for MySQL), on classes of as much memory.
SEEN = {
    "rds-postgresql-db.t4g.small": 198,
    "rds-postgresql-db.t4g.medium": 413,
    "rds-postgresql-db.t4g.large": 856,
    "rds-mysql-db.t4g.micro": 66,
    "rds-mysql-db.t4g.small": 150,
    "rds-mysql-db.t4g.medium": 312,
    "rds-mysql-db.t4g.large": 648,
}


@pytest.mark.parametrize(("name", "seen"), SEEN.items())
def test_a_formula_gives_less_than_real_servers_have(name: str, seen: int) -> None:
    assert seen / 2 < managed.find(name).max_connections < seen


@pytest.mark.parametrize("name", [server.name for server in managed.servers()])
def test_a_project_has_the_capacity_of_the_plan(name: str) -> None:
    server = managed.find(name)
    planned = evaluate(server.answers({}), server.facts({})).values
    stored = evaluate(server.stored_answers({})).values
    assert stored["capacity"] == planned["capacity"]
    assert stored["connections_per_process"] == planned["connections_per_process"]


def test_facts_say_where_the_numbers_come_from() -> None:
    server = managed.find("neon-1cu")
    why = {row["value"]: row for row in evaluate(server.answers({}), server.facts({})).values["why"]}
    assert why["limit"]["reason"] == "the limit of neon-1cu"
    assert why["limit"]["source"].startswith("https://neon.com/")
    assert why["reserved.server"]["reason"] == "kept by the service for its own superuser"
    # and the catalog itself is as it was
    assert evaluate({}).values["reserved"]["server"] == 3


def test_a_name_is_found_in_any_case_and_an_unknown_one_lists_those_near() -> None:
    assert managed.find("NEON-1CU").name == "neon-1cu"
    with pytest.raises(UsageError, match=r"Did you mean neon-0\.25cu, neon-0\.5cu"):
        managed.find("neon")
    with pytest.raises(UsageError, match="Did you mean supabase-micro"):
        managed.find("supabse-micro")
    with pytest.raises(UsageError, match=r"See poolwright plan --servers\.$"):
        managed.find("")


def test_contradictions_name_both() -> None:
    server = managed.find("neon-1cu")
    with pytest.raises(UsageError, match="neon-1cu has the database postgresql, and 'mysql' is given"):
        managed.check(server, {"database": "mysql"})
    with pytest.raises(UsageError, match="means max_connections 419, and '100' is given"):
        managed.check(server, {"max_connections": 100})
    for limit in (0, "0", 419, " 419"):
        managed.check(server, {"database": "postgresql", "max_connections": limit})


# name -> clients, connections to the server and modes of its pooler, as the source has them
POOLERS = {
    "supabase-nano": (200, 15, ["transaction", "session"]),
    "supabase-large": (800, 20, ["transaction", "session"]),
    "azure-postgresql-d2": (5000, 50, ["transaction", "session"]),
    # 90 % of 419 = 377.1, of 104 = 93.6
    "neon-1cu": (10000, 377, ["transaction"]),
    "neon-0.25cu": (10000, 93, ["transaction"]),
}


@pytest.mark.parametrize(("name", "expected"), POOLERS.items())
def test_poolers_by_hand(name: str, expected: tuple[int, int, list[str]]) -> None:
    pooler = managed.find(name).pooler
    assert pooler is not None
    assert (pooler.max_clients, pooler.pool_size, pooler.modes) == expected


def test_every_pooler_is_one_that_the_questions_take() -> None:
    found = [server for server in managed.servers() if server.pooler is not None]
    assert {server.label for server in found} == {"Supabase", "Neon", "Azure Database for PostgreSQL"}
    for server in found:
        assert server.pooler is not None
        answers = server.answers({"pooler": "managed"}) | {"pooler": "managed"}
        evaluation = evaluate(answers, server.facts({}))
        assert answers.items() <= evaluation.answers.items()
        assert evaluation.values["pooler_cap"] < server.max_connections
        assert re.fullmatch(r"20[0-9]{2}-(0[1-9]|1[0-2])", server.pooler.date)
        assert urlsplit(server.pooler.source).scheme == "https"


@pytest.mark.parametrize("name", ["azure-postgresql-b1ms", "cloudsql-postgresql-6gb", "rds-postgresql-db.t4g.micro"])
def test_a_pooler_that_the_catalog_does_not_know_has_to_be_told(name: str) -> None:
    server = managed.find(name)
    assert server.pooler is None
    with pytest.raises(UsageError, match="Answer pooler_max_clients and pooler_pool_size with what your provider says"):
        managed.check(server, {"pooler": "managed"})
    managed.check(server, {"pooler": "managed", "pooler_max_clients": 100, "pooler_pool_size": "20"})
    managed.check(server, {"pooler": "pgbouncer"})


def test_what_a_service_s_users_can_change_may_be_given_and_the_rest_may_not_be_another() -> None:
    server = managed.find("supabase-nano")
    for size in (30, " 15"):
        given = {"pooler": "managed", "pooler_pool_size": size, "pooler_mode": "session", "pooler_max_clients": "200"}
        managed.check(server, given)
        assert server.answers(given) == {"database": "postgresql", "max_connections": 60}
    with pytest.raises(UsageError, match="supabase-nano means pooler_max_clients 200, and '300' is given"):
        managed.check(server, {"pooler": "managed", "pooler_max_clients": 300})
    with pytest.raises(UsageError, match="neon-1cu means pooler_pool_size 377, and '50' is given"):
        managed.check(managed.find("neon-1cu"), {"pooler": "managed", "pooler_pool_size": 50})
    with pytest.raises(UsageError, match="neon-1cu means pooler_mode transaction, and 'session' is given"):
        managed.check(managed.find("neon-1cu"), {"pooler": "managed", "pooler_mode": "session"})


def test_facts_say_where_a_pooler_s_numbers_come_from() -> None:
    server = managed.find("neon-1cu")
    given: dict[str, Any] = {"pooler": "managed"}
    why = {row["value"]: row for row in evaluate(given | server.answers(given), server.facts(given)).values["why"]}
    assert why["limit"]["reason"] == "the client limit of neon-1cu's pooler, the pooled endpoint"
    assert why["pooler.pool_size"]["arithmetic"] == "377 <= 400"
    assert why["pooler.pool_size"]["reason"].startswith(
        "the pool of neon-1cu's pooler, the pooled endpoint, 90 % of 419;"
    )
    assert why["pooler.pool_size"]["source"].startswith("https://neon.com/")
    given = {"pooler": "managed", "pooler_pool_size": 30}
    server = managed.find("supabase-nano")
    why = {row["value"]: row for row in evaluate(given | server.answers(given), server.facts(given)).values["why"]}
    assert why["pooler.pool_size"]["reason"].startswith("pooler_pool_size as answered;")
