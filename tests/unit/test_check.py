"""The verdict of each comparison, from facts as the probe gives them."""

import copy
from typing import Any

import pytest

from poolwright import check
from poolwright.comparisons import Row
from poolwright.errors import Unreachable
from poolwright.questions import evaluate

Facts = dict[str, Any]

SETTINGS = {
    "pool_size": 8,
    "max_overflow": 4,
    "pool_recycle_seconds": 1440.0,
    "statement_timeout_seconds": 15.0,
    "command_timeout_seconds": 20.0,
    "ca_file": True,
}
# 5 processes x 12 = 60, of 100 - 3 - 10 - 2
POSTGRESQL = {
    "address": "db.example:5432",
    "local": False,
    "product": "PostgreSQL",
    "version": "18.1",
    "user": "app",
    "limit": 100,
    "server_reserve": 3,
    "role_limit": 62,
    "database_limit": None,
    "present": {"own": 60, "others": {"psql": 12}},
    "statement_timeout_seconds": 15.0,
    "idle_in_transaction_seconds": 20.0,
    "crash_check_seconds": 1.0,
    "idle_timeout_seconds": 0,
    "idle_timeout_name": "idle_session_timeout",
    "pooled": False,
    "encrypted": True,
    "verified": True,
    "privileges": [],
}
MONGODB = {
    "address": "db.example:27017",
    "local": False,
    "product": "MongoDB",
    "version": "8.0.4",
    "user": "app",
    "limit": 51200,
    "server_reserve": 0,
    "present": {"own": None, "others": {"all": 100}},
    "encrypted": True,
    "verified": True,
    "privileges": [],
    "replica_set": "rs0",
    "replica_set_asked": "rs0",
    "transaction_lifetime_seconds": 20,
}
SQLITE = {
    "address": "/data/app.db",
    "local": True,
    "product": "SQLite",
    "version": "3.46.1",
    "file": True,
    "folder": True,
    "writable": True,
    "journal_mode": "wal",
}
DATABASES: dict[str, Facts] = {"postgresql": POSTGRESQL, "mongodb": MONGODB, "sqlite": SQLITE}
POOLS = {"postgresql": (8, 4), "mongodb": (8, 4), "sqlite": (4, 2)}


def compared(answers: Facts, facts: Facts, settings: Facts | None = None, **others: Any) -> dict[str, Row]:
    """The rows for these answers, where the baseline differs in `facts` and `settings`."""
    database = answers.get("database", "postgresql")
    pool_size, max_overflow = POOLS[database]
    found = {
        "settings": SETTINGS | {"pool_size": pool_size, "max_overflow": max_overflow} | (settings or {}),
        "database": copy.deepcopy(DATABASES[database]) | facts,
        "replica": None,
        "cache": None,
    }
    return {row.what: row for row in check.compare(evaluate(answers), found | others)}


@pytest.mark.parametrize("database", DATABASES)
def test_a_server_as_planned_has_no_fault(database: str) -> None:
    rows = compared({"database": database}, {})
    assert {what: row.verdict for what, row in rows.items() if row.verdict != "ok"} == {}


ON_POSTGRESQL = [
    # what is found, the row, its verdict, a piece of its advice
    ({"version": "14.20"}, "version", "warning", "upgrade"),
    ({"version": "15.1 (Debian 15.1-1)"}, "version", "ok", ""),
    ({"pooled": True}, "pooler", "problem", "Answer pooler=pgbouncer or pooler=rds-proxy or pooler=managed"),
    ({"limit": 75}, "limit", "warning", "Answer max_connections=75."),
    ({"limit": 74}, "limit", "problem", "leaves 59 of the 60 planned connections. Raise it to 75"),
    ({"limit": 74}, "limit", "problem", "answer max_connections=74, which gives each process 11."),
    ({"limit": 19}, "limit", "problem", "Raise it to 75 on the server, or use at most 4 processes."),
    ({"limit": 2}, "limit", "problem", "It leaves 0 of the 60 planned connections. Raise it to 75 on the server."),
    ({"limit": 500}, "limit", "ok", ""),
    ({"server_reserve": 28}, "server reserve", "warning", "Answer reserve=35."),
    ({"server_reserve": 29}, "server reserve", "problem", "Answer reserve=36, or lower it."),
    ({"limit": 74, "server_reserve": 29}, "server reserve", "warning", ""),  # the limit is the problem
    ({"role_limit": 59}, "role limit", "problem", 'ALTER ROLE "app" CONNECTION LIMIT 62;'),
    ({"role_limit": 60}, "role limit", "ok", ""),
    ({"role_limit": None}, "role limit", "ok", "CONNECTION LIMIT 62"),
    ({"database_limit": 0}, "role limit", "problem", "refused above 0"),
    ({"present": {"own": 61, "others": {}}}, "connections now", "problem", "More processes run"),
    ({"present": {"own": 0, "others": {"psql": 13}}}, "connections now", "warning", "Answer reserve=13."),
    ({"present": {"own": 0, "others": {"cron": 30, "psql": 8}}}, "connections now", "problem", "leave 59 of the 60"),
    ({"statement_timeout_seconds": 0.0}, "statement timeout", "problem", "SET statement_timeout = '15s';"),
    ({"statement_timeout_seconds": 21.0}, "statement timeout", "warning", "SET statement_timeout = '15s';"),
    ({"statement_timeout_for": "SELECT"}, "statement timeout", "warning", "poolwright update brings what ends them"),
    ({"missing": []}, "functions", "ok", ""),
    ({"missing": ["MD5"]}, "functions", "problem", "poolwright update brings SQL without it"),
    ({"idle_in_transaction_seconds": 0.0}, "idle in transaction", "warning", "session_timeout = '20s';"),
    ({"crash_check_seconds": 0.0}, "crashed process", "warning", "client_connection_check_interval = '1s';"),
    ({"crash_check_seconds": 5.0}, "crashed process", "ok", ""),
    ({"idle_timeout_seconds": 1440}, "idle timeout", "problem", "POOL_RECYCLE_SECONDS=1152 or less"),
    ({"idle_timeout_seconds": 1441}, "idle timeout", "ok", ""),
    ({"encrypted": False, "verified": False}, "TLS", "problem", "Anybody on the way reads"),
    ({"verified": False}, "TLS", "warning", "Anybody can pose"),
    ({"encrypted": False, "verified": False, "local": True}, "TLS", "ok", ""),
    ({"privileges": ["superuser"]}, "privileges", "warning", "migrate as another"),
    ({"failed": "refused", "reason": "no such role"}, "connection", "problem", "correct the user"),
    ({"failed": "refused", "reason": "TLS failed: no"}, "connection", "problem", "DATABASE_CA_FILE has to"),
]


@pytest.mark.parametrize(("facts", "what", "verdict", "advice"), ON_POSTGRESQL, ids=str)
def test_verdicts_on_a_server(facts: Facts, what: str, verdict: str, advice: str) -> None:
    rows = compared({}, facts)
    assert rows[what].verdict == verdict
    assert advice in rows[what].advice
    others = {row.what for row in rows.values() if row.verdict == "problem"} - {what, "limit"}
    assert not others


def test_a_higher_limit_is_told_where_processes_would_get_more() -> None:
    assert compared({"instances": 2}, {"limit": 500}, {"pool_size": 6, "max_overflow": 2})["limit"] == Row(
        "limit", 100, 500, "ok", "Answer max_connections=500 to use them all."
    )


@pytest.mark.parametrize(
    ("settings", "verdict"),
    [
        ({"pool_size": 13}, "warning"),  # 5 x 17 = 85
        ({"pool_size": 14}, "problem"),
        ({"pool_size": 1}, "warning"),
        ({"max_overflow": 0}, "warning"),
    ],
    ids=str,
)
def test_pools_that_differ_from_the_plan(settings: Facts, verdict: str) -> None:
    row = compared({}, {}, settings)["pools"]
    assert row.verdict == verdict
    assert row.advice.endswith("together 12, the plan says.")


def test_behind_a_pooler_nothing_ends_what_mysql_s_limit_is_not_for() -> None:
    row = compared({"pooler": "pgbouncer"}, {"pooled": True, "statement_timeout_for": "SELECT"})["statement timeout"]
    assert (row.found, row.verdict) == ("15 s, SELECT only", "warning")
    assert "Behind a pooler nothing ends them" in row.advice


def test_behind_a_pooler_the_server_carries_the_pooler_s_connections() -> None:
    pooled = {"pooled": True}
    rows = compared({"pooler": "pgbouncer"}, pooled | {"role_limit": 40, "present": {"own": 40, "others": {}}})
    assert {row.verdict for row in rows.values()} == {"ok"}
    rows = compared({"pooler": "pgbouncer"}, pooled | {"limit": 54, "role_limit": 39})
    assert rows["limit"].advice.startswith("It leaves 39 of the 40 planned connections. Raise it to 55")
    assert rows["role limit"].verdict == "problem"
    assert "idle timeout" not in rows


def test_the_server_has_to_leave_a_managed_pooler_all_that_it_can_open() -> None:
    # 5 x 12 = 60 clients, 15 of the server's
    pooled = {"pooled": True, "role_limit": 15, "present": {"own": 15, "others": {}}}
    assert {row.verdict for row in compared({"pooler": "managed"}, pooled).values()} == {"ok"}
    rows = compared(
        {"pooler": "managed"}, pooled | {"limit": 29, "role_limit": 14, "present": {"own": 16, "others": {}}}
    )
    assert rows["limit"].advice == (
        "It leaves 14 of the 15 planned connections. Raise it to 30 on the server, or lower pooler_pool_size to 14."
    )
    assert [rows[name].verdict for name in ("limit", "role limit", "connections now")] == ["problem"] * 3
    # a pool that is larger than what the app can use
    answers = {"pooler": "managed", "workers": 1, "pooler_pool_size": 50}
    assert compared(answers, pooled | {"limit": 64})["limit"].verdict == "problem"
    assert compared(answers, pooled | {"limit": 65})["limit"].verdict == "warning"


def test_in_session_mode_the_server_has_a_connection_for_each_of_the_app_s() -> None:
    answers = {"pooler": "managed", "pooler_mode": "session", "pooler_pool_size": 72}
    rows = compared(answers, {"pooled": True, "role_limit": 72, "present": {"own": 60, "others": {}}})
    assert rows["pools"].planned == "5 x 12 = 60"
    assert {row.verdict for row in rows.values()} == {"ok"}


@pytest.mark.parametrize(
    ("pooler", "verdict"), [("pgbouncer", "problem"), ("rds-proxy", "warning"), ("managed", "warning")]
)
def test_a_planned_pooler_that_is_not_in_the_path(pooler: str, verdict: str) -> None:
    row = compared({"pooler": pooler}, {})["pooler"]
    assert row.verdict == verdict
    assert "Each of the app's 60 connections is one of the server's." in row.advice


@pytest.mark.parametrize(
    ("facts", "what", "verdict"),
    [
        ({"limit": 83}, "limit", "problem"),  # 5 x 14 + 10 + 4
        ({"limit": 84}, "limit", "warning"),
        ({"limit": None}, "limit", "warning"),
        ({"transaction_lifetime_seconds": 21}, "transaction lifetime", "warning"),
        ({"transaction_lifetime_seconds": None}, "transaction lifetime", "warning"),
        ({"replica_set": None}, "replica set", "problem"),
        ({"replica_set": "rs1"}, "replica set", "problem"),
        ({"replica_set_asked": ""}, "replica set", "ok"),
        ({"replica_set": "sharded cluster", "replica_set_asked": ""}, "replica set", "ok"),
        ({"user": "", "privileges": ["everything"]}, "privileges", "warning"),
        ({"version": "6.0.5"}, "version", "warning"),
    ],
    ids=str,
)
def test_verdicts_on_mongodb(facts: Facts, what: str, verdict: str) -> None:
    rows = compared({"database": "mongodb"}, facts)
    assert rows[what].verdict == verdict
    assert (rows[what].advice != "") == (verdict != "ok")


@pytest.mark.parametrize(
    ("facts", "what", "found"),
    [
        ({"file": False}, "file", "missing"),
        ({"folder": False, "file": False}, "file", "its folder is missing or read-only"),
        ({"writable": False}, "file", "read-only"),
        ({"journal_mode": "delete"}, "journal mode", "delete"),
    ],
    ids=str,
)
def test_faults_of_a_file(facts: Facts, what: str, found: str) -> None:
    row = compared({"database": "sqlite"}, facts)[what]
    assert (row.verdict, row.found) == ("problem", found)


def test_a_server_that_is_away_is_told_by_its_address() -> None:
    away = {"failed": "unreachable", "reason": "nobody listens there"}
    with pytest.raises(Unreachable, match=r"PostgreSQL server at db\.example:5432 cannot be reached: nobody listens"):
        compared({}, away)


def test_a_replica_and_a_cache_are_compared_where_they_are_answered() -> None:
    both = {"read_replica": True, "cache": "redis"}
    rows = compared(both, {})
    assert rows["replica connection"].verdict == rows["cache connection"].verdict == "warning"
    away = {"address": "other:1", "failed": "unreachable", "reason": "nobody listens there"}
    rows = compared(both, {}, replica=away, cache=away)
    assert rows["replica connection"].verdict == rows["cache connection"].verdict == "problem"
    cache = {"address": "other:1", "limit": 50, "present": {"own": None, "others": {}}}
    rows = compared(both, {}, replica=POSTGRESQL | {"limit": 74}, cache=cache)
    assert (rows["replica limit"].verdict, rows["cache limit"].verdict) == ("problem", "ok")
    assert compared(both, {}, cache=cache | {"limit": 49})["cache limit"].verdict == "problem"  # 5 x 8 + 10
    assert compared(both, {}, cache=cache | {"limit": None})["cache limit"].verdict == "warning"
    assert not [what for what in compared({}, {}) if what.startswith(("replica", "cache"))]
