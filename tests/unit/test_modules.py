"""Imports run one way, and a heavy library is imported in one module only."""

import ast
from pathlib import Path

import poolwright
from poolwright.questions import defaults

PACKAGE = Path(poolwright.__file__).parent

#: A module imports only modules of the rows below its own.
LAYERS = [
    ["__main__"],
    ["cli"],
    ["asking", "planning", "update_command"],
    ["matrix", "wizard", "check_command", "update_report"],
    ["update"],
    ["stored", "working_copy"],
    ["render", "report", "prompts", "check"],
    ["rendered"],
    ["next_steps", "bar", "svg", "releases", "load", "circumstances", "inspection", "committed"],
    ["comparisons", "git", "flags", "moving"],
    ["plan", "load_advice", "managed"],
    ["load_model", "figures"],
    ["queueing"],
    ["questions"],
    ["questionnaire"],
    ["catalog", "children", "stages"],
    ["errors", "interrupts", "imports", "quick_copier", "tied"],
]

ONE_MODULE_ONLY = {"copier": "quick_copier", "questionary": "prompts", "rich": "report", "prompt_toolkit": "prompts"}


def imported(module: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return names


def modules() -> dict[str, Path]:
    return {path.stem: path for path in PACKAGE.glob("*.py") if path.stem != "__init__"}


def test_every_module_has_its_layer() -> None:
    assert sorted(modules()) == sorted(name for layer in LAYERS for name in layer)


def test_imports_run_one_way() -> None:
    rank = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    for name, path in modules().items():
        own = {found.split(".")[1] for found in imported(path) if found.startswith("poolwright.")} & set(rank)
        wrong = [other for other in own if rank[other] <= rank[name]]
        assert not wrong, f"{name} imports {wrong}"


def test_heavy_libraries_are_imported_in_one_module() -> None:
    for library, home in ONE_MODULE_ONLY.items():
        users = [
            name for name, path in modules().items() if any(found.split(".")[0] == library for found in imported(path))
        ]
        assert users == [home], library


def test_the_probe_needs_nothing_of_ours_and_knows_every_database() -> None:
    probe = {path.stem: path for path in (PACKAGE / "probe").glob("*.py")}
    for path in probe.values():
        assert not [found for found in imported(path) if found.split(".")[0] == "poolwright"]
    databases = defaults().values["catalog"]["databases"]
    assert {f"{facts['url'].partition('://')[0]}_facts" for facts in databases.values()} <= set(probe)


def test_modules_stay_short() -> None:
    long = {name for name, path in modules().items() if len(path.read_text(encoding="utf-8").splitlines()) >= 300}
    assert not long


def test_python_holds_no_rule_about_a_single_database() -> None:
    words = {"postgresql", "mysql", "mongodb", "sqlite", "asyncpg", "pymongo", "kubernetes", "lambda"}
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            compared = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
            constants = {part.value for part in compared if isinstance(part, ast.Constant)}
            assert not constants & words, f"{name} compares with {constants & words}"
