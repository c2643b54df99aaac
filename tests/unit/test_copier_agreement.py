"""copier reads copier.yml as this package does: the same answers, computed values and reasons, over the whole grid."""

import itertools
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import copier._main
import copier._user_data
import pytest
from copier._settings import SettingsModel
from copier._types import Phase

from poolwright import catalog, questions
from poolwright.errors import InvalidAnswer

CopierAsks = Callable[[Mapping[str, Any]], "tuple[dict[str, Any], dict[str, Any]] | str"]

COUNTS: list[dict[str, Any]] = [
    {},
    {"workers": "16", "instances": 3, "max_connections": "414", "reserve": 0},
    {"workers": 1, "surge": 0},
    {"workers": 512},
    {"max_connections": 1},
    {"max_connections": 29, "reserve": 10},
    {"workers": 0},
    {"workers": 513},
    {"surge": 1},
    {"instances": 2},
    {"reserve": -2},
    {"max_connections": 1000001},
]

OTHERS: list[dict[str, Any]] = [
    *({"project_name": name} for name in ("shop", "class", "", "a/b", "{{7*7}}", "con", "x" * 300, "Fastapi", "a--b")),
    *({"pooler": name} for name in ("none", "pgbouncer", "rds-proxy", "managed")),
    *({"pooler": "managed", "deployment": name} for name in ("compose", "kubernetes")),
    *({"pooler": "managed", "pooler_mode": "session", "pooler_pool_size": size} for size in ("10", 40, 0, 5000)),
    *({"pooler": "managed", "pooler_max_clients": clients, "reserve": 195} for clients in (9, 200, 500)),
    {"pooler": "none", "pooler_mode": "session", "pooler_max_clients": 50, "pooler_pool_size": 50},
    {"pooler": "none", "pooler_pool_size": 0},
    *({"pooler": pooler, "database": name} for pooler in ("pgbouncer", "managed") for name in ("mongodb", "sqlite")),
    *({"read_replica": yes, "database": name} for yes in (True, False) for name in ("postgresql", "sqlite")),
    *({"cache": name} for name in ("none", "redis")),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A template with the questions of this one and no files."""
    source = tmp_path_factory.mktemp("template")
    for name in ("copier.yml", "generator/poolwright/catalog.yml", "generator/poolwright/rules.jinja"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(catalog.root() / name, source / name)
    (source / "template").mkdir()
    return source


@pytest.fixture(scope="module")
def ask_copier(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CopierAsks]:
    """What copier stores and computes for answers given as `--data`, or the words of its refusal.

    copier reads copier.yml, compiles its templates and parses YAML anew for each project; here all that is kept.
    """
    target = tmp_path_factory.mktemp("project")

    def worker(given: Mapping[str, Any]) -> copier._main.Worker:
        return copier._main.Worker(
            src_path=str(source), dst_path=target, data=dict(given), defaults=True, quiet=True, settings=SettingsModel()
        )

    first = worker({})
    environment = first.jinja_env
    parse = cache(copier._user_data.parse_yaml_string)

    def parse_once(value: Any) -> Any:
        return parse(value) if isinstance(value, str) else copier._user_data.parse_yaml_string(value)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(environment, "from_string", cache(environment.from_string))
        patch.setitem(copier._user_data.CAST_STR_TO_NATIVE, "yaml", parse_once)
        patch.setattr(copier._user_data, "parse_yaml_string", parse_once)

        def ask(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | str:
            with worker(given) as asked:
                asked.__dict__.update(jinja_env=environment, template=first.template)
                with Phase.use(Phase.PROMPT):
                    try:
                        asked._ask()
                    except ValueError as error:
                        return str(error)
                stored = {key: value for key, value in asked._answers_to_remember().items() if key[0] != "_"}
                return stored, dict(asked.answers.combined)

        yield ask


def agree(ask_copier: CopierAsks, given: Mapping[str, Any]) -> str:
    """Check that both say the same for the answers; which of "stored", "misfit" and "refused" it was."""
    theirs = ask_copier(given)
    ours = evaluated(given)
    if isinstance(ours, InvalidAnswer):
        assert theirs in (
            f"Validation error for question '{ours.key}': {ours}",
            f"Invalid choice for '{ours.key}': {ours}",
        )
        return "refused"
    if not ours.fits:
        assert theirs == f"Validation error for question 'cache': {ours.values['misfit']}"
        return "misfit"
    assert not isinstance(theirs, str), f"{given}: {theirs}"
    stored, values = theirs
    assert exact(stored) == exact({key: ours.answers[key] for key in stored})
    assert set(stored) == set(ours.answers)
    for key in catalog.configuration(catalog.root())[1]:
        assert exact(values[key]) == exact(ours.values[key]), key
    return "stored"


def evaluated(given: Mapping[str, Any]) -> questions.Evaluation | InvalidAnswer:
    try:
        return questions.evaluate(given)
    except InvalidAnswer as error:
        return error


def exact(value: Any) -> str:
    """The value as text that tells 1 from True and from "1"."""
    return json.dumps(value, sort_keys=True)


def layers() -> list[dict[str, Any]]:
    """Each valid (database, style, driver, deployment) once."""
    keys = ("database", "style", "driver", "deployment")
    return [
        dict(pairs) for pairs in dict.fromkeys(tuple((k, row[k]) for k in keys) for row in questions.combinations())
    ]


def test_copier_agrees_on_options_and_counts(ask_copier: CopierAsks) -> None:
    keys = ("database", "deployment", "pooler", "read_replica", "cache")
    options = dict.fromkeys(tuple((k, row[k]) for k in keys) for row in questions.combinations())
    counts: list[dict[str, Any]] = [{}, {"max_connections": 12}, {"workers": 512}, {"reserve": 999}]
    seen = {agree(ask_copier, dict(pairs) | count) for pairs in options for count in counts}
    assert seen == {"stored", "misfit", "refused"}  # refused: workers on AWS Lambda


def test_copier_agrees_on_every_combination(ask_copier: CopierAsks) -> None:
    keys = ("database", "style", "driver", "deployment")
    seen = [
        agree(ask_copier, dict(zip(keys, row, strict=True)))
        for row in itertools.product(*map(questions.possible, keys))
    ]
    assert len(seen) == 4 * 5 * 7 * 9
    assert seen.count("stored") == len(layers())
    assert seen.count("refused") == len(seen) - seen.count("stored")


def test_copier_agrees_on_counts_beside_valid_combinations(ask_copier: CopierAsks, pytestconfig: pytest.Config) -> None:
    """One layer of each database and deployment with all of them, and each other layer with some, in turn."""
    seen, had = set(), set()
    for number, answers in enumerate(layers()):
        kind = answers["database"], answers["deployment"]
        whole = pytestconfig.getoption("--all-combinations") or kind not in had
        had.add(kind)
        for counts in COUNTS if whole else COUNTS[number % len(COUNTS) :: 6]:
            seen.add(agree(ask_copier, answers | counts))
    assert seen == {"stored", "misfit", "refused"}


@pytest.mark.parametrize(
    "given", OTHERS, ids=lambda given: "-".join(f"{key}={value}"[:20] for key, value in given.items())
)
def test_copier_agrees_on_names_and_options(ask_copier: CopierAsks, given: dict[str, Any]) -> None:
    agree(ask_copier, given)


def test_plain_copier_prints_the_words_of_a_refusal(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"SQLAlchemy cannot be used with MongoDB: .* or --style beanie\."):
        copier.run_copy(
            str(source),
            tmp_path / "project",
            {"database": "mongodb", "style": "sqlalchemy"},
            defaults=True,
            quiet=True,
            settings=copier.Settings(),
        )
    assert not (tmp_path / "project").exists()
