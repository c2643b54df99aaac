"""The arithmetic of the pool plan, checked by hand row by row."""

from typing import Any

import pytest

from poolwright.errors import PlanDoesNotFit
from poolwright.plan import document, sides
from poolwright.questions import Evaluation, evaluate

# answers -> capacity, processes, connections per process, planned total, headroom, pool_size, max_overflow
ROWS: list[tuple[dict[str, Any], tuple[int, ...]]] = [
    # PostgreSQL: 100 - 3 - 10 - 2 = 85; vm: 1 x (4 + 1) = 5; 85 // 5 = 17, at most 12; 12 // 3 = 4 of them overflow
    ({}, (85, 5, 12, 60, 25, 8, 4)),
    # Compose stops first: 1 x 4 = 4; 85 // 4 = 21, at most 12
    ({"deployment": "compose"}, (85, 4, 12, 48, 37, 8, 4)),
    # the contract's example: 2 x (4 + 1) = 10; 85 // 10 = 8; 8 // 3 = 2
    ({"instances": 2}, (85, 10, 8, 80, 5, 6, 2)),
    # 3 x (4 + 2) = 18; 85 // 18 = 4; 4 // 3 = 1
    ({"instances": 3, "surge": 2}, (85, 18, 4, 72, 13, 3, 1)),
    # exactly one connection each: 85 // 85 = 1, and no overflow
    ({"deployment": "compose", "workers": 85}, (85, 85, 1, 85, 0, 1, 0)),
    # 85 // 42 = 2; 2 // 3 = 0
    ({"deployment": "compose", "workers": 42}, (85, 42, 2, 84, 1, 2, 0)),
    # an answered limit and reserve: 414 - 3 - 20 - 2 = 389; 2 x (16 + 1) = 34; 389 // 34 = 11; 11 // 3 = 3
    ({"max_connections": 414, "reserve": 20, "workers": 16, "instances": 2}, (389, 34, 11, 374, 15, 8, 3)),
    # nothing reserved for operations: 20 - 3 - 0 - 2 = 15; 15 // 5 = 3; 3 // 3 = 1
    ({"max_connections": 20, "reserve": 0}, (15, 5, 3, 15, 0, 2, 1)),
    # MongoDB: 51200 - 0 - 10 - 4 = 51186; 2 monitors beside a pool of at most 12 = 14; 5 x 14 = 70
    ({"database": "mongodb"}, (51186, 5, 14, 70, 51116, 8, 4)),
    # 60 - 0 - 10 - 4 = 46; 46 // 5 = 9, of which 2 monitors: a pool of 7; 7 // 3 = 2
    ({"database": "mongodb", "max_connections": 60}, (46, 5, 9, 45, 1, 5, 2)),
    # 29 - 14 = 15; 15 // 5 = 3 = one connection and 2 monitors
    ({"database": "mongodb", "max_connections": 29}, (15, 5, 3, 15, 0, 1, 0)),
    # SQLite: 32 - 0 - 1 - 1 = 30; 1 x (4 + 1) = 5; 30 // 5 = 6; 6 // 3 = 2
    ({"database": "sqlite"}, (30, 5, 6, 30, 0, 4, 2)),
    # 30 // 1 = 30, at most 6
    ({"database": "sqlite", "deployment": "compose", "workers": 1}, (30, 1, 6, 6, 24, 4, 2)),
    # Kubernetes: a rollout has a new pod and one that ends, a drain one more: (4 + 2 + 1) x 1 = 7; 85 // 7 = 12
    ({"deployment": "kubernetes"}, (85, 7, 12, 84, 1, 8, 4)),
    # a surge of 1 has one pod less, and a drain waits: (4 + 1) x 1 = 5; 85 // 5 = 17, at most 12
    ({"deployment": "kubernetes", "surge": 1}, (85, 5, 12, 60, 25, 8, 4)),
    # (10 + 2 + 1) x 4 = 52; 85 // 52 = 1
    ({"deployment": "kubernetes", "instances": 10, "workers": 4}, (85, 52, 1, 52, 33, 1, 0)),
    # (4 + 0 + 1) x 3 = 15; 85 // 15 = 5; 5 // 3 = 1
    ({"deployment": "kubernetes", "surge": 0, "workers": 3}, (85, 15, 5, 75, 10, 4, 1)),
    # (4 + 2 + 1) x 1 = 7 of 3 at least: 46 // 7 = 6, of which 2 monitors: a pool of 4; 4 // 3 = 1
    ({"database": "mongodb", "deployment": "kubernetes", "max_connections": 60}, (46, 7, 6, 42, 4, 3, 1)),
    # a file: (1 + 0) x 1 = 1; 30 // 1 = 30, at most 6
    ({"database": "sqlite", "deployment": "kubernetes"}, (30, 1, 6, 6, 24, 4, 2)),
    # Cloud Run: two revisions side by side: 10 x 1 x 2 = 20; 85 // 20 = 4; 4 // 3 = 1
    ({"deployment": "cloudrun"}, (85, 20, 4, 80, 5, 3, 1)),
    # 3 x 4 x 2 = 24; MySQL: 151 - 0 - 10 - 2 = 139; 139 // 24 = 5; 5 // 3 = 1
    ({"database": "mysql", "deployment": "cloudrun", "instances": 3, "workers": 4}, (139, 24, 5, 120, 19, 4, 1)),
    # Azure Container Apps: two revisions, each with a replica beyond its maximum: (10 + 1) x 1 x 2 = 22; 85 // 22 = 3
    ({"deployment": "azure"}, (85, 22, 3, 66, 19, 2, 1)),
    # (3 + 1) x 4 x 2 = 32; MySQL: 139 // 32 = 4; 4 // 3 = 1
    ({"database": "mysql", "deployment": "azure", "instances": 3, "workers": 4}, (139, 32, 4, 128, 11, 3, 1)),
    # Fly.io: a Machine stops before it starts again: 4 x 1 = 4; 85 // 4 = 21, at most 12; 12 // 3 = 4
    ({"deployment": "fly"}, (85, 4, 12, 48, 37, 8, 4)),
    # 10 x 2 = 20; 139 // 20 = 6; 6 // 3 = 2
    ({"database": "mysql", "deployment": "fly", "instances": 10, "workers": 2}, (139, 20, 6, 120, 19, 4, 2)),
    # Render: the new instances beside the old ones: 2 x 1 x 2 = 4
    ({"deployment": "render"}, (85, 4, 12, 48, 37, 8, 4)),
    # 5 x 2 x 2 = 20; 85 // 20 = 4; 4 // 3 = 1
    ({"deployment": "render", "instances": 5, "workers": 2}, (85, 20, 4, 80, 5, 3, 1)),
    # ECS: a new task and one that ends: (4 + 2) x 1 = 6; 85 // 6 = 14, at most 12
    ({"deployment": "ecs"}, (85, 6, 12, 72, 13, 8, 4)),
    # (10 + 5) x 2 = 30; 85 // 30 = 2; 2 // 3 = 0
    ({"deployment": "ecs", "instances": 10, "surge": 5, "workers": 2}, (85, 30, 2, 60, 25, 2, 0)),
    # Lambda: environments of the old code beside the new ones: 40 x 2 = 80; 85 // 80 = 1
    ({"deployment": "lambda"}, (85, 80, 1, 80, 5, 1, 0)),
    # 10 x 2 = 20; 85 // 20 = 4, at most 1: an environment serves one request at a time
    ({"deployment": "lambda", "instances": 10}, (85, 20, 1, 20, 65, 1, 0)),
    # MySQL: 151 - 0 - 10 - 2 = 139; 139 // 80 = 1
    ({"database": "mysql", "deployment": "lambda"}, (139, 80, 1, 80, 59, 1, 0)),
    # one connection and 2 monitors in each: 51186 // 80 = 639, at most 3
    ({"database": "mongodb", "deployment": "lambda"}, (51186, 80, 3, 240, 50946, 1, 0)),
]

POOLER = "put a pooler in front (--pooler pgbouncer)"

# answers -> needed, capacity, remedies
MISFITS: list[tuple[dict[str, Any], tuple[int, int, list[str]]]] = [
    # 16 processes, 25 - 3 - 10 - 2 = 10 left; without any reserve 20, so 4 of it can stay; 16 + 15 = 31
    (
        {"deployment": "compose", "workers": 16, "max_connections": 25},
        (16, 10, ["use at most 10 processes", "lower reserve to 4", "raise max_connections to 31", POOLER]),
    ),
    # one more than fits
    (
        {"deployment": "compose", "workers": 86},
        (86, 85, ["use at most 85 processes", "lower reserve to 9", "raise max_connections to 101", POOLER]),
    ),
    # 14 - 3 - 10 - 2 < 0: nothing is left; 5 processes fit beside a reserve of 4
    ({"max_connections": 14}, (5, 0, ["lower reserve to 4", "raise max_connections to 20"])),
    # not even without a reserve: 2 - 3 - 2 < 0
    ({"max_connections": 2}, (5, 0, ["raise max_connections to 20"])),
    # 28 - 0 - 10 - 4 = 14 for 5 processes of 3; 14 // 3 = 4; 15 + 14 = 29
    (
        {"database": "mongodb", "max_connections": 28},
        (15, 14, ["use at most 4 processes", "lower reserve to 9", "raise max_connections to 29"]),
    ),
    # two revisions: 45 x 1 x 2 = 90 > 85, which carries 84, since each process counts twice; 90 + 15 = 105
    (
        {"deployment": "cloudrun", "instances": 45},
        (90, 85, ["use at most 84 processes", "lower reserve to 5", "raise max_connections to 105", POOLER]),
    ),
    # (21 + 1) x 2 x 2 = 88 > 85, which carries 84; 88 + 15 = 103
    (
        {"deployment": "azure", "instances": 21, "workers": 2},
        (88, 85, ["use at most 84 processes", "lower reserve to 7", "raise max_connections to 103", POOLER]),
    ),
    # (90 + 2) x 1 = 92 > 85; 92 + 15 = 107
    (
        {"deployment": "ecs", "instances": 90},
        (92, 85, ["use at most 85 processes", "lower reserve to 3", "raise max_connections to 107", POOLER]),
    ),
    # 51.3 million processes: no limit that can be answered carries them
    (
        {"workers": 512, "instances": 100000},
        (51_300_000, 85, ["use at most 85 processes"]),
    ),
    # and with nothing left either
    (
        {"workers": 512, "instances": 100000, "max_connections": 1},
        (51_300_000, 0, ["use fewer processes and raise max_connections"]),
    ),
]


POOLED: list[tuple[dict[str, Any], tuple[int, ...], dict[str, Any]]] = [
    # 1000 - 0 - 10 - 2 = 988 clients; the server leaves 85, the app can use 60, 40 is enough
    (
        {"pooler": "pgbouncer"},
        (988, 5, 12, 60, 928, 8, 4),
        {
            "limit": 100,
            "reserved": {"server": 3, "operations": 10, "migrations": 2},
            "capacity": 85,
            "connections": 40,
            "headroom": 45,
        },
    ),
    # 25 - 3 - 0 - 2 = 20 for the pooler; 988 // 200 = 4; 4 // 3 = 1
    (
        {"pooler": "pgbouncer", "instances": 40, "max_connections": 25, "reserve": 0},
        (998, 200, 4, 800, 198, 3, 1),
        {
            "limit": 25,
            "reserved": {"server": 3, "operations": 0, "migrations": 2},
            "capacity": 20,
            "connections": 20,
            "headroom": 0,
        },
    ),
    # two processes of one connection: 151 - 0 - 10 - 2 = 139 are left, 24 can be used
    (
        {"database": "mysql", "pooler": "rds-proxy", "deployment": "compose", "workers": 2},
        (988, 2, 12, 24, 964, 8, 4),
        {
            "limit": 151,
            "reserved": {"server": 0, "operations": 10, "migrations": 2},
            "capacity": 139,
            "connections": 24,
            "headroom": 115,
        },
    ),
]


MANAGED: list[tuple[dict[str, Any], tuple[int, ...], dict[str, Any]]] = [
    # Supabase's smallest: 200 - 0 - 10 - 2 = 188 clients; 188 // 5 = 37, at most 12; of 85 the pooler opens 15
    (
        {},
        (188, 5, 12, 60, 128, 8, 4),
        {"pool_size": 15, "mode": "transaction", "capacity": 85, "connections": 15, "headroom": 70},
    ),
    # the pool is larger than what the app can use: min(85, 2 x 12, 50)
    (
        {"workers": 1, "pooler_pool_size": 50},
        (188, 2, 12, 24, 164, 8, 4),
        {"pool_size": 50, "mode": "transaction", "capacity": 85, "connections": 24, "headroom": 61},
    ),
    # in session mode a client takes a connection of the server's: min(200, 50) - 0 - 0 - 2 = 48; 48 // 10 = 4
    (
        {"pooler_mode": "session", "pooler_pool_size": 50, "instances": 2, "reserve": 0},
        (48, 10, 4, 40, 8, 3, 1),
        {"pool_size": 50, "mode": "session", "capacity": 95, "connections": 40, "headroom": 55},
    ),
    # min(20, 50) - 0 - 10 - 2 = 8; 8 // 5 = 1
    (
        {"pooler_mode": "session", "pooler_max_clients": 20, "pooler_pool_size": 50},
        (8, 5, 1, 5, 3, 1, 0),
        {"pool_size": 50, "mode": "session", "capacity": 85, "connections": 5, "headroom": 80},
    ),
    # exactly what the server leaves: 30 - 3 - 10 - 2 = 15
    (
        {"max_connections": 30},
        (188, 5, 12, 60, 128, 8, 4),
        {"pool_size": 15, "mode": "transaction", "capacity": 15, "connections": 15, "headroom": 0},
    ),
]

# answers -> a piece of the message, remedies
MANAGED_MISFITS: list[tuple[dict[str, Any], str, list[str]]] = [
    # 29 - 3 - 10 - 2 = 14 < 15; 15 + 15 = 30; beside a reserve of 9 it is 15
    (
        {"max_connections": 29},
        "the pooler opens up to 15 connections, the server leaves 14 (29 - 3 server - 10 reserve - 2 migrations)",
        ["lower pooler_pool_size to 14", "raise max_connections to 30", "lower reserve to 9"],
    ),
    # 2 x (99 + 1) = 200 > 188; 200 + 12 = 212; without any reserve 198
    (
        {"workers": 99, "instances": 2},
        "200 processes need at least 200 connections, the pooler leaves 188 (200 - 0 server",
        ["use at most 188 processes", "raise pooler_max_clients to 212"],
    ),
    # 15 - 12 = 3 < 5: 5 + 12 = 17 <= 200 clients and <= 85 of the server
    (
        {"pooler_mode": "session"},
        "5 processes need at least 5 connections, the pooler leaves 3 (15 - 0 server - 10 reserve - 2 migrations)",
        [
            *("use at most 3 processes", "pool by transaction (--pooler-mode transaction)"),
            *("raise pooler_pool_size to 17", "lower reserve to 8"),
        ],
    ),
    # 31 - 3 - 10 - 2 = 16 < 17: a pool of 17 would not fit the server
    (
        {"pooler_mode": "session", "max_connections": 31},
        "the pooler leaves 3 ",
        ["use at most 3 processes", "pool by transaction (--pooler-mode transaction)", "lower reserve to 8"],
    ),
    # 16 clients are too few, 50 to the server would do
    (
        {"pooler_mode": "session", "pooler_pool_size": 50, "pooler_max_clients": 16},
        "the pooler leaves 4 ",
        ["use at most 4 processes", "raise pooler_max_clients to 17", "lower reserve to 9"],
    ),
    # a smaller pool would suit the server and no longer the app: 19 - 15 = 4 for 5 processes
    (
        {"pooler_mode": "session", "pooler_pool_size": 20, "max_connections": 19},
        "the pooler opens up to 20 connections, the server leaves 4 ",
        ["raise max_connections to 35"],
    ),
    # neither side fits: with a reserve of 80 both do
    (
        {"reserve": 195},
        "the pooler opens up to 15 connections, the server leaves 0 ",
        ["lower reserve to 80"],
    ),
    # 201 processes for 188 clients, 10 connections for a pool of 15
    (
        {"workers": 200, "max_connections": 25},
        "the pooler opens up to 15 connections, the server leaves 10 ",
        ["use at most 188 processes and lower pooler_pool_size to 10"],
    ),
    (
        {"workers": 512, "instances": 100, "max_connections": 12},
        "the pooler opens up to 15 connections, the server leaves 0 ",
        ["use fewer processes, lower reserve and raise the limits of pooler and server"],
    ),
]


def numbers(evaluation: Evaluation) -> tuple[int, ...]:
    plan = document(evaluation)
    names = ("capacity", "processes", "connections_per_process", "planned_total", "headroom")
    return (*(plan[name] for name in names), plan["settings"]["pool_size"], plan["settings"]["max_overflow"])


@pytest.mark.parametrize(("answers", "expected"), ROWS)
def test_plan_is_what_a_hand_computes(answers: dict[str, Any], expected: tuple[int, ...]) -> None:
    evaluation = evaluate(answers)
    assert evaluation.fits
    assert numbers(evaluation) == expected
    (side,) = sides(evaluation)
    assert sum(part.connections for part in side.parts) == evaluation.values["limit"]


@pytest.mark.parametrize(("answers", "expected", "pooler"), POOLED)
def test_a_pooler_gives_the_plan_two_sides(
    answers: dict[str, Any], expected: tuple[int, ...], pooler: dict[str, Any]
) -> None:
    evaluation = evaluate(answers)
    assert numbers(evaluation) == expected
    assert document(evaluation)["pooler"] == pooler
    app, server = sides(evaluation)
    assert sum(part.connections for part in app.parts) == 1000
    assert sum(part.connections for part in server.parts) == pooler["limit"]


def test_each_side_of_a_pooler_can_be_too_small() -> None:
    app = evaluate({"pooler": "pgbouncer", "workers": 512, "instances": 2})
    # 2 x 513 = 1026 > 988
    assert app.values["remedies"] == ["use at most 988 processes"]
    assert "1026 processes need at least 1026 connections, the pooler leaves 988 " in app.values["misfit"]
    server = evaluate({"pooler": "pgbouncer", "max_connections": 15})
    # 15 - 3 - 10 - 2 = 0
    assert server.values["remedies"] == ["lower reserve to 9", "raise max_connections to 16"]
    assert "the pooler needs at least 1 connection, the server leaves 0 (15 - 3 " in server.values["misfit"]
    assert [side.title for side in sides(server)] == ["15 connections of the server"]


@pytest.mark.parametrize(("answers", "expected", "pooler"), MANAGED)
def test_a_pooler_that_is_there_is_planned_with_the_numbers_answered(
    answers: dict[str, Any], expected: tuple[int, ...], pooler: dict[str, Any]
) -> None:
    evaluation = evaluate({"pooler": "managed", **answers})
    assert evaluation.fits
    assert numbers(evaluation) == expected
    assert pooler.items() <= document(evaluation)["pooler"].items()
    app, server = sides(evaluation)
    assert sum(part.connections for part in app.parts) == evaluation.values["limit"]
    assert sum(part.connections for part in server.parts) == evaluation.values["server_limit"]
    assert app.title == f"{evaluation.values['limit']} connections of the managed pooler"


@pytest.mark.parametrize(("answers", "message", "remedies"), MANAGED_MISFITS)
def test_each_side_of_a_pooler_that_is_there_can_be_too_small(
    answers: dict[str, Any], message: str, remedies: list[str]
) -> None:
    evaluation = evaluate({"pooler": "managed", **answers})
    assert message in evaluation.values["misfit"]
    assert evaluation.values["remedies"] == remedies
    (side,) = sides(evaluation)
    assert side.parts[-1].name == "missing"
    assert side.parts[-1].connections > 0


def test_what_is_answered_of_a_pooler_counts_only_where_one_is_there() -> None:
    unused = {"pooler_max_clients": 10, "pooler_pool_size": 1, "pooler_mode": "session"}
    for pooler in ("none", "pgbouncer", "rds-proxy"):
        evaluation = evaluate({"pooler": pooler, **unused})
        assert numbers(evaluation) == numbers(evaluate({"pooler": pooler}))
        assert not set(unused) & set(evaluation.answers)


@pytest.mark.parametrize(
    ("answers", "percent"),
    [
        # 40 of 100; 40 of 151 = 26.49; 40 of 5000 = 0.8, and the least that RDS takes is 1
        ({"pooler": "rds-proxy"}, 40),
        ({"pooler": "rds-proxy", "database": "mysql"}, 26),
        ({"pooler": "rds-proxy", "max_connections": 5000}, 1),
        ({}, 0),
    ],
)
def test_a_share_of_the_server_is_whole_percents(answers: dict[str, Any], percent: int) -> None:
    assert evaluate(answers).values["pooler_percent"] == percent


def test_a_replica_gets_the_same_again() -> None:
    plan = document(evaluate({"read_replica": True}))
    assert plan["replica"] == {"limit": 100, "capacity": 85, "planned_total": 60, "headroom": 25}
    # a second client watches the members of a replica set: 12 + 2 x 2
    assert evaluate({"database": "mongodb", "read_replica": True}).values["connections_per_process"] == 16


def test_redis_is_planned_against_its_own_limit() -> None:
    assert document(evaluate({"cache": "redis"}))["cache"]["planned_total"] == 40
    # 2000 x (4 + 1) = 10000 > 10000 - 10
    crowded = evaluate({"cache": "redis", "instances": 2000, "max_connections": 1_000_000})
    assert not crowded.fits
    assert crowded.values["remedies"] == ["use at most 9990 processes", "cache nothing (--cache none)"]
    # 9990 // 9985 = 1
    assert (
        evaluate({"cache": "redis", "instances": 1997, "max_connections": 1_000_000}).values["cache_plan"][
            "connections_per_process"
        ]
        == 1
    )


@pytest.mark.parametrize(("answers", "expected"), MISFITS)
def test_misfit_tells_numbers_and_remedies(answers: dict[str, Any], expected: tuple[int, int, list[str]]) -> None:
    evaluation = evaluate(answers)
    needed, capacity, remedies = expected
    with pytest.raises(PlanDoesNotFit) as caught:
        evaluation.require_fit()
    message = str(caught.value)
    assert message.startswith("The plan does not fit: ")
    assert f"need at least {needed} connections, the server leaves {capacity} " in message
    assert message.endswith("\n" + (lambda words: words[0].upper() + words[1:])(", or ".join(remedies)) + ".")
    plan = document(evaluation)
    assert plan["fits"] is False
    assert plan["remedies"] == remedies
    assert plan["connections_per_process"] == 0


def test_rollout_surge_counts_against_the_limit() -> None:
    calm = evaluate({"surge": 0}).values["processes"]
    assert evaluate({"surge": 3}).values["processes"] == calm + 3


@pytest.mark.parametrize(
    ("answers", "arithmetic"),
    [
        ({}, "1 x (4 + 1) = 5"),
        ({"deployment": "kubernetes"}, "(4 + 2 + 1) x 1 = 7"),
        ({"deployment": "cloudrun"}, "10 x 1 x 2 = 20"),
        ({"deployment": "azure"}, "(10 + 1) x 1 x 2 = 22"),
    ],
)
def test_the_arithmetic_of_the_processes_has_each_factor(answers: dict[str, Any], arithmetic: str) -> None:
    told = {row["value"]: row["arithmetic"] for row in evaluate(answers).values["why"]}
    assert told["processes"] == arithmetic


def test_waiting_requests_are_bounded_by_the_pool() -> None:
    # 8 + 4 connections x 8
    assert evaluate({}).values["settings"]["pool_max_waiting"] == 96


def test_connections_are_recycled_before_the_shortest_idle_timeout() -> None:
    # 80 % of 1800 s of a virtual machine's path, for PostgreSQL has no idle timeout of its own
    assert evaluate({}).values["settings"]["pool_recycle_seconds"] == 1440


@pytest.mark.parametrize(
    ("deployment", "expected"),
    [
        # 20 s as everywhere; a statement may have 20 x 75 % = 15 of them
        ("vm", (2, 15, 20, 20)),
        ("compose", (2, 15, 20, 20)),
        ("kubernetes", (2, 15, 20, 20)),
        ("fly", (2, 15, 20, 20)),
        ("render", (2, 15, 20, 20)),
        # less than the 110 of the 120 s between SIGTERM and SIGKILL
        ("ecs", (2, 15, 20, 20)),
        # 8 of the 10 s between SIGTERM and SIGKILL; 8 x 75 % = 6
        ("cloudrun", (2, 6, 8, 8)),
        # of the 30 s that terminationGracePeriodSeconds says
        ("azure", (2, 15, 20, 20)),
    ],
)
def test_no_request_outlives_the_stop_of_its_deployment(deployment: str, expected: tuple[int, ...]) -> None:
    settings = evaluate({"deployment": deployment}).values["settings"]
    names = ("pool_timeout_seconds", "statement_timeout_seconds", "command_timeout_seconds", "graceful_stop_seconds")
    assert tuple(settings[name] for name in names) == expected
    pool, statement, command, stop = expected
    assert pool < statement < command <= stop


@pytest.mark.parametrize(
    ("surge", "started_before", "ended_before"), [(0, 0, 0), (1, 0, 1), (2, 1, 0), (3, 1, 1), (4, 2, 0)]
)
def test_a_surge_is_the_new_pods_and_as_many_that_end(surge: int, started_before: int, ended_before: int) -> None:
    rollout = evaluate({"deployment": "kubernetes", "surge": surge}).values["rollout"]
    assert (rollout["started_before"], rollout["ended_before"]) == (started_before, ended_before)
    # 10 + 20 + 10
    assert rollout["grace_seconds"] == 40


@pytest.mark.parametrize(
    ("instances", "surge", "maximum", "minimum_healthy", "least"),
    [
        # 4 x 149 % = 5.96: one more; with 150 % it were two. 3 x 149 % = 4.47 is one more, 2 x 149 % = 2.98 none
        (4, 2, 149, 100, 3),
        # 4 x 51 % = 2.04: 3 at least, one fewer; 3 x 51 % = 1.53: 2 of 3; 2 x 51 % = 1.02: 2 of 2
        (4, 1, 100, 51, 3),
        # 4 x 174 % = 6.96; 2 x 174 % = 3.48
        (4, 4, 174, 100, 2),
        # one beside the only one: 299 % = 2.99; or none while the next one starts
        (1, 2, 299, 100, 1),
        (1, 1, 100, 0, 1),
        # 10 x 129 % = 12.9 and 10 x 81 % = 8.1: two more, one fewer; 4 x 129 % = 5.16
        (10, 5, 129, 81, 4),
        # 250 x 101 % = 252.5; below 100 one percent is no task
        (250, 4, 101, 100, 100),
    ],
)
def test_percents_are_never_more_tasks_than_the_surge_has(
    instances: int, surge: int, maximum: int, minimum_healthy: int, least: int
) -> None:
    values = evaluate({"deployment": "ecs", "instances": instances, "surge": surge, "max_connections": 5000}).values
    assert values["rollout_percents"] == {"maximum": maximum, "minimum_healthy": minimum_healthy, "least": least}
    # 30 + 20 + 10
    assert values["rollout"]["grace_seconds"] == 60


def test_document_has_the_fields_of_the_contract_and_whole_numbers() -> None:
    plan = document(evaluate({"instances": 2}))
    assert list(plan) == [
        *("schema_version", "answers", "fits", "limit", "reserved", "capacity", "processes"),
        *("connections_per_process", "planned_total", "headroom", "settings", "why"),
    ]
    assert plan["schema_version"] == 1
    assert plan["reserved"] == {"server": 3, "operations": 10, "migrations": 2}
    assert {"value": "capacity", "arithmetic": "100 - 3 - 10 - 2 = 85"}.items() <= plan["why"][4].items()
    assert all(set(row) == {"value", "arithmetic", "reason", "source"} for row in plan["why"])
    counted = [plan[name] for name in ("limit", "capacity", "processes", "planned_total", "headroom")]
    counted += [*plan["reserved"].values(), *plan["settings"].values()]
    assert all(isinstance(number, int) for number in counted)


def test_every_number_of_the_settings_that_follows_from_the_answers_is_explained() -> None:
    told = {row["value"] for row in evaluate({}).values["why"]}
    assert {
        "pool_size",
        "max_overflow",
        "pool_max_waiting",
        "pool_recycle_seconds",
        "statement_timeout_seconds",
    } <= told
    assert {"limit", "capacity", "processes", "connections_per_process", "planned_total", "headroom"} <= told
