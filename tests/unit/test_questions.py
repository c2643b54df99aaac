"""Which answers are accepted, and what a wrong one is told."""

from typing import Any

import pytest

from poolwright import catalog, questions
from poolwright.errors import InvalidAnswer, shown
from poolwright.questions import combinations, evaluate, refused

NAME_RULE = "project_name is 1 to 60 letters, digits and single - _ or . between them, and starts with a letter"


NO_NAMES = [
    *(
        "",
        ".",
        "..",
        "a/b",
        "a\\b",
        "{{7*7}}",
        "x" * 300,
        "x" * 61,
        "a'b",
        'a"b',
        "a b",
        "-a",
        "1a",
        "a-",
        "a--b",
        "a._b",
    ),
    *("\x1b[31m", "a\nb", "пример", "a;rm", "$HOME", "a\0b", "%s"),
]


@pytest.mark.parametrize("name", NO_NAMES)
def test_a_name_that_is_no_distribution_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidAnswer, match=NAME_RULE):
        evaluate({"project_name": name})


@pytest.mark.parametrize(
    "name", ["class", "Class", "con", "CON", "lpt9", "fastapi", "pydantic_settings", "none", "true", "Null", "on"]
)
def test_a_name_that_means_something_else_is_refused(name: str) -> None:
    with pytest.raises(InvalidAnswer, match=f"project_name cannot be {name}: .* Use {name}-service"):
        evaluate({"project_name": name})


@pytest.mark.parametrize("name", ["a", "my-service", "My_Service.2", "x" * 60, "shop2"])
def test_a_distribution_name_is_accepted(name: str) -> None:
    assert evaluate({"project_name": name}).answers["project_name"] == name


@pytest.mark.parametrize("key", ["workers", "instances", "surge", "max_connections", "reserve"])
@pytest.mark.parametrize(
    "value", ["abc", "1e3", "1.5", "", " ", "1_0", "٤", "0x10", 1.5, True, None, [4], {}, "9" * 5000]
)
def test_a_count_is_a_whole_number(key: str, value: Any) -> None:
    with pytest.raises(InvalidAnswer, match=f"^{key} is a whole number, not ") as caught:
        evaluate({key: value})
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("workers", "0"), ("workers", "513"), ("workers", "-1"), ("instances", "0"), ("instances", "100001")),
        *(("surge", "-1"), ("max_connections", "-1"), ("max_connections", "1000001"), ("reserve", "-2")),
    ],
)
def test_a_count_out_of_range_is_told_the_range(key: str, value: str) -> None:
    with pytest.raises(InvalidAnswer, match=rf"{key} is a whole number from -?\d+ to \d+, not {value}"):
        evaluate({key: value})


def test_text_is_read_as_the_type_of_its_question() -> None:
    answers = evaluate({"workers": " 7 ", "max_connections": "+300", "reserve": "-1"}).answers
    assert (answers["workers"], answers["max_connections"], answers["reserve"]) == (7, 300, -1)
    assert evaluate({"read_replica": "no"}).values["read_replica"] is False


@pytest.mark.parametrize("value", ["maybe", "", "2", None, []])
def test_a_yes_or_no_is_nothing_else(value: Any) -> None:
    with pytest.raises(InvalidAnswer, match="read_replica is true or false, not"):
        evaluate({"read_replica": value})


@pytest.mark.parametrize(
    ("key", "value", "near"),
    [
        *(("database", "postgres", "postgresql"), ("database", "SQLITE", "sqlite"), ("database", "mongo", "mongodb")),
        *(("style", "sqlalchmy", "sqlalchemy"), ("driver", "psycopg2", "psycopg")),
        *(("pooler", "pgbounce", "pgbouncer"), ("pooler_mode", "sessions", "session")),
        ("deployment", "docker-compose", "compose"),
    ],
)
def test_an_unknown_value_is_told_the_legal_ones_and_the_nearest(key: str, value: str, near: str) -> None:
    with pytest.raises(InvalidAnswer) as caught:
        evaluate({key: value})
    legal = ", ".join(choice.value for choice in questions.choices(key, {}) if not choice.refusal)
    assert str(caught.value) == f"{key} cannot be '{value}': it is one of {legal}.\nDid you mean {near}?"


def test_a_value_like_a_refused_one_is_told_why_that_is_refused() -> None:
    with pytest.raises(InvalidAnswer, match="SQLite cannot be used on AWS Lambda: its file cannot be shared"):
        evaluate({"database": "sqlite", "deployment": "lamda"})


@pytest.mark.parametrize(
    ("key", "near"),
    [("databse", "database"), ("worker", "workers"), ("max_conections", "max_connections"), ("dirver", "driver")],
)
def test_an_unknown_key_is_told_the_nearest(key: str, near: str) -> None:
    with pytest.raises(InvalidAnswer, match=f"There is no answer called '{key}'(.|\n)*Did you mean {near}\\?"):
        evaluate({key: "x"})


def test_every_computed_value_is_refused_as_an_answer() -> None:
    everything = evaluate({})
    computed = set(everything.values) - set(questions.keys()) | set(everything.values["settings"])
    assert {"capacity", "catalog", "fits", "pool_size", "misfit", "statement_timeout_seconds"} <= computed
    for key in computed:
        with pytest.raises(InvalidAnswer, match=f"^{key} is computed and cannot be set"):
            evaluate({key: "9"})


def test_a_hidden_question_is_not_stored_but_its_answer_is_still_checked() -> None:
    assert "instances" not in evaluate({"database": "sqlite", "instances": 1}).answers
    with pytest.raises(InvalidAnswer, match="SQLite is a file of one machine"):
        evaluate({"database": "sqlite", "instances": 2})
    with pytest.raises(InvalidAnswer, match="Compose stops the old container"):
        evaluate({"deployment": "compose", "surge": 1})
    assert "surge" not in evaluate({"database": "sqlite", "deployment": "kubernetes", "surge": 0}).answers
    with pytest.raises(
        InvalidAnswer, match="surge is a whole number from 0 to 0, not 1: SQLite is a file of one machine"
    ):
        evaluate({"database": "sqlite", "deployment": "kubernetes", "surge": 1})
    with pytest.raises(InvalidAnswer, match="PgBouncer cannot be used with MySQL"):
        evaluate({"database": "mysql", "pooler": "pgbouncer"})
    with pytest.raises(InvalidAnswer, match="pooler_max_clients is a whole number from 10 to 100000, not 0"):
        evaluate({"pooler_max_clients": 0})
    with pytest.raises(InvalidAnswer, match="SQLite has no read replicas"):
        evaluate({"database": "sqlite", "read_replica": True})


def test_a_rollout_in_whole_percents_needs_a_surge() -> None:
    with pytest.raises(InvalidAnswer, match="surge is a whole number from 1 to 10000, not 0: a rollout adds tasks"):
        evaluate({"deployment": "ecs", "surge": 0})
    # 1 % of 250 is two tasks
    assert evaluate({"deployment": "ecs", "instances": 250}).answers["surge"] == 4
    with pytest.raises(InvalidAnswer, match="surge is a whole number from 4 to 10000, not 2"):
        evaluate({"deployment": "ecs", "instances": 250, "surge": 2})


def test_answers_that_are_not_given_follow_those_that_are() -> None:
    assert evaluate({"database": "mongodb"}).answers["driver"] == "pymongo"
    assert evaluate({"database": "sqlite"}).answers["driver"] == "aiosqlite"


def test_every_combination_is_valid_and_every_refusal_refuses_with_its_reason() -> None:
    for answers in combinations():
        assert answers.items() <= evaluate(answers).answers.items()
    for answers, reason in refused():
        with pytest.raises(InvalidAnswer) as caught:
            evaluate(answers)
        assert str(caught.value) == reason
        assert reason.endswith(".")
        assert "Use --" in reason


def test_every_answer_set_is_either_valid_or_refused_once() -> None:
    reasons = list(refused())
    keys = ("database", "style", "driver", "deployment")
    valid = {tuple(row[key] for key in keys) for row in combinations()}
    sets: list[dict[str, Any]] = [{}]
    for key in keys:
        sets = [row | {key: value} for row in sets for value in questions.possible(key)]
    assert len(sets) == 4 * 5 * 7 * 9
    for row in sets:
        covering = [answers for answers, _ in reasons if answers.items() <= row.items()]
        assert (tuple(row.values()) in valid) == (not covering)
    assert len({tuple(answers.items()) for answers, _ in reasons}) == len(reasons)


def test_this_version_offers_the_adapters_of_the_catalog_on_the_deployments_that_are_built() -> None:
    facts = evaluate({}).values["catalog"]
    built = [name for name, row in facts["deployments"].items() if row["built"]]
    refusals = [(row["match"].get("database"), row["match"].get("deployment")) for row in facts["refusals"]]
    expected = {
        (adapter["database"], adapter["style"], adapter["driver"], target)
        for adapter in facts["adapters"]
        for target in built
        if (adapter["database"], target) not in refusals
    }
    keys = ("database", "style", "driver", "deployment")
    assert {tuple(row[key] for key in keys) for row in combinations()} == expected


def test_every_option_is_offered_beside_every_layer_that_it_can_serve() -> None:
    options = {tuple(row[key] for key in ("database", "pooler", "read_replica", "cache")) for row in combinations()}
    poolers = {
        "postgresql": ("none", "pgbouncer", "rds-proxy", "managed"),
        "mysql": ("none", "rds-proxy"),
        "mongodb": ("none",),
        "sqlite": ("none",),
    }
    assert options == {
        (database, pooler, replica, cache)
        for database, offered in poolers.items()
        for pooler in offered
        for replica in ((False,) if database == "sqlite" else (False, True))
        for cache in ("none", "redis")
    }


def test_a_managed_pooler_is_refused_where_none_can_stand_in_front() -> None:
    for answers, reason in [
        ({"database": "mysql"}, "A managed pooler cannot be used with MySQL: that was never tried."),
        ({"database": "mysql", "deployment": "compose"}, "A managed pooler cannot be used with MySQL"),
        ({"database": "mongodb"}, "A managed pooler cannot be used with MongoDB"),
        ({"database": "sqlite"}, "A managed pooler cannot be used with SQLite"),
        ({"deployment": "compose"}, "A managed pooler cannot be used with Docker Compose: it runs the server itself"),
    ]:
        with pytest.raises(InvalidAnswer, match=reason):
            evaluate({**answers, "pooler": "managed"})
    told = {tuple(answers.items()) for answers, _ in refused() if answers.get("pooler") == "managed"}
    pooler = ("pooler", "managed")
    assert told == {
        *((("database", database), pooler) for database in ("mysql", "mongodb", "sqlite")),
        (("database", "postgresql"), ("deployment", "compose"), pooler),
    }


def test_a_question_that_is_asked_beside_some_answers_only_multiplies_no_combinations() -> None:
    assert not [row for row in combinations() if "pooler_mode" in row]
    managed = [row for row in combinations() if row["pooler"] == "managed"]
    assert len(managed) == len({tuple(row.items()) for row in managed})
    assert {evaluate(row).answers["pooler_mode"] for row in managed} == {"transaction"}


def test_the_answers_that_leave_one_choice_are_named_and_no_others() -> None:
    for key, answers, named in [
        ("pooler", {"database": "sqlite", "deployment": "kubernetes"}, ["database"]),
        ("pooler", {"database": "mysql", "deployment": "compose"}, ["database"]),
        ("pooler", {"deployment": "compose"}, ["database", "deployment"]),
        ("driver", {"database": "sqlite", "style": "raw"}, ["database"]),
        ("driver", {"database": "postgresql", "style": "databases"}, ["database", "style"]),
        ("cache", {}, []),
    ]:
        assert questions.deciding(key, evaluate(answers)) == named


def test_no_password_reaches_the_terminal() -> None:
    for url in ("postgresql://app:se:cr@et@host/db", "mysql://:secret@host", "mongodb+srv://a:secret@h/?x=1"):
        assert "secret" not in shown(url).replace("se:cr@et", "secret")
        assert "***@" in shown(url)
    assert "secret" not in shown("sqlite:///x?password=secret&y=1")
    with pytest.raises(InvalidAnswer) as caught:
        evaluate({"database": "postgresql://app:secret@host/db"})
    assert "secret" not in str(caught.value)


def test_control_characters_are_escaped() -> None:
    assert shown("a\x1b[31mb\u202e") == "a\\x1b[31mb\\u202e"


def test_the_repository_url_and_version_are_those_of_pyproject() -> None:
    import tomllib

    project = tomllib.loads((catalog.root() / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert catalog.distribution() == catalog.Distribution(project["version"], project["urls"]["Repository"])
