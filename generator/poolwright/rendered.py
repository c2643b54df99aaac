"""What a template's files become with answers, and what the files of a project were rendered from.

Somebody may have changed the answers file by hand: then the numbers in the files are those of the answers before.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import NamedTuple

from poolwright.catalog import CACHES
from poolwright.flags import ANSWERS_FILE
from poolwright.questions import Evaluation, rendered, rendered_file

PLAN_FILE = "app/plan.py"
#: Files of every project that hold most of what follows from the answers.
TELLING = (PLAN_FILE, "README.md", "pyproject.toml", ".env.example")
#: copier.yml's _subdirectory and _templates_suffix.
FOLDER, SUFFIX = "template", ".jinja"
_ASSIGNED = re.compile(r"(?P<name>[A-Z][A-Z0-9_]*) = (?P<value>.+)")
_TOLD = re.compile(r"# (?P<name>[a-z_]+): (?P<value>.+)")


class Difference(NamedTuple):
    """A number of the plan as a file of the project has it ("-" where it has none), and as the answers give it."""

    name: str
    found: str
    answered: str

    def __str__(self) -> str:
        return f"{self.name}: {self.found}, by the answers {self.answered}"


def differences(text: str | None, evaluation: Evaluation, template: Path) -> list[Difference]:
    """The numbers of a project's app/plan.py, given as its text, that its answers do not give with its template."""
    answered = _numbers(_rendered(PLAN_FILE, evaluation, template) or "")
    found = _numbers(text or "")
    return [
        Difference(name, found.get(name, "-"), value) for name, value in answered.items() if found.get(name) != value
    ]


def corrected(text: str, evaluation: Evaluation, template: Path) -> str:
    """A project's app/plan.py with the numbers of its answers, and all else as it is."""
    answered = (_rendered(PLAN_FILE, evaluation, template) or "").splitlines()
    wanted = {name: index for index, name in _named(answered)}
    lines = text.splitlines()
    for index, name in _named(lines):
        if name not in wanted:
            continue
        # The reason of a setting stands above it, that of another number below.
        for beside in (0, -1 if name.isupper() else 1):
            at, there = index + beside, wanted[name] + beside
            if 0 <= at < len(lines) and (beside == 0 or lines[at].startswith("# ")):
                lines[at] = answered[there]
    return "".join(f"{line}\n" for line in lines)


def best(
    candidates: Iterable[Evaluation], stored: Evaluation, template: Path, files: Mapping[str, str | None]
) -> Evaluation:
    """Which evaluation the files of a project, given as their texts, were rendered from: the stored one, or another.

    A candidate is better where the files have more of the lines that it alone gives than of those that only the stored
    one gives; an owner's own lines are in neither.
    """
    found, most = stored, 0
    present = {name: set(text.splitlines()) for name, text in files.items() if text is not None}
    now = {name: set((_rendered(name, stored, template) or "").splitlines()) for name in present}
    for candidate in candidates:
        score = 0
        for name, lines in present.items():
            then = set((_rendered(name, candidate, template) or "").splitlines())
            score += len((then - now[name]) & lines) - len((now[name] - then) & lines)
        if score > most:
            found, most = candidate, score
    return found


def files(evaluation: Evaluation, template: Path) -> Iterator[tuple[Path, str]]:
    """The files that a template renders for the answers: each source, and what it becomes, relative to the project."""
    root = template / FOLDER

    @cache
    def name_of(part: str) -> str:
        return ANSWERS_FILE if "_copier_conf" in part else rendered(part, evaluation, template)

    for source in _sources(root):
        names = [name_of(part) for part in source.relative_to(root).parts]
        if all(name.removesuffix(SUFFIX) for name in names):
            yield source, "/".join(names).removesuffix(SUFFIX)


def content(source: Path, evaluation: Evaluation, template: Path, recorded: Mapping[str, str]) -> bytes:
    """What a source of `files` becomes; `recorded`: what the answers file says of the template."""
    if source.suffix != SUFFIX:
        return source.read_bytes()
    more = {"_copier_answers": evaluation.answers, "_origin": recorded}
    return rendered_file(source.relative_to(template).as_posix(), evaluation, template, more).encode()


def _sources(root: Path) -> list[Path]:
    found = (path for path in root.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(path for path in found if not any(map(_is_cache, path.relative_to(root).parts)))


def _is_cache(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in CACHES)


def _rendered(path: str, evaluation: Evaluation, template: Path) -> str | None:
    """The text of a file whose name the answers do not change; None where the template has none such."""
    file = template / FOLDER / path
    for source in (file, file.with_name(file.name + SUFFIX)):
        if source.is_file():
            return content(source, evaluation, template, {}).decode()
    return None


def _numbers(text: str) -> dict[str, str]:
    lines = text.splitlines()
    return {name: re.split(r"[:=] ", lines[index], maxsplit=1)[1] for index, name in _named(lines)}


def _named(lines: list[str]) -> Iterator[tuple[int, str]]:
    """The lines that give a number of the plan, by index, and its name."""
    for index, line in enumerate(lines):
        if match := _ASSIGNED.fullmatch(line) or _TOLD.fullmatch(line):
            yield index, match["name"]
