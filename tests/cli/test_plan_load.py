"""`poolwright plan` under a load and on managed servers, as people and scripts read it."""

import json
from pathlib import Path

import pytest

from poolwright import managed
from poolwright.load import assess
from poolwright.load_model import Demand
from poolwright.plan import document
from poolwright.questions import evaluate
from tests.cli.conftest import Poolwright, left_in


def rows_of(out: str) -> set[str]:
    return {" ".join(line.split()) for line in out.splitlines()}


def test_the_table_has_the_load_and_the_verdict(poolwright: Poolwright) -> None:
    done = poolwright("plan", "--rps", "2100", "--hold-ms", "20")
    assert (done.code, done.err) == (0, "")
    assert rows_of(done.out) >= {
        "load.busy 42 2100/s x 20 ms = 42",
        "load.processes 4 1 x 4 = 4",
        "load.utilisation 87.5 % 42 / (4 x 12) = 87.5 %",
        "load.refused_share <0.001 % 96 wait at most, 2 s at most",
    }
    assert "The pool keeps up: 56.4 % of the requests wait" in done.out


def test_json_has_the_load_and_its_arithmetic(poolwright: Poolwright) -> None:
    done = poolwright("plan", "--json", "--rps", "2100", "--hold-ms", "20", "--cores", "8")
    assert (done.code, done.err) == (0, "")
    told = json.loads(done.out)
    assert told == document(assess(evaluate({}), Demand(2100, 20, 8), evaluate))
    load = told["load"]
    assert (load["rps"], load["hold_ms"], load["cores"], load["busy"]) == (2100, 20, 8, 42)
    assert load["verdict"] == "server_too_small"
    assert {row["value"] for row in told["why"]} > {"load.busy", "load.mean_wait_ms", "load.refused_share"}


def test_a_pool_that_cannot_keep_up_is_a_warning_and_no_failure(poolwright: Poolwright) -> None:
    done = poolwright("plan", "--rps", "3000", "--hold-ms", "20")
    assert (done.code, done.err) == (0, "")
    assert "The pool is too small: 3000 requests per second" in done.out
    assert done.out.endswith("Enough, each by itself:\n  run 2 instances\n  hold each connection for at most 15 ms\n")
    told = json.loads(poolwright("plan", "--json", "--rps", "3000", "--hold-ms", "20").out)
    assert (told["fits"], told["load"]["mean_wait_ms"]) == (True, None)
    quiet = poolwright("plan", "-q", "--rps", "3000", "--hold-ms", "20").out
    assert "load.busy" not in quiet
    assert "The pool is too small" in quiet


def test_what_if_has_the_load_too(poolwright: Poolwright) -> None:
    arguments = ("plan", "--rps", "3000", "--hold-ms", "20", "--what-if", "instances=2")
    out = poolwright(*arguments).out
    assert "load.utilisation 125 % 93.8 % 60 / (8 x 8) = 93.8 %" in rows_of(out)
    assert "Now: The pool is too small" in out
    assert "What if: The pool keeps up" in out
    told = json.loads(poolwright(*arguments, "--json").out)
    assert told["load"]["verdict"] == "pool_too_small"
    assert told["what_if"]["load"]["verdict"] == "keeps_up"


def test_explain_has_the_formulas_with_their_sources(poolwright: Poolwright) -> None:
    out = poolwright("plan", "--explain", "--rps", "2100", "--hold-ms", "20").out
    words = " ".join(out.split())
    assert "Little's law" in words
    assert "load.wait_probability Erlang C(12, 10.5) = 56.4 %" in words
    assert "source: L. Kleinrock, Queueing Systems" in words


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("more", [(), ("--pooler", "pgbouncer"), ("--what-if", "workers=9")])
def test_nothing_is_wider_than_the_terminal(columns: int, more: tuple[str, ...], poolwright: Poolwright) -> None:
    load = ("--rps", "4321", "--hold-ms", "12.5", "--cores", "20", "--server", "neon-1cu")
    out = poolwright("plan", "--explain", *load, *more, COLUMNS=str(columns)).out
    assert max(len(line) for line in out.splitlines() if "https://" not in line) <= columns


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--rps", "-5", "--hold-ms", "20"), "--rps is a number above 0 and at most 1,000,000,000, not -5."),
        (("--rps", "0", "--hold-ms", "20"), "--rps is a number above 0"),
        (("--rps", "5", "--hold-ms", "-1"), "--hold-ms is a number above 0"),
        (("--rps", "5", "--hold-ms", "nan"), "--hold-ms is a number above 0"),
        (("--rps", "5"), "A load needs both --rps and --hold-ms."),
        (("--cores", "5"), "A load needs both --rps and --hold-ms."),
        (("--rps", "5", "--hold-ms", "5", "--cores", "0"), "--cores is a number above 0"),
        (("--rps", "many", "--hold-ms", "20"), "Invalid value for '--rps': "),
        (("--server", "neon"), "There is no managed server called 'neon'.\nDid you mean neon-0.25cu"),
        (("--server", "atlas-m10", "--database", "mysql"), "atlas-m10 has the database mongodb, and 'mysql' is given."),
        (("--server", "atlas-m10", "--max-connections", "9"), "means max_connections 1500, and '9' is given."),
        (("--server", "atlas-m10", "-d", "max_connections=9"), "means max_connections 1500, and '9' is given."),
        (("--server", "neon-1cu", "--what-if", "database=mysql"), "and 'mysql' is given."),
        (
            ("--server", "neon-1cu", "--what-if", "pooler=managed", "--what-if", "pooler_mode=session"),
            "--server neon-1cu means pooler_mode transaction, and 'session' is given.",
        ),
        (
            ("--server", "azure-postgresql-b1ms", "--pooler", "managed", "--pooler-pool-size", "20"),
            "no managed pooler of azure-postgresql-b1ms.\nAnswer pooler_max_clients with what your provider",
        ),
        (("--servers", "--database", "sqlite"), "The catalog has no managed server with sqlite."),
        (("--servers", "--database", "mongo"), "database cannot be 'mongo'"),
    ],
)
def test_mistakes_are_told_in_words(arguments: tuple[str, ...], words: str, poolwright: Poolwright) -> None:
    done = poolwright("plan", *arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    told = json.loads(poolwright("plan", "--json", *arguments).out)
    assert told["exit_code"] == 2


def test_a_managed_server_gives_limit_reserve_and_source(poolwright: Poolwright) -> None:
    out = poolwright("plan", "--server", "neon-1cu").out
    assert rows_of(out) >= {"limit 419", "reserved.server 7", "capacity 400 419 - 7 - 10 - 2 = 400"}
    assert "neon-1cu: 419 connections, 7 of them kept by the server." in out
    assert "https://neon.com/docs/connect/connection-pooling" in out
    assert "give --max-connections what it says" in " ".join(out.split())
    told = json.loads(poolwright("plan", "--server", "neon-1cu", "--json").out)
    assert told["answers"]["max_connections"] == 419
    assert told["managed_server"] == managed.find("neon-1cu").document()
    assert "managed_server" not in json.loads(poolwright("plan", "--json").out)


def test_a_server_replaces_the_limit_of_a_project_but_not_its_database(poolwright: Poolwright) -> None:
    poolwright("new", "shop", "-y", "--max-connections", "60", "--workers", "2", "--no-git")
    told = json.loads(poolwright("plan", "shop", "--server", "neon-1cu", "--json").out)
    assert (told["limit"], told["reserved"]["server"], told["answers"]["workers"]) == (419, 7, 2)
    done = poolwright("plan", "shop", "--server", "atlas-m10")
    assert done.code == 2
    assert done.err.startswith("--server atlas-m10 has the database mongodb, and 'postgresql' is given.\n")


def test_a_project_for_a_server_has_its_capacity(poolwright: Poolwright, tmp_path: Path) -> None:
    done = poolwright("new", "shop", "-y", "--server", "neon-1cu", "--no-git", "--json")
    # 4 more than PostgreSQL usually keeps are left out of the limit: 415 - 3 = 419 - 7
    assert "neon-1cu: 419 connections, 7 of them kept by the server; max_connections is 415." in done.err
    made, planned = (json.loads(text) for text in (done.out, poolwright("plan", "--server", "neon-1cu", "--json").out))
    assert made["answers"]["max_connections"] == 415
    assert made["capacity"] == planned["capacity"] == 400
    assert "max_connections: 415" in (tmp_path / "shop" / ".copier-answers.yml").read_text(encoding="utf-8")
    assert "server" not in made["answers"]


def test_new_for_an_unknown_or_contradicted_server_writes_nothing(poolwright: Poolwright, tmp_path: Path) -> None:
    assert poolwright("new", "shop", "-y", "--server", "neon").code == 2
    assert poolwright("new", "shop", "-y", "--server", "neon-1cu", "--database", "mysql").code == 2
    assert left_in(tmp_path) == []


def test_servers_are_listed_with_source_and_date(poolwright: Poolwright) -> None:
    done = poolwright("plan", "--servers")
    assert (done.code, done.err) == (0, "")
    rows = rows_of(done.out)
    for server in managed.servers():
        kept = f" {server.server_reserve} kept by the server" if server.server_reserve else ""
        assert f"{server.name} {server.max_connections}{kept}" in rows
        assert f"{server.date}, {server.source}" in rows
        if server.pooler is not None:
            pooler = server.pooler
            assert f"{server.name} {pooler.max_clients} clients {pooler.pool_size} to the server" in rows
            assert f"--pooler managed: {pooler.label}, {' or '.join(pooler.modes)} mode" in rows
            assert f"{pooler.date}, {pooler.source}" in rows
    told = json.loads(poolwright("plan", "--servers", "--json").out)
    assert told == {"schema_version": 1, "servers": [server.document() for server in managed.servers()]}
    mongodb = json.loads(poolwright("plan", "--servers", "--json", "--database", "mongodb").out)
    assert {row["database"] for row in mongodb["servers"]} == {"mongodb"}


def test_a_server_of_the_catalog_brings_the_numbers_of_its_pooler(poolwright: Poolwright, tmp_path: Path) -> None:
    given = ("--server", "supabase-large", "--pooler", "managed")
    told = json.loads(poolwright("plan", *given, "--json").out)
    numbers = {"pooler": "managed", "pooler_max_clients": 800, "pooler_pool_size": 20, "pooler_mode": "transaction"}
    assert numbers.items() <= told["answers"].items()
    assert (told["limit"], told["pooler"]["limit"], told["pooler"]["pool_size"]) == (800, 160, 20)
    assert told["managed_server"]["pooler"]["settings"] == ["pooler_pool_size"]
    # 160 - 3 - 10 - 2 = 145
    assert rows_of(poolwright("plan", *given).out) >= {"limit 800", "pooler.pool_size 20 20 <= 145"}
    done = poolwright("new", "shop", "-y", *given, "--pooler-pool-size", "40", "--no-git", "--json")
    assert "max_connections is 160 and pooler_max_clients is 800 and pooler_pool_size is 40." in done.err
    made = json.loads(done.out)
    assert (numbers | {"pooler_pool_size": 40}).items() <= made["answers"].items()
    assert "pooler_pool_size: 40\n" in (tmp_path / "shop" / ".copier-answers.yml").read_text(encoding="utf-8")
    assert "--pooler managed --pooler-max-clients 800 --pooler-pool-size 40" in made["command"]
    # another server's numbers take the place of the project's, as its limit does
    told = json.loads(poolwright("plan", "shop", "--server", "supabase-nano", "--json").out)
    assert (told["limit"], told["pooler"]["pool_size"]) == (200, 15)


def test_a_pooler_that_the_server_cannot_carry_does_not_fit(poolwright: Poolwright) -> None:
    # 90 % of 104 = 93; 104 - 7 - 10 - 2 = 85
    done = poolwright("plan", "--server", "neon-0.25cu", "--pooler", "managed")
    assert done.code == 3
    assert "! missing 8 (of at least 93 for the managed pooler)" in done.out
    assert "the pooler opens up to 93 connections, the server leaves 85 (104 - 7 server" in done.err
    fits = poolwright("plan", "--server", "neon-0.25cu", "--pooler", "managed", "--reserve", "2")
    assert (fits.code, fits.err) == (0, "")
