"""The answers: which are valid together, what follows from them, and every valid combination."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from poolwright import catalog
from poolwright.errors import InvalidAnswer, PlanDoesNotFit, quoted
from poolwright.questionnaire import Choice, Questionnaire, nearest

#: Rows by section of the catalog and name.
Facts = Mapping[str, Mapping[str, Mapping[str, Any]]]

_Pairs = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Evaluation:
    """The answers as a project stores them, every value (answers and computed ones), and what was given."""

    answers: dict[str, Any]
    values: dict[str, Any]
    given: dict[str, Any]

    @property
    def fits(self) -> bool:
        """Whether the server leaves every process the connections that it needs at least."""
        return bool(self.values["fits"])

    def require_fit(self) -> "Evaluation":
        """Itself; PlanDoesNotFit with the numbers and remedies where the plan does not fit."""
        if not self.fits:
            raise PlanDoesNotFit(self.values["misfit"])
        return self


def evaluate(given: Mapping[str, Any], facts: Facts | None = None) -> Evaluation:
    """All values for the answers given, with defaults for the others.

    Values may be text, as flags and `-d` give them: each is read as its question's type says. `facts`: what takes the
    place of the catalog's (a managed server's reserve). A plan that does not fit is no error here: see
    `Evaluation.require_fit`. Raises InvalidAnswer for an unknown or computed key and for a value of the wrong type,
    outside of the choices, or refused.
    """
    check_keys(given)
    return _evaluate(given, facts=facts)


def evaluate_stored(stored: Mapping[str, Any], template: Path) -> Evaluation:
    """All values for the answers that a project of a release stores, with that release's template.

    Answers that it asks for and that are not stored are its defaults. Raises InvalidAnswer as `evaluate` does.
    """
    questionnaire = _questionnaire(template)
    check_keys(stored, questionnaire)
    return _evaluate(stored, questionnaire=questionnaire)


def rendered(text: str, evaluation: Evaluation, template: Path) -> str:
    """A name of a template's files, or any other text of it, with the values of the answers."""
    return _questionnaire(template).rendered(text, evaluation.values)


def rendered_file(path: str, evaluation: Evaluation, template: Path, more: Mapping[str, Any]) -> str:
    """A file of a template, by its path relative to it, with the values of the answers and some more."""
    return _questionnaire(template).rendered_file(path, {**evaluation.values, **more})


def carry_over(
    stored: Mapping[str, Any], changes: Mapping[str, Any], template: Path
) -> tuple[Evaluation, dict[str, str]]:
    """What a project's answers and their changes are with another release's template, and what could not stay.

    A stored answer that this template does not ask for or refuses gives way to the default: the second value has the
    reasons of those refused, by key. Raises InvalidAnswer where a change itself is refused.
    """
    questionnaire = _questionnaire(template)
    check_keys(changes, questionnaire)
    kept = {key: value for key, value in stored.items() if key in questionnaire.keys and key not in changes}
    refused: dict[str, str] = {}
    while True:
        try:
            return _evaluate({**kept, **changes}, questionnaire=questionnaire), refused
        except InvalidAnswer as error:
            if error.key not in kept:
                raise
            del kept[error.key]
            refused[error.key] = str(error)


def check_keys(given: Mapping[str, Any], questionnaire: Questionnaire | None = None) -> None:
    """InvalidAnswer for a key that is no question: the nearest one is suggested, a computed one is named as such."""
    questionnaire = questionnaire or _questionnaire()
    keys = questionnaire.keys
    for key in given:
        if key in keys:
            continue
        if key in questionnaire.order or key in defaults().values["settings"]:
            raise InvalidAnswer(
                key,
                f"{key} is computed and cannot be set.\n"
                "Change workers, instances, surge, max_connections or reserve instead.",
            )
        near = nearest(str(key), keys)
        raise InvalidAnswer(
            str(key),
            f"There is no answer called {quoted(key)}: the answers are {', '.join(keys)}."
            + (f"\nDid you mean {near}?" if near else ""),
        )


@cache
def defaults() -> Evaluation:
    """What holds where nothing is given."""
    return _evaluate({})


def keys() -> list[str]:
    """The keys of all questions that can be asked, in order."""
    return _questionnaire().keys


def type_of(key: str) -> str:
    """The type of a question's answer: "str", "int" or "bool"."""
    return _questionnaire().type_of(key)


def help_text(key: str, evaluation: Evaluation) -> str:
    """What a question says to its user."""
    return _questionnaire().help_text(key, evaluation.values)


def default(key: str, given: Mapping[str, Any]) -> Any:
    """The default of a question beside the answers given."""
    return _questionnaire().default(key, _evaluate(given, until=key).values)


def choices(key: str, given: Mapping[str, Any]) -> list[Choice]:
    """Every choice of a question beside the answers given, in order; [] for free text and numbers."""
    if type_of(key) != "bool":
        return _questionnaire().choices(key, _evaluate(given, until=key).values)
    return [Choice(value, "yes" if value else "no", _refusal(given, key, value)) for value in (False, True)]


def possible(key: str) -> list[Any]:
    """Every value that a question lists, valid or not; [] for free text and numbers."""
    if type_of(key) == "bool":
        return [False, True]
    return [choice.value for choice in _questionnaire().choices(key, defaults().values)]


def unsettled(evaluation: Evaluation) -> list[str]:
    """The keys that were asked but not given, and that have more than one valid choice."""
    missing = [key for key in evaluation.answers if key not in evaluation.given]
    return [key for key in missing if len(_valid(key, evaluation.answers)) != 1]


def decided_by(key: str) -> list[str]:
    """The questions whose answers decide which choices of this one are valid, in order."""
    found = _questionnaire().decided_by(key)
    return [name for name in keys() if name in found]


def deciding(key: str, evaluation: Evaluation) -> list[str]:
    """Of the questions that decide which choices are valid, those whose answers matter beside the others' answers."""
    known = {name: evaluation.answers[name] for name in decided_by(key) if name in evaluation.answers}
    found = _values(_valid(key, known))
    return [name for name in known if any(_values(row) != found for row in _with_others(key, name, known))]


def combinations() -> Iterator[dict[str, Any]]:
    """Every valid answer set over the questions that are always asked and have choices, in copier.yml's order.

    Left out are those that have one valid choice whatever the others are. Where a question is asked beside some
    answers only, its default stands for them.
    """
    for answers in _grid()[0]:
        yield dict(answers)


def refused() -> Iterator[tuple[dict[str, Any], str]]:
    """Every refused combination, once and with no more answers than the refusal needs, and its reason."""
    for pairs, reason in _grid()[1].items():
        yield dict(pairs), reason


def _questionnaire(template: Path | None = None) -> Questionnaire:
    return _compiled(template or catalog.root())


@cache
def _compiled(template: Path) -> Questionnaire:
    return Questionnaire(template)


def _evaluate(
    given: Mapping[str, Any],
    until: str | None = None,
    facts: Facts | None = None,
    questionnaire: Questionnaire | None = None,
) -> Evaluation:
    """As `evaluate`, without a look at the keys; stops before the question `until`."""
    questionnaire = questionnaire or _questionnaire()
    values: dict[str, Any] = {}
    answers: dict[str, Any] = {}
    for key in questionnaire.order:
        if key == until:
            break
        if questionnaire.computed(key):
            values[key] = questionnaire.default(key, values)
            if key == "catalog" and facts:
                values[key] = _changed(values[key], facts)
            continue
        asked = questionnaire.asked(key, values)
        value = questionnaire.typed(key, given[key], values) if key in given else questionnaire.default(key, values)
        questionnaire.check_choice(key, value, values)
        values[key] = value
        if asked or key in given:  # copier validates an answer to a hidden question, too
            questionnaire.validate(key, values)
        if asked:
            answers[key] = value
    return Evaluation(answers, values, dict(given))


def _changed(known: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    changed = dict(known)
    for section, rows in facts.items():
        changed[section] = {name: {**row, **rows.get(name, {})} for name, row in known[section].items()}
    return changed


def _valid(key: str, given: Mapping[str, Any]) -> list[Choice]:
    return [choice for choice in choices(key, given) if not choice.refusal]


def _refusal(given: Mapping[str, Any], key: str, value: Any) -> str:
    try:
        _evaluate({**given, key: value})
    except InvalidAnswer as error:
        if error.key != key:
            raise
        return str(error)
    return ""


def _values(listed: list[Choice]) -> list[Any]:
    return [choice.value for choice in listed]


def _with_others(key: str, name: str, known: Mapping[str, Any]) -> Iterator[list[Choice]]:
    """The valid choices of a question with each other value of the answer `name` that goes with the rest."""
    for value in possible(name):
        with suppress(InvalidAnswer):
            yield _valid(key, {**known, name: value})


@cache
def _grid() -> tuple[list[dict[str, Any]], dict[_Pairs, str]]:
    rows: list[dict[str, Any]] = [{}]
    reasons: dict[_Pairs, str] = {}
    axes = [key for key in defaults().answers if possible(key)]
    for axis in axes:
        longer = []
        deciding = decided_by(axis)
        listed: dict[_Pairs, list[Choice]] = {}
        for row in rows:
            decisive = tuple((key, row[key]) for key in deciding if key in row)
            if decisive not in listed:
                listed[decisive] = choices(axis, dict(decisive))
            longer += [row | {axis: choice.value} for choice in listed[decisive] if not choice.refusal]
        rows = longer
        for decisive, found in listed.items():
            for choice in found:
                if choice.refusal:
                    reasons.setdefault((*_needed(decisive, choice, listed), (axis, choice.value)), choice.refusal)
    varied = [axis for axis in axes if len({row[axis] for row in rows}) > 1]
    return [{axis: row[axis] for axis in varied} for row in rows], reasons


def _needed(decisive: _Pairs, choice: Choice, listed: Mapping[_Pairs, list[Choice]]) -> _Pairs:
    """Of the answers beside which a choice is refused, those without which it would not be for this reason."""
    needed = decisive
    for pair in decisive:
        rest = tuple(other for other in needed if other != pair)
        alike = [choice in found for answers, found in listed.items() if set(rest) <= set(answers)]
        if len(alike) > 1 and all(alike):
            needed = rest
    return needed
