"""The questions that are not answered yet, in copier.yml's order, with the plan beside them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from poolwright import interrupts, questions
from poolwright.bar import bar_lines
from poolwright.errors import InvalidAnswer
from poolwright.prompts import BACK, Lines, Screen
from poolwright.questionnaire import Choice
from poolwright.questions import Evaluation

_MOST_COLUMNS = 100


@dataclass
class _Step:
    """A question that has its answer: the rows it takes on the screen, and whether it was asked."""

    key: str
    rows: int
    asked: bool


class _Wizard:
    def __init__(self, given: Mapping[str, Any], suggested: Mapping[str, Any], fault: Callable[[str], str]) -> None:
        self._given = dict(given)
        self._remembered = dict(suggested)
        self._name_fault = fault
        self._answers: dict[str, Any] = {}
        self._steps: list[_Step] = []
        self._screen = Screen()

    def run(self) -> Evaluation:
        """The evaluation of all answers, once they are confirmed."""
        while True:
            evaluation = self._evaluation()
            done = {step.key for step in self._steps}
            left = [key for key in evaluation.answers if key not in done]
            if left:
                self._answer(left[0], evaluation)
            elif self._confirmed(evaluation):
                return evaluation

    def _evaluation(self, **more: Any) -> Evaluation:
        return questions.evaluate(self._given | self._answers | more)

    def _answer(self, key: str, evaluation: Evaluation) -> None:
        """Settle, or ask, the next question; or go back to the one before."""
        listed = questions.choices(key, self._given | self._answers)
        valid = [choice for choice in listed if not choice.refusal]
        if key in self._given:
            self._settle(key, evaluation.answers[key], listed, "as given")
        elif listed and len(valid) == 1:
            self._settle(key, valid[0].value, listed, self._only_reason(key, listed, evaluation))
        else:
            answer = self._ask(key, listed, evaluation)
            if answer is BACK:
                self._go_back()
                return
            self._answers[key] = self._remembered[key] = answer
            rows = self._screen.show(f"{self._label(key, evaluation)}: {_name(answer, listed)}")
            now = self._evaluation()
            counts = questions.type_of(key) == "int"
            if counts and not self._screen.shows_notes:
                rows += self._screen.draw(bar_lines(now, min(self._screen.width, _MOST_COLUMNS)))
            if counts and not now.fits:
                rows += self._screen.show(now.values["misfit"] + "\nEsc goes back.", "    ")
            self._steps.append(_Step(key, rows, asked=True))

    def _settle(self, key: str, value: Any, listed: list[Choice], reason: str) -> None:
        rows = self._screen.show(f"{self._label(key, self._evaluation())}: {_name(value, listed)} ({reason})")
        self._steps.append(_Step(key, rows, asked=False))

    def _ask(self, key: str, listed: list[Choice], evaluation: Evaluation) -> Any:
        label = self._label(key, evaluation)
        kept = self._remembered.get(key)
        if listed:
            valid = [choice.value for choice in listed if not choice.refusal]
            return self._screen.choose(label, listed, kept if kept in valid else evaluation.answers[key])
        default = kept if kept is not None and not self._fault(key, kept) else evaluation.answers[key]

        def note(text: str) -> Lines:
            if questions.type_of(key) != "int":
                return []
            now = self._evaluation(**{key: text})
            lines = bar_lines(now, self._screen.width - 1)
            return lines if now.fits else [*lines, [("", "The plan does not fit.")]]

        return self._screen.write(label, default, lambda text: self._fault(key, text), note)

    def _fault(self, key: str, text: Any) -> str:
        try:
            self._evaluation(**{key: text})
        except InvalidAnswer as error:
            return str(error)
        return self._name_fault(str(text)) if key == "project_name" else ""

    def _go_back(self, key: str | None = None) -> None:
        """To the question asked last, or to the one named; answers given since are kept as defaults."""
        if not any(step.asked for step in self._steps):
            return
        while self._steps:
            step = self._steps.pop()
            self._screen.take_back(step.rows)
            self._answers.pop(step.key, None)
            if step.asked and key in (None, step.key):
                return

    def _only_reason(self, key: str, listed: list[Choice], evaluation: Evaluation) -> str:
        deciding = questions.deciding(key, evaluation)
        if not deciding:
            return " ".join(["the only choice:", *(choice.refusal for choice in listed if choice.refusal)])
        named = [_name(evaluation.answers[name], questions.choices(name, evaluation.given)) for name in deciding]
        return f"the only choice with {' and '.join(named)}"

    def _confirmed(self, evaluation: Evaluation) -> bool:
        """Whether the answers are final; else the wizard goes on, one or more questions before."""
        rows = self._screen.show("") + self._screen.draw(bar_lines(evaluation, min(self._screen.width, _MOST_COLUMNS)))
        asked = [step.key for step in self._steps if step.asked]
        if evaluation.fits:
            options = [Choice("make", "Make the project"), Choice("back", "Go back one question")]
            message = "Everything as you want it?"
        else:
            rows += self._screen.show(evaluation.values["misfit"])
            numbers = [key for key in asked if questions.type_of(key) == "int"]
            if not numbers:
                evaluation.require_fit()
            options = [Choice(key, f"Change {key.replace('_', ' ')}") for key in numbers]
            message = "What will you change?"
        chosen = self._screen.choose(message, [*options, Choice("stop", "Stop, write nothing")], options[0].value)
        if chosen == "stop":
            interrupts.stop()
        if chosen == "make":
            return True
        if asked:
            self._screen.take_back(rows)
            self._go_back(chosen if chosen in asked else None)
        return False

    def _label(self, key: str, evaluation: Evaluation) -> str:
        return questions.help_text(key, evaluation)


def ask(given: Mapping[str, Any], suggested: Mapping[str, Any], fault: Callable[[str], str]) -> Evaluation:
    """Ask on the terminal what `given` does not answer; all answers, confirmed, with a plan that fits.

    suggested: defaults to offer instead of copier.yml's. fault: why a project's name cannot be used here, or "".
    Ctrl-C ends the process.
    """
    return _Wizard(given, suggested, fault).run()


def _name(value: Any, listed: list[Choice]) -> str:
    return next((choice.label for choice in listed if choice.value == value), str(value))
