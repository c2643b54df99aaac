"""A project brought to another release, or to other answers: by copier, in a copy, then moved over as a whole.

The copy is a git worktree of the project's last commit: whatever happens to it, the project is as it was. What copier
made of it is moved into the project at the end.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any

from poolwright import catalog, releases
from poolwright.children import run
from poolwright.errors import PoolwrightError, UsageError, quoted
from poolwright.flags import ANSWERS_FILE, answers_file, answers_in, read_document
from poolwright.git import environment, git
from poolwright.interrupts import cleaned_by
from poolwright.questions import Evaluation, carry_over
from poolwright.render import render_from
from poolwright.worktree import entry, require_clean, worktree


@dataclass(frozen=True)
class Project:
    """A generated project, committed, and the release that it is of."""

    directory: Path
    answers: dict[str, Any]
    tag: str


@dataclass(frozen=True)
class Changes:
    """What an update does to the project's files, named relative to its directory and sorted.

    `conflicts` are those of the files changed that hold conflict markers. `edits_deleted` are those deleted, since the
    template has no such file any more, that the project had changed.
    """

    added: list[str]
    changed: list[str]
    deleted: list[str]
    conflicts: list[str]
    edits_deleted: list[str]
    diff: str


@dataclass(frozen=True)
class Update:
    """An update that is possible: from a release and its answers to another, or to other answers.

    `to` is the release's tag, `refused` says why answers of the project could not stay, by key. `stage` is a folder for
    what the update needs meanwhile; it has the template of both releases.
    """

    project: Project
    to: str
    before: Evaluation
    after: Evaluation
    refused: dict[str, str]
    stage: Path

    @property
    def answers_changed(self) -> dict[str, tuple[Any, Any]]:
        """The answers before and after by key, where they differ; None where one has no such question."""
        before, after = self.before.answers, self.after.answers
        keys = [*after, *(key for key in before if key not in after)]
        return {key: (before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)}

    @property
    def needed(self) -> bool:
        """Whether there is anything to do."""
        return self.project.tag != self.to or bool(self.answers_changed)


def read_project(directory: Path) -> Project:
    """The project in a directory, which must be committed in git.

    Raises UsageError where the directory holds no project, or one that cannot be updated; TargetExists where it has
    uncommitted changes.
    """
    stored = read_document(answers_file(directory))
    tag = _tag(directory, stored)
    require_clean(directory)
    return Project(Path(os.path.abspath(directory)), answers_in(stored), tag)


@contextmanager
def prepared(project: Project, to: str | None, changes: Mapping[str, Any]) -> Iterator[Update]:
    """The update of a project to a release ("1.2.3"; the newest one where None), and with changes of its answers.

    Raises UsageError for a release that does not exist or is older, InvalidAnswer for a change that is refused.
    """
    known = releases.tags()
    target = known[-1] if to is None else f"v{to.removeprefix('v')}"
    if target not in known:
        listed = ", ".join(tag[1:] for tag in known)
        raise UsageError(f"There is no release {quoted(target[1:])}: this tool has {listed}.")
    if known.index(target) < known.index(project.tag):
        raise UsageError(f"{project.directory} is of release {project.tag[1:]}: it cannot go back to {target[1:]}.")
    stage = Path(tempfile.mkdtemp(prefix="poolwright-"))
    with cleaned_by(partial(shutil.rmtree, stage, ignore_errors=True)):
        templates = {tag: releases.unpack(tag, stage / tag) for tag in {project.tag, target}}
        before, _ = carry_over(project.answers, {}, templates[project.tag])
        after, refused = carry_over(project.answers, changes, templates[target])
        yield Update(project, target, before, after, refused, stage)


def apply(update: Update, *, dry_run: bool, when_written: Callable[[], None] = lambda: None) -> Changes:
    """Bring the project to the update's release and answers; with `dry_run` only say what would change.

    Nothing is changed where it fails or is stopped; `when_written` is called at the moment after which it can no
    longer be stopped. Raises PlanDoesNotFit before anything is done, and PoolwrightError.
    """
    update.after.require_fit()
    top = Path(git(update.project.directory, "rev-parse", "--show-toplevel").rstrip("\n"))
    inside = update.project.directory.resolve().relative_to(top.resolve())

    def named(paths: Iterable[str]) -> list[str]:
        return sorted(os.path.relpath(path, inside) for path in paths)

    with worktree(top, update.stage / "tree") as copy:
        _run_copier(update, copy.tree / inside)
        changes = Changes(
            added=named(copy.added),
            changed=named(copy.status.keys() - {*copy.added, *copy.deleted}),
            deleted=named(copy.deleted),
            conflicts=named(copy.conflicts),
            edits_deleted=named(_edited(update, copy.deleted, inside, top)),
            diff=copy.diff() if dry_run else "",
        )
        if not dry_run:
            copy.move(when_written)
    return changes


def _tag(directory: Path, stored: Any) -> str:
    """The release that a project was made from or last updated to; UsageError where there is none we know."""
    source, commit = str(stored.get("_src_path", "")), stored.get("_commit")
    if not releases.is_ours(source):
        raise UsageError(
            f"{directory} was made from {source or 'an unknown template'}, not from "
            f"{catalog.distribution().repository}.\nUpdate it with: copier update"
        )
    known = releases.tags()
    if commit in known:
        return str(commit)
    found = releases.parse(str(commit))
    if found and known and found > (releases.parse(known[-1]) or found):
        raise UsageError(
            f"{directory} is of release {str(commit)[1:]}, newer than this tool ({known[-1][1:]}).\nUpgrade poolwright."
        )
    shown_commit = f" ({commit})" if commit else ""
    raise UsageError(
        f"{directory} was made from an unreleased version{shown_commit}: there is nothing to compare it with.\n"
        f"Commit it, render it once more with a release, and look at the difference:\n"
        f"  poolwright new {quote(str(directory))} --force --no-git --answers {quote(str(directory / ANSWERS_FILE))}\n"
        "From then on it can be updated."
    )


def _run_copier(update: Update, copy: Path) -> None:
    """Run copier's own `update` on a copy of the project, without a network."""
    temporary = update.stage / "temporary"
    temporary.mkdir()
    variables = environment() | releases.offline()
    variables |= {"COPIER_CACHE_DIR": str(update.stage / "cache"), "TMPDIR": str(temporary), "PYTHONUTF8": "1"}
    changes = {key: after for key, (_, after) in update.answers_changed.items() if after is not None}
    answers = [f"--data={key}={value}" for key, value in changes.items()]
    command = [sys.executable, "-P", "-m", "copier", "update", "--defaults", "--quiet", f"--vcs-ref={update.to}"]
    done = run([*command, *answers, str(copy)], update.stage, variables)
    if done.code != 0:
        raise PoolwrightError(f"copier cannot update the project: {done.err.decode(errors='replace').strip()}")


def _edited(update: Update, deleted: list[str], inside: Path, top: Path) -> list[str]:
    """Which of the files deleted in the repository at `top` are not as the project's release made them."""
    if not deleted:
        return []
    made = update.stage / "made"
    template = update.stage / update.project.tag
    render_from(template, update.project.tag, update.before.answers, update.stage / "source", made / inside)
    return [path for path in deleted if entry(made / path).content != entry(top / path).content]
