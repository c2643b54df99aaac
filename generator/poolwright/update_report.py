"""What an update did, or would do: for people, for scripts, and for the pull request of an update bot."""

import os
import shlex
from collections.abc import Sequence
from typing import Any

from poolwright import plan, report
from poolwright.errors import shown
from poolwright.flags import ANSWERS_FILE
from poolwright.rendered import PLAN_FILE
from poolwright.report import say
from poolwright.update import Changes, Update

_NUMBERS = ("limit", "capacity", "processes", "connections_per_process", "planned_total", "headroom")
_KINDS = ("added", "changed", "deleted")


def title(update: Update) -> str:
    """What is under way."""
    return f"Updating {update.project.directory.name} {_releases(update)}"


def document(update: Update, changes: Changes | None, *, written: bool) -> dict[str, Any]:
    """The update in the shape of `update --json`; `changes` is None where there is nothing to do.

    `body` is Markdown for a pull request.
    """
    files = {kind: getattr(changes, kind) if changes else [] for kind in _KINDS}
    return {
        "schema_version": plan.SCHEMA_VERSION,
        "directory": str(update.project.directory),
        "from": update.project.tag[1:],
        "to": update.to[1:],
        "written": written,
        "answers": {key: {"before": old, "after": new} for key, (old, new) in update.answers_changed.items()},
        "refused": update.refused,
        "files": files,
        "conflicts": changes.conflicts if changes else [],
        "edits_deleted": changes.edits_deleted if changes else [],
        "imports_gone": changes.imports_gone if changes else {},
        "differing": [row._asdict() for row in update.differing],
        "plan": {"before": plan.document(update.before), "after": plan.document(update.after)},
        "body": _body(update, changes),
        **({"diff": changes.diff} if changes and changes.diff else {}),
    }


def show(update: Update, changes: Changes | None, *, written: bool, quiet: bool, verbose: bool) -> None:
    """Print what changed, the plan before and after, and what is left to do; after a dry run the difference too."""
    name = os.path.relpath(update.project.directory)
    if changes is None:
        say(f"{name} is up to date: release {update.to[1:]}.")
        return
    if not written:
        print(changes.diff, end="")
    counts = ", ".join(f"{len(getattr(changes, kind))} {kind}" for kind in _KINDS)
    if changes.conflicts:
        counts += f", {len(changes.conflicts)} in conflict"
    say(f"{'Updated' if written else 'Would update'} {name} {_releases(update)}: {counts}.")
    if verbose:
        for kind in _KINDS:
            for path in getattr(changes, kind):
                say(f"  {kind:<8} {path}")
    if quiet:
        return
    if update.answers_changed:
        say("\nAnswers:")
        for line in _answers(update):
            say(f"  {line}")
    _show_plan(update)
    for heading, advice, paths in _left(update, changes):
        say(f"\n{heading}")
        for path in paths:
            say(f"  {path}")
        say(advice)
    if written:
        say("\nNext:")
        for step in _steps(update, changes):
            say(f"  {step}")


def _releases(update: Update) -> str:
    before, after = update.project.tag[1:], update.to[1:]
    return f"from {before} to {after}" if before != after else f"(release {after})"


def _show_plan(update: Update) -> None:
    before, after = (plan.document(evaluation) for evaluation in (update.before, update.after))
    differing = _differing(before, after)
    if not differing:
        say("\nThe plan stays:")
    else:
        say("\nPlan before:")
        report.print_bar(update.before)
        say("\nPlan after:")
    report.print_bar(update.after)
    for name, (old, new) in differing.items():
        if name not in _NUMBERS:
            say(f"  {name}: {old} -> {new}")


def _answers(update: Update) -> list[str]:
    """A line for each answer that changed."""
    lines = []
    for key, (old, new) in update.answers_changed.items():
        by_hand = f" ({ANSWERS_FILE} was changed by hand)" if key in update.by_hand else ""
        reason = f" ({update.refused[key].splitlines()[0]})" if key in update.refused else by_hand
        lines.append(f"{key}: {_word(old)} -> {_word(new)}{reason}")
    return lines


def _left(update: Update, changes: Changes) -> list[tuple[str, str, Sequence[str]]]:
    """What the update leaves to its user: a heading, what to do, and the files."""
    found: list[tuple[str, str, Sequence[str]]] = []
    if changes.conflicts:
        advice = (
            "Each holds both versions between <<<<<<< before updating and >>>>>>> after updating:\n"
            "keep what is right, then git add the file."
        )
        found.append((f"Conflicts ({len(changes.conflicts)}):", advice, changes.conflicts))
    if changes.edits_deleted:
        advice = "Your version of each: git show HEAD:./FILE"
        heading = f"Deleted with your changes, since the project has no such file now ({len(changes.edits_deleted)}):"
        found.append((heading, advice, changes.edits_deleted))
    if changes.imports_gone:
        advice = "Write these files for what is there now."
        rows = [f"{path}: {', '.join(names)}" for path, names in changes.imports_gone.items()]
        found.append((f"Import what is there no more ({len(rows)}):", advice, rows))
    if update.differing:
        advice = f"They follow from the answers again; your file: git show HEAD:./{PLAN_FILE}"
        numbers = [str(row) for row in update.differing]
        found.append((f"{PLAN_FILE} had other numbers than its answers give ({len(numbers)}):", advice, numbers))
    return found


def _steps(update: Update, changes: Changes) -> list[str]:
    """At most three shell commands that finish the update."""
    where = os.path.relpath(update.project.directory)
    enter = "" if where == "." else f"cd {shlex.quote(where)} && "
    look = "git status  # then mend the conflicts" if changes.conflicts else "git diff"
    return [enter + look, "uv sync && uv run pytest", "git add --all && git commit"]


def _differing(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The numbers and settings of two plans that are not the same."""
    old, new = ({**{name: row[name] for name in _NUMBERS}, **row["settings"]} for row in (before, after))
    return {name: (old.get(name), new.get(name)) for name in {**old, **new} if old.get(name) != new.get(name)}


def _body(update: Update, changes: Changes | None) -> str:
    before, after = (plan.document(evaluation) for evaluation in (update.before, update.after))
    before_and_after = [tag[1:] for tag in dict.fromkeys([update.project.tag, update.to])]
    lines = [f"Poolwright {' -> '.join(before_and_after)}", ""]
    if changes is None:
        return "\n".join([*lines, "Nothing changes.", ""])
    if update.answers_changed:
        lines += ["### Answers", "", *(f"- {line}" for line in _answers(update)), ""]
    lines += ["### Pool plan", "", "| | before | after |", "|---|---|---|"]
    differing = _differing(before, after)
    for name in [*_NUMBERS, *(name for name in differing if name not in _NUMBERS)]:
        old, new = differing.get(name) or (before[name], after[name])
        lines.append(f"| {name} | {_word(old)} | {'**' + _word(new) + '**' if name in differing else _word(new)} |")
    lines.append("")
    for heading, advice, paths in _left(update, changes):
        lines += [f"### {heading.removesuffix(':')}", "", *(f"- `{path}`" for path in paths), "", advice, ""]
    count = sum(len(getattr(changes, kind)) for kind in _KINDS)
    lines += [f"<details><summary>{count} files</summary>", ""]
    lines += [f"- {kind}: `{path}`" for kind in _KINDS for path in getattr(changes, kind)]
    return "\n".join([*map(shown, lines), "", "</details>", ""])


def _word(value: Any) -> str:
    return "-" if value is None else report.word(value)
