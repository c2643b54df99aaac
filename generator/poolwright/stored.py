"""The answers that a generated project stores: whole and valid, or refused with the answer's name."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from poolwright import catalog, releases
from poolwright.errors import InvalidAnswer, MissingAnswers, PoolwrightError
from poolwright.flags import ANSWERS_FILE, answers_file, answers_in, document_in, read_document
from poolwright.git import git
from poolwright.questions import Evaluation, evaluate_stored
from poolwright.rendered import PLAN_FILE, TELLING, Difference, best, differences
from poolwright.stages import temporary

_MOST_COMMITS = 50  # of the answers file, looked through for the answers that were rendered


@dataclass(frozen=True)
class Stored:
    """A project's answers, and what it says of the template that it was made from: a URL, and a release's tag.

    Both are "" where the file has none.
    """

    directory: Path
    answers: dict[str, Any]
    source: str
    commit: str

    @property
    def released(self) -> bool:
        """Whether the project is of a release that this tool has."""
        return releases.is_ours(self.source) and self.commit in releases.tags()


def read(directory: Path) -> Stored:
    """What the project in a directory stores; UsageError where there is none."""
    document = read_document(answers_file(directory))
    source, commit = (document.get(key) for key in ("_src_path", "_commit"))
    texts = [value if isinstance(value, str) else "" for value in (source, commit)]
    return Stored(directory, answers_in(document), *texts)


def evaluated(stored: Stored, template: Path) -> Evaluation:
    """What the answers are with the template that they were given to.

    Raises InvalidAnswer and MissingAnswers, which name the answer and its file, where that template asks for another.
    """
    path = stored.directory / ANSWERS_FILE
    try:
        found = evaluate_stored(stored.answers, template)
    except InvalidAnswer as error:
        raise InvalidAnswer(error.key, f"{path}: {error}\nCopier writes this file: take the change back.") from error
    _require(stored.directory, found.answers, stored.answers)
    return found


def rendered_from(stored: Stored, found: Evaluation, template: Path) -> Evaluation:
    """What the project's files were rendered from: `found`, its answers of now, or answers that its history has."""
    files = {path: text(stored.directory / path) for path in TELLING}
    return best(_earlier(stored, found, template), found, template, files)


def differing(stored: Stored) -> list[Difference]:
    """The numbers of the project's app/plan.py that its answers do not give."""
    written = text(stored.directory / PLAN_FILE)
    template = catalog.root()
    found = differences(written, evaluate_stored(stored.answers, template), template)
    if not found or not stored.released:
        return found
    with temporary() as folder:
        template = releases.unpack(stored.commit, folder / "template")
        return differences(written, evaluate_stored(stored.answers, template), template)


def text(path: Path) -> str | None:
    """The text of a file; None where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def _earlier(stored: Stored, found: Evaluation, template: Path) -> Iterator[Evaluation]:
    """What the answers were at earlier commits of the same release, the newest first."""
    seen = [found.answers]
    for commit in git(stored.directory, "rev-list", f"-{_MOST_COMMITS}", "HEAD", "--", ANSWERS_FILE).split():
        with suppress(PoolwrightError):  # deleted there, or none that was ever rendered
            written = git(stored.directory, "show", f"{commit}:./{ANSWERS_FILE}")
            document = document_in(written, stored.directory / ANSWERS_FILE)
            if document.get("_commit") == stored.commit:
                earlier = evaluated(replace(stored, answers=answers_in(document)), template)
                if earlier.answers not in seen:
                    seen.append(earlier.answers)
                    yield earlier


def require_whole(stored: Stored, given: Mapping[str, Any], found: Evaluation) -> None:
    """MissingAnswers where an answer is neither stored nor given; `found`: what they are with this tool's template.

    A question that came with a release after the project's is none that is missing.
    """
    asked = found.answers
    if not asked.keys() <= stored.answers.keys() | given.keys() and stored.released:
        with temporary() as folder:
            asked = evaluate_stored(stored.answers, releases.unpack(stored.commit, folder / "template")).answers
    _require(stored.directory, asked, {**stored.answers, **given})


def _require(directory: Path, asked: Iterable[str], known: Mapping[str, Any]) -> None:
    if missing := [key for key in asked if key not in known]:
        raise MissingAnswers(
            missing,
            f"{directory / ANSWERS_FILE} has lost its answer to {', '.join(missing)}: with another one it would be"
            f" another project.\nTake the change back: git log --patch -- {ANSWERS_FILE} shows it.",
        )
