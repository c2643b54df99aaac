"""copier.yml with its templates compiled, rendered as copier renders them but without importing it."""

import difflib
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import jinja2
import yaml
from jinja2 import meta
from jinja2.sandbox import SandboxedEnvironment

from poolwright import catalog
from poolwright.errors import InvalidAnswer, quoted

_TRUE = {"true", "yes", "on", "y", "t", "1"}
_FALSE = {"false", "no", "off", "n", "f", "0"}
_MISFIT = "The plan does not fit: "  # what copier.yml says begins with it
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")


@dataclass(frozen=True)
class Choice:
    """One choice of a question.

    refusal: why it is not valid with the answers before it, or "". note: what distinguishes it, or "".
    """

    value: Any
    label: str
    refusal: str = ""
    note: str = ""


class Questionnaire:
    """The questions and computed values of a template's copier.yml.

    template: the folder that holds it. `values` are always those that come before the key.
    """

    def __init__(self, template: Path) -> None:
        settings, self._questions = catalog.configuration(template)
        options = dict(settings["envops"])
        options["undefined"] = getattr(jinja2, options["undefined"].removeprefix("jinja2."))
        loader = jinja2.FileSystemLoader(template)
        self._environment = SandboxedEnvironment(loader=loader, auto_reload=False, cache_size=-1, **options)
        self._environment.filters |= _FILTERS
        self._compiled: dict[str, jinja2.Template] = {}

    @cached_property
    def order(self) -> list[str]:
        """The keys of all questions and computed values."""
        return list(self._questions)

    @cached_property
    def keys(self) -> list[str]:
        """The keys of the questions that can be asked."""
        return [key for key in self._questions if not self.computed(key)]

    def computed(self, key: str) -> bool:
        """Whether the key is a computed value, never asked."""
        return self._questions[key].get("when") is False

    def type_of(self, key: str) -> str:
        """The type of the question's answer: "str", "int", "bool" or, for computed values only, "yaml"."""
        return str(self._questions[key]["type"])

    def asked(self, key: str, values: Mapping[str, Any]) -> bool:
        """Whether the question is asked after the answers before it."""
        return _to_bool(self._render(self._questions[key].get("when", True), values))

    def help_text(self, key: str, values: Mapping[str, Any]) -> str:
        """What the question says to its user."""
        return str(self._render(self._questions[key]["help"], values))

    def default(self, key: str, values: Mapping[str, Any]) -> Any:
        """The default of a question, or a computed value."""
        value = self._render(self._questions[key]["default"], values)
        return _CASTS[self.type_of(key)](value)

    def choices(self, key: str, values: Mapping[str, Any]) -> list[Choice]:
        """Every choice of the question, valid or refused; [] for free text and numbers."""
        listed = self._questions[key].get("choices", [])
        if isinstance(listed, str):
            listed = _parsed(self._render(listed, values))
        return [Choice(row["value"], label, row["validator"], row.get("note", "")) for label, row in listed]

    def typed(self, key: str, value: Any, values: Mapping[str, Any]) -> Any:
        """A user's value, text perhaps, as the question's type; InvalidAnswer where it is none."""
        kind = self.type_of(key)
        if kind == "int":
            if isinstance(value, int) and not isinstance(value, bool):
                return value
            if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value.strip()):
                return int(value)
            example = self.default(key, values)
            raise InvalidAnswer(key, f"{key} is a whole number, not {quoted(value)}: {example}, for example.")
        if kind == "bool":
            word = str(value).strip().lower()
            if word in _TRUE | _FALSE:
                return word in _TRUE
            raise InvalidAnswer(key, f"{key} is true or false, not {quoted(value)}.")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise InvalidAnswer(key, f"{key} is a word, not {quoted(value)}.")
        return str(value)

    def check_choice(self, key: str, value: Any, values: Mapping[str, Any]) -> None:
        """InvalidAnswer with the reason where the value is refused, or with the valid ones where it is unknown."""
        listed = self.choices(key, values)
        refusals = {choice.value: choice.refusal for choice in listed}
        if not listed or refusals.get(value) == "":
            return
        if value in refusals:
            raise InvalidAnswer(key, refusals[value])
        valid = ", ".join(choice.value for choice in listed if not choice.refusal)
        near = nearest(value, refusals)
        hint = "" if near is None else refusals[near] or f"Did you mean {near}?"
        raise InvalidAnswer(key, f"{key} cannot be {quoted(value)}: it is one of {valid}.\n{hint}".rstrip())

    def validate(self, key: str, values: Mapping[str, Any]) -> None:
        """InvalidAnswer where the question's validator finds fault with the values, which include its own.

        A plan that does not fit is no fault of an answer: it is a result, which `fits` and `misfit` tell.
        """
        fault = self._render(self._questions[key].get("validator", ""), values).strip()
        if fault and not fault.startswith(_MISFIT):
            raise InvalidAnswer(key, fault)

    def rendered(self, text: str, values: Mapping[str, Any]) -> str:
        """A text of the template's files, or a name of one, with the values filled in."""
        return str(self._render(text, values))

    def rendered_file(self, path: str, values: Mapping[str, Any]) -> str:
        """A file of the template, by its path relative to it, with the values filled in."""
        return self._environment.get_template(path).render(values)

    def decided_by(self, key: str) -> set[str]:
        """The questions and values that the choices and the validator of a question read, also through values."""
        question = self._questions[key]
        if self.computed(key):
            parts = [question["default"]]
        else:
            parts = [question.get("choices"), question.get("validator") if question["type"] == "bool" else None]
        found: set[str] = set()
        for part in parts:
            if isinstance(part, str):
                found |= meta.find_undeclared_variables(self._environment.parse(part))
        deeper = [self.decided_by(name) for name in found & set(self._questions) if self.computed(name)]
        return found.union(*deeper) - {key}

    def _render(self, text: Any, values: Mapping[str, Any]) -> Any:
        if not isinstance(text, str):
            return text
        if text not in self._compiled:
            self._compiled[text] = self._environment.from_string(text)
        return self._compiled[text].render(values)


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The word most like the given one, or None where none is much like it."""
    return next(iter(near(word, words, 1)), None)


def near(word: str, words: Iterable[str], most: int) -> list[str]:
    """At most `most` words that are much like the given one, the nearest first."""
    by_lower = {candidate.lower(): candidate for candidate in words}
    return [by_lower[found] for found in difflib.get_close_matches(word.lower(), by_lower, n=most, cutoff=0.5)]


@lru_cache(maxsize=4096)
def _parsed(value: Any) -> Any:
    return catalog.parse_yaml(value) if isinstance(value, str) else value


def _to_bool(value: Any) -> bool:
    """As copier reads a boolean: a number, one of YAML's words, or whether there is anything."""
    try:
        return bool(float(value))
    except (TypeError, ValueError):
        pass
    word = str(value).strip().lower()
    return word in _TRUE or word not in _FALSE | {"", "~", "null", "none"}


def _to_nice_yaml(value: Any, indent: int) -> str:
    return str(yaml.dump(value, indent=indent, allow_unicode=True, default_flow_style=False))


#: Those of copier's, beyond jinja's own, that the template uses.
_FILTERS: dict[str, Callable[..., Any]] = {"basename": posixpath.basename, "to_nice_yaml": _to_nice_yaml}
_CASTS: dict[str, Callable[[Any], Any]] = {"bool": _to_bool, "int": int, "str": str, "yaml": _parsed}
