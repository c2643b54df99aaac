"""The commands: they gather answers, call the module that does the work, and choose the exit code."""

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from poolwright import asking, interrupts, next_steps, plan, planning
from poolwright import flags as given_by
from poolwright.check_command import check
from poolwright.errors import PlanDoesNotFit, PoolwrightError, UsageError, shown
from poolwright.flags import (
    AnswersFile,
    Cores,
    Data,
    Directory,
    HoldMs,
    Json,
    Quiet,
    Rps,
    Server,
    Servers,
    Verbose,
    Version,
)
from poolwright.flags import path as _path
from poolwright.update_command import update

app = typer.Typer(
    name="poolwright",
    help="FastAPI projects with an async database, whose connection pool fits the server.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run(arguments: Sequence[str]) -> int:
    """Run a command line; the exit code. A user's mistake is one message on stderr, never a traceback."""
    try:
        code = app(args=list(arguments), prog_name="poolwright", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except PoolwrightError as error:
        return _failed(str(error), error.exit_code, arguments)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - whoever read stdout has gone
        return 1
    except OSError as error:
        return _failed(shown(str(error)), 1, arguments)
    except KeyboardInterrupt:
        interrupts.stop()
        raise
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return _failed(shown(error.format_message()) + "\nSee --help.", 2, arguments)  # an error of the parser's


@app.callback(invoke_without_command=True)
def main(context: typer.Context, version: Version = False) -> None:
    if context.invoked_subcommand is None:
        raise UsageError("Which command? One of new, plan, update, check, matrix. See --help.")


@app.command(short_help="Make a project: ask, show the pool plan, render.")
@given_by.with_answer_flags
def new(
    directory: Directory = None,
    *,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Take the default of every answer not given.")] = False,
    no_input: Annotated[bool, typer.Option("--no-input", help="Never ask; missing answers are listed.")] = False,
    dry_run: Annotated[bool, typer.Option("-n", "--dry-run", help="Show what would be written.")] = False,
    answers: AnswersFile = None,
    data: Data = None,
    server: Server = None,
    no_git: Annotated[bool, typer.Option("--no-git", help="Make no Git repository.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write into a directory that is not empty.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Version = False,
    flags: Mapping[str, Any],
) -> None:
    """Make a project in DIR: ask what is not given, show the pool plan, render.

    Without DIR the project goes to a directory of its own name. Flags win over -d, and -d over --answers. Where a
    text below names a default, it is the one beside the default answers.
    """
    from poolwright import render

    interrupts.install("Stopped. Nothing was written.")
    chosen = _path(directory)
    if chosen is not None:
        render.check_target(chosen, force=force)
    given = given_by.gather(answers, data, flags)
    if server is not None:
        given, notice = planning.on_server(server, given)
        if not quiet:
            print(notice, file=sys.stderr)
    ask = asking.on_terminal() and not (yes or no_input or as_json)
    evaluation = asking.answered(given, chosen, ask=ask, yes=yes, force=force)
    if as_json and not evaluation.fits:
        _print_json(plan.document(evaluation))
    evaluation.require_fit()
    target = chosen or Path(evaluation.answers["project_name"])
    render.check_target(target, force=force)

    from poolwright import report

    with report.progress(f"Rendering {target.name}", quiet=quiet):
        if dry_run:
            files = render.list_files(evaluation)
        else:
            files = render.render_project(
                evaluation.answers, target, git=not no_git, force=force, when_written=interrupts.ignore
            )
    again = next_steps.command(evaluation, target)
    if as_json:
        written = {"directory": os.path.abspath(target), "written": not dry_run, "files": files, "command": again}
        _print_json(plan.document(evaluation) | written)
    elif quiet:
        report.say(str(target))
    else:
        report.print_project(evaluation, target, files, again, dry_run=dry_run, verbose=verbose)


@app.command(name="plan", short_help="Compute and explain the pool plan; render nothing.")
@given_by.with_answer_flags
def show_plan(
    directory: Directory = None,
    *,
    explain: Annotated[bool, typer.Option("--explain", help="Print the reason and source of every number.")] = False,
    what_if: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--what-if", metavar="KEY=VALUE", help="Show the plan with this answer beside; may be repeated."),
    ] = None,
    svg: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--svg", metavar="FILE", help="Write the plan's bar to FILE as an SVG picture."),
    ] = None,
    server: Server = None,
    servers: Servers = False,
    rps: Rps = None,
    hold_ms: HoldMs = None,
    cores: Cores = None,
    answers: AnswersFile = None,
    data: Data = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Version = False,
    flags: Mapping[str, Any],
) -> None:
    """Compute the pool plan and render nothing: for the project in DIR, or for the answers given and defaults.

    Answers given change those of the project, and so does a server. With a load, requests per second and how long
    each holds a connection, it tells how long requests wait. Where a text below names a default, it is the one beside
    the default answers.
    """
    project = _path(directory)
    stored = None if project is None else planning.read(project)
    known = {} if stored is None else stored.answers
    given = given_by.gather(answers, data, flags)
    if servers:
        planning.show_servers({**known, **given}.get("database"), as_json=as_json)
        return
    changes = dict(map(given_by.pair, what_if or []))
    evaluation, other = planning.compute(known, given, changes, server, planning.demand(rps, hold_ms, cores))
    differing = planning.differing(stored, given, evaluation)
    if svg is not None:
        from poolwright.svg import draw

        _write(svg, draw(other or evaluation))
    if as_json:
        beside: dict[str, Any] = {"what_if": plan.document(other)} if other else {}
        beside |= {"differing": [row._asdict() for row in differing]} if differing else {}
        _print_json(plan.document(evaluation) | beside)
    else:
        from poolwright import report

        if quiet:
            report.print_bar(evaluation)
            report.print_remarks(evaluation)
        else:
            report.print_plan(evaluation, other)
        report.print_differing(differing)
        if explain or verbose:
            report.print_reasons(evaluation)
    evaluation.require_fit()
    if other is not None:
        other.require_fit()


app.command(short_help="Bring a project to another release, or to other answers.")(update)
app.command(short_help="Compare a project's plan with its live database server.")(check)


@app.command(short_help="List, render and check every combination.")
def matrix(
    *,
    filters: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--filter", metavar="KEY=VALUE", help="Only combinations with this answer; may be repeated."),
    ] = None,
    shard: Annotated[str, typer.Option("--shard", metavar="I/N", help="Only part I of N of the valid ones.")] = "1/1",
    render: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--render", metavar="DIR", help="Render each valid combination to a folder of its own in DIR."),
    ] = None,
    check: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--check", metavar="lint|types|tests", help="Check each rendered project; may be repeated."),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", metavar="N", min=1, help="Projects to check at a time.")] = 1,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first check that fails.")] = False,
    junit: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--junit", metavar="FILE", help="Write the results of the checks to FILE as JUnit XML."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Version = False,
) -> None:
    """List every valid combination of answers and every refused one with its reason; render and check the valid.

    --check without --render uses a temporary folder. --check tests reads the server's URL from DATABASE_URL_<DATABASE>
    or DATABASE_URL.
    """
    from poolwright import matrix as grid

    wanted = list(map(given_by.pair, filters or []))
    chosen = grid.select(wanted, shard)
    reasons = grid.select_refused(wanted)
    refused = [{"answers": answers, "reason": reason} for answers, reason in reasons]
    if not (render or check):
        if junit or fail_fast:
            raise UsageError("--junit and --fail-fast go with --check.")
        if as_json:
            _print_json({"schema_version": plan.SCHEMA_VERSION, "valid": chosen, "refused": refused})
        else:
            from poolwright import report

            report.print_matrix(chosen, [] if quiet else reasons)
        return
    if not chosen:
        raise UsageError("No valid combination is left to render. See poolwright matrix.")
    tell = (lambda line: None) if quiet else (lambda line: print(shown(line), file=sys.stderr, flush=True))
    results = grid.run(chosen, render, check or [], jobs=jobs, fail_fast=fail_fast, tell=tell, verbose=verbose)
    if junit is not None:
        _write(junit, grid.junit(results))
    if as_json:
        rows = [result.document() for result in results]
        _print_json({"schema_version": plan.SCHEMA_VERSION, "valid": chosen, "refused": refused, "results": rows})
    failed = [result for result in results if not result.ok]
    if not as_json:
        print(f"{len(results) - len(failed)} of {len(results)} steps passed for {len(chosen)} combinations.")
    if failed:
        raise PoolwrightError("Failed: " + ", ".join(f"{result.step} of {result.name}" for result in failed) + ".")


def _print_json(document: Any) -> None:
    print(json.dumps(document, indent=2))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"Cannot write {path}: {error.strerror}.") from error


def _failed(message: str, code: int, arguments: Sequence[str]) -> int:
    if "--json" in arguments and code != PlanDoesNotFit.exit_code:
        _print_json({"schema_version": plan.SCHEMA_VERSION, "error": message, "exit_code": code})
    print(_wrapped(message) if sys.stderr.isatty() else message, file=sys.stderr)
    return code


def _wrapped(message: str) -> str:
    """The message in lines that a terminal does not cut within a word."""
    width = shutil.get_terminal_size().columns
    fill = partial(textwrap.fill, width=width, break_long_words=False, break_on_hyphens=False)
    return "\n".join(map(fill, message.splitlines()))
