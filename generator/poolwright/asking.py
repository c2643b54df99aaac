"""The answers of a new project: those given, and those that a person gives or defaults."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from poolwright import questions
from poolwright.errors import MissingAnswers, PoolwrightError
from poolwright.flags import spelled
from poolwright.questions import Evaluation


def answered(given: Mapping[str, Any], directory: Path | None, *, ask: bool, yes: bool, force: bool) -> Evaluation:
    """The answers given, and those that a person gives or defaults; a directory's name suggests the project's."""
    questions.evaluate(given)
    suggested: dict[str, Any] = (
        {"project_name": os.path.basename(os.path.abspath(directory))} if directory is not None else {}
    )
    evaluation = questions.evaluate(given) if ask else questions.evaluate({**suggested, **given})
    missing = questions.unsettled(evaluation)
    if yes or not missing:
        return evaluation
    if not ask:
        listed = ", ".join(map(spelled, missing))
        raise MissingAnswers(
            missing,
            f"Answers are missing, and there is no terminal to ask on: {listed}.\n"
            "Give them, or take the defaults with --yes.",
        )
    from poolwright import render, wizard

    def name_fault(name: str) -> str:
        """Why the project cannot lie in a directory of its name, where that is where it goes."""
        try:
            render.check_target(directory or Path(name), force=force)
        except PoolwrightError as error:
            return str(error)
        return ""

    return wizard.ask(given, suggested, name_fault)


def on_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
