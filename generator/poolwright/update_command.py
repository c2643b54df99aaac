"""The command `update`: finds the project, has it updated, and says what changed and what is left to do."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from poolwright import flags as given_by
from poolwright import interrupts
from poolwright.flags import AnswersFile, Data, Directory, Json, Quiet, Verbose, Version


@given_by.with_answer_flags
def update(
    directory: Directory = None,
    *,
    to: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it at run time
        typer.Option(
            "--to", metavar="VERSION", help="Update to this release instead of the newest.", show_default=False
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("-n", "--dry-run", help="Show the difference; change nothing.")] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="As always: nothing is asked.")] = False,
    defaults: Annotated[bool, typer.Option("--defaults", hidden=True, help="As always; copier's own flag.")] = False,
    answers: AnswersFile = None,
    data: Data = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Version = False,
    flags: Mapping[str, Any],
) -> int:
    """Bring the project in DIR (default: here) to the newest release, and to other answers where they are given.

    Your edits are merged: where both sides changed the same lines, the file holds both between conflict markers. The
    pool plan is computed anew. Nothing but git and this package is needed. A new question takes its default. Exit
    codes: 0 done; 1 conflicts are left; 2 no project, or one that cannot be updated; 3 the plan does not fit;
    4 uncommitted changes.
    """
    from poolwright import report, update_report
    from poolwright import update as updating

    interrupts.install("Stopped. Nothing was changed.")
    project = updating.read_project(given_by.path(directory) or Path(), dry_run=dry_run)
    changes = given_by.gather(answers, data, flags)
    with updating.prepared(project, to, changes) as prepared:
        if not prepared.after.fits and as_json:
            print(json.dumps(update_report.document(prepared, None, written=False), indent=2))
        prepared.after.require_fit()
        found = None
        if prepared.needed:
            with report.progress(update_report.title(prepared), quiet=quiet):
                found = updating.apply(prepared, dry_run=dry_run, when_written=interrupts.ignore)
        written = found is not None and not dry_run
        if as_json:
            print(json.dumps(update_report.document(prepared, found, written=written), indent=2))
        else:
            update_report.show(prepared, found, written=written, quiet=quiet, verbose=verbose)
    return 1 if found is not None and found.conflicts else 0
