"""What people read on the terminal: the plan, its reasons, the matrix; rich is imported here only."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from poolwright import next_steps
from poolwright.bar import bar_lines
from poolwright.comparisons import OK, PROBLEM, WARNING, Row
from poolwright.errors import shown
from poolwright.load import load_figures
from poolwright.load_model import KEEPS_UP, POOL_EXCEEDS_CORES
from poolwright.managed import ADVICE, ManagedServer
from poolwright.plan import document
from poolwright.questions import Evaluation
from poolwright.rendered import PLAN_FILE, Difference

_STYLES = {"server": "white", "reserve": "yellow", "app": "green", "headroom": "dim", "missing": "bold red"}
_LOAD_VERDICTS = {KEEPS_UP: "green", POOL_EXCEEDS_CORES: "yellow"}
_VERDICTS = {PROBLEM: "bold red", WARNING: "yellow", OK: "green"}
_MOST_COLUMNS = 100
_UNIT = re.compile(r"(?<=\d) (?=%|ms\b)")


def console(*, stderr: bool = False) -> Console:
    """A console that prints text as it is: no markup, no emoji names, no guessed colours."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=False)


def print_plan(evaluation: Evaluation, what_if: Evaluation | None = None) -> None:
    """The bar and the table of the plan with its arithmetic; `what_if`, and then its arithmetic, beside it."""
    out = console()
    print_bar(evaluation, out)
    if what_if is not None:
        changed = ", ".join(f"{key}={what_if.answers[key]}" for key in _changes(evaluation, what_if))
        out.print(Text(f"\nWhat if {changed or 'nothing changes'}:"))
        print_bar(what_if, out)
    out.print()
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=what_if is not None)
    table.add_column("", overflow="fold")
    table.add_column("now", justify="right", no_wrap=True)
    if what_if is not None:
        table.add_column("what if", justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    rows = _rows(evaluation)
    others = _rows(what_if) if what_if is not None else rows
    arithmetic = {row["value"]: row["arithmetic"] for row in (what_if or evaluation).values["why"]}
    for name, value in rows.items():
        if name == "load.busy":
            table.add_row()
        cells = [Text(name), Text(value)]
        other = others.get(name, "")
        if what_if is not None:
            cells.append(Text(other, style="bold" if other != value else ""))
        # Beside a number that stands for itself its arithmetic would only repeat it.
        shown_arithmetic = "" if arithmetic.get(name) == other else arithmetic.get(name, "")
        table.add_row(*cells, Text(shown_arithmetic))
    out.print(table)
    print_remarks(evaluation, what_if)


def print_remarks(evaluation: Evaluation, what_if: Evaluation | None = None) -> None:
    """Where a managed server's limit comes from, and whether the pool suits the load, with what to change."""
    out = console()
    width = min(out.width, _MOST_COLUMNS)
    if server := evaluation.values.get("managed_server"):
        out.print()
        for text in (server["origin"], server["advice"]):
            out.print(Text(textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)), soft_wrap=True)
    plans = {"": evaluation} if what_if is None else {"Now: ": evaluation, "What if: ": what_if}
    for about, planned in plans.items():
        if load := planned.values.get("load"):
            out.print()
            out.print(
                Text(_filled(about + load["message"], width), style=_LOAD_VERDICTS.get(load["verdict"], "bold red"))
            )
            if load["advice"]:
                out.print(Text("Enough, each by itself:" if len(load["advice"]) > 1 else "Enough:"))
            for remedy in load["advice"]:
                out.print(Text(_filled(remedy, width, "  ", "    ")))


def print_differing(differing: Sequence[Difference]) -> None:
    """The numbers that a project has and that its answers do not give, where there are any."""
    if differing:
        say(f"\n{PLAN_FILE} was not rendered from these answers:")
        for row in differing:
            say(f"  {row}")
        say("poolwright update makes them agree.")


def print_servers(servers: Sequence[ManagedServer]) -> None:
    """A table of managed servers for each service, with its source and date, and one of their poolers."""
    out = console()
    width = min(out.width, _MOST_COLUMNS)
    for (label, source, date, note), sizes in groupby(servers, lambda row: (row.label, row.source, row.date, row.note)):
        out.print(Text(label, style="bold"))
        out.print(Text(f"{date}, {source}", style="dim"), soft_wrap=True)
        if note:
            out.print(Text(textwrap.fill(note, width)))
        table = _listing("left", "right", "left")
        rows = list(sizes)
        for server in rows:
            kept = f"{server.server_reserve} kept by the server" if server.server_reserve else ""
            table.add_row(Text(f"  {server.name}"), Text(str(server.max_connections)), Text(kept))
        out.print(table)
        _print_poolers(rows, out)
        out.print()
    out.print(Text(textwrap.fill(ADVICE, width, break_on_hyphens=False)))


def _listing(*columns: Literal["left", "right"]) -> Table:
    """Rows without a frame or a head, with each column on its side."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for justify in columns:
        table.add_column(justify=justify, overflow="fold")
    return table


def _print_poolers(servers: Sequence[ManagedServer], out: Console) -> None:
    poolers = [(server.name, server.pooler) for server in servers if server.pooler is not None]
    if not poolers:
        return
    first = poolers[0][1]
    out.print(Text(f"  --pooler managed: {first.label}, {' or '.join(first.modes)} mode"))
    out.print(Text(f"  {first.date}, {first.source}", style="dim"), soft_wrap=True)
    table = _listing("left", "right", "right")
    for name, pooler in poolers:
        clients, size = f"{pooler.max_clients} clients", f"{pooler.pool_size} to the server"
        table.add_row(Text(f"  {name}"), Text(clients), Text(size))
    out.print(table)


def print_bar(evaluation: Evaluation, out: Console | None = None) -> None:
    """The plan as a bar with its numbers."""
    out = out or console()
    for line in bar_lines(evaluation, min(out.width, _MOST_COLUMNS)):
        out.print(Text.assemble(*((text, _STYLES.get(part, "")) for part, text in line)))


def print_reasons(evaluation: Evaluation) -> None:
    """The arithmetic of every number with its reason and source."""
    out = console()
    width = min(out.width, _MOST_COLUMNS)
    for row in evaluation.values["why"]:
        out.print(Text(f"\n{row['value']}", style="bold"))
        for text in (row["arithmetic"], row["reason"], f"source: {row['source']}"):
            out.print(Text(textwrap.fill(text, width, initial_indent="  ", subsequent_indent="    ")))


def print_project(
    evaluation: Evaluation, target: Path, files: Sequence[str], again: str, *, dry_run: bool, verbose: bool
) -> None:
    """What was made (or would be), its plan, and what to type next."""
    say(f"{'Would write' if dry_run else 'Wrote'} {target}: {len(files)} files.")
    if dry_run or verbose:
        for name in files:
            say(f"  {name}")
    say("")
    print_bar(evaluation)
    if verbose:
        print_reasons(evaluation)
    if not dry_run:
        say("\nNext:")
        for step in next_steps.steps(evaluation, target):
            say(f"  {step}")
    say(f"\nThe same again:\n  {again}")


def print_matrix(valid: Sequence[Mapping[str, Any]], refused: Sequence[tuple[Mapping[str, Any], str]]) -> None:
    """The valid combinations, and the refused ones with their reasons."""
    out = console()
    width = min(out.width, _MOST_COLUMNS)
    out.print(Text(f"{len(valid)} valid combinations:", style="bold"))
    for answers in valid:
        out.print(Text(textwrap.fill(_pairs(answers), width, initial_indent="  ", subsequent_indent="    ")))
    if refused:
        out.print(Text(f"\n{len(refused)} refused:", style="bold"))
    for answers, reason in refused:
        out.print(Text(textwrap.fill(_pairs(answers), width, initial_indent="  ", subsequent_indent="    ")))
        out.print(Text(textwrap.fill(reason, width, initial_indent="    ", subsequent_indent="    ")))


def print_check(title: str, rows: Sequence[Row], *, verbose: bool) -> None:
    """What was planned and found, what to do where they differ, and how many differ; `verbose`: all advice."""
    out = console()
    out.print(Text(f"{shown(title)}\n"))
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    for name in ("", "planned", "found"):
        table.add_column(name, overflow="fold")
    table.add_column("verdict", no_wrap=True)
    for row in rows:
        cells = (row.what, shown(str(row.planned)), shown(str(row.found)))
        table.add_row(*map(Text, cells), Text(row.verdict, style=_VERDICTS[row.verdict]))
    out.print(table)
    width = min(out.width, _MOST_COLUMNS)
    for verdict, style in _VERDICTS.items():
        for row in rows:
            if row.verdict == verdict and row.advice and (verbose or verdict != OK):
                out.print(Text(f"\n{verdict}: {row.what}" if verdict != OK else f"\n{row.what}", style=style))
                for line in shown(row.advice).splitlines():
                    out.print(Text(textwrap.fill(line, width, initial_indent="  ", subsequent_indent="  ")))
    counts = {verdict: sum(row.verdict == verdict for row in rows) for verdict in _VERDICTS}
    told = [f"{counts[verdict]} {verdict}{'s' if counts[verdict] > 1 else ''}" for verdict in (PROBLEM, WARNING)]
    found = [text for text in told if not text.startswith("0")]
    out.print(Text(f"\n{', '.join(found) if found else 'The plan fits the server.'}"))


@contextmanager
def progress(text: str, *, quiet: bool) -> Iterator[None]:
    """Show on stderr that something is under way: a spinner on a terminal, else one line."""
    out = console(stderr=True)
    if quiet:
        yield
    elif out.is_terminal and not out.is_dumb_terminal:
        with out.status(Text(text)):
            yield
    else:
        out.print(Text(text))
        yield


def say(text: str) -> None:
    """Print a line of result on stdout, unwrapped: paths and commands stay whole."""
    print(shown(text), flush=True)


def _filled(text: str, width: int, first: str = "", later: str = "") -> str:
    """The text in lines that part no number from its unit."""
    whole = _UNIT.sub("\N{NO-BREAK SPACE}", text)
    filled = textwrap.fill(whole, width, initial_indent=first, subsequent_indent=later)
    return filled.replace("\N{NO-BREAK SPACE}", " ")


def _rows(evaluation: Evaluation) -> dict[str, str]:
    plan = document(evaluation)
    rows = {"limit": plan["limit"]}
    rows |= {f"reserved.{name}": count for name, count in plan["reserved"].items()}
    for name in ("capacity", "processes", "connections_per_process", "planned_total", "headroom"):
        rows[name] = plan[name]
    if pooler := plan.get("pooler"):
        names = ("limit", "capacity", "pool_size", "connections", "headroom")
        rows |= {f"pooler.{name}": pooler[name] for name in names if name in pooler}
    if replica := plan.get("replica"):
        rows |= {f"replica.{name}": replica[name] for name in ("limit", "planned_total", "headroom")}
    if cache := plan.get("cache"):
        rows |= {f"cache.{name}": cache[name] for name in ("limit", "connections_per_process", "planned_total")}
    rows |= plan["settings"]
    if load := plan.get("load"):
        rows |= {f"load.{name}": text for name, text in load_figures(load).items()}
    return {name: word(value) for name, value in rows.items()}


def word(value: Any) -> str:
    """A value as a table shows it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _pairs(answers: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={word(value)}" for key, value in answers.items())


def _changes(before: Evaluation, after: Evaluation) -> list[str]:
    return [key for key, value in after.answers.items() if before.answers.get(key) != value]
