"""The plan of the command line: for the answers, on a managed server, under a load."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from poolwright import managed, questions
from poolwright.errors import UsageError
from poolwright.load import assess, demand
from poolwright.load_model import Demand
from poolwright.plan import SCHEMA_VERSION
from poolwright.questions import Evaluation
from poolwright.rendered import Difference
from poolwright.stored import Stored, read, require_whole
from poolwright.stored import differing as numbers_differing

__all__ = ["compute", "demand", "differing", "on_server", "read", "show_servers"]


def compute(
    stored: Mapping[str, Any],
    given: Mapping[str, Any],
    changes: Mapping[str, Any],
    server: str | None,
    load: Demand | None,
) -> tuple[Evaluation, Evaluation | None]:
    """The plan, and the one with `changes` where there are any.

    stored: a project's answers, which those given change. server: a managed server's name: its limit replaces the
    project's, and its reserve the database's. Raises UsageError, InvalidAnswer.
    """
    answers = {**stored, **given}
    found = None if server is None else managed.find(server)
    if found is not None:
        database = {key: stored[key] for key in ("database",) if key in stored}
        managed.check(found, {**database, **given, **changes})
        answers |= found.answers(given)

    def evaluate(answers: Mapping[str, Any], told: Mapping[str, Any]) -> Evaluation:
        facts = {} if found is None else found.facts(told)
        evaluation = questions.evaluate(answers, facts)
        if found is not None:
            evaluation = replace(evaluation, values=evaluation.values | {"managed_server": found.document()})
        if load is None:
            return evaluation
        return assess(evaluation, load, lambda more: questions.evaluate({**answers, **more}, facts))

    return evaluate(answers, given), evaluate({**answers, **changes}, {**given, **changes}) if changes else None


def differing(project: Stored | None, given: Mapping[str, Any], found: Evaluation) -> list[Difference]:
    """The numbers in a project's files that its answers do not give; `found`: its plan, with the answers given.

    Raises MissingAnswers where the project has lost an answer and none is given.
    """
    if project is None:
        return []
    require_whole(project, given, found)
    return numbers_differing(project)


def show_servers(database: str | None, *, as_json: bool) -> None:
    """Print the managed servers of the catalog: those with this database, or all. Raises UsageError, InvalidAnswer."""
    if database is not None:
        database = questions.evaluate({"database": database}).answers["database"]
    listed = [server for server in managed.servers() if database in (None, server.database)]
    if not listed:
        raise UsageError(f"The catalog has no managed server with {database}.\nGive --max-connections instead.")
    if as_json:
        rows = [server.document() for server in listed]
        print(json.dumps({"schema_version": SCHEMA_VERSION, "servers": rows}, indent=2))
        return
    from poolwright import report

    report.print_servers(listed)


def on_server(name: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The answers given with those of a managed server, as a project stores them, and a notice of what they are."""
    server = managed.find(name)
    managed.check(server, given)
    answers = {**given, **server.stored_answers(given)}
    return answers, server.notice(answers)
