"""The command `check`: finds the project, has its servers asked, and prints the comparison."""

import json
from pathlib import Path

from poolwright import questions
from poolwright.flags import Directory, Json, Quiet, Verbose, Version, path


def check(
    directory: Directory = None,
    *,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Version = False,
) -> int:
    """Compare the plan of the project in DIR (default: here) with the database server behind its DATABASE_URL.

    The server is asked with the project's own Python (.venv, the active environment, or python3 in PATH), driver and
    settings, as its processes would connect from here. Nothing on it is changed. Exit codes: 0 fine, warnings
    included; 1 a problem; 2 no project, packages or DATABASE_URL; 5 the server cannot be reached.
    """
    from poolwright import check as checking
    from poolwright import inspection, report
    from poolwright import stored as stored_answers

    project = path(directory) or Path()
    stored = stored_answers.read(project)
    evaluation = questions.evaluate(stored.answers)
    stored_answers.require_whole(stored, {}, evaluation)
    evaluation.require_fit()
    database = evaluation.values["catalog"]["databases"][evaluation.answers["database"]]
    with report.progress("Asking the database server", quiet=quiet):
        found = inspection.inspect(project, evaluation.answers["driver"], database["port"])
    rows = [*checking.rendered(stored_answers.differing(stored)), *checking.compare(evaluation, found)]
    if as_json:
        print(json.dumps(checking.document(evaluation, found, rows), indent=2))
    else:
        report.print_check(checking.title(found), rows, verbose=verbose)
    return 1 if checking.problems(rows) else 0
