"""A project brought to another release, or to other answers: by copier, in a copy, then moved over as a whole.

The copy is a repository of its own with the project's last commit: whatever happens to it, the project is as it was.
What copier made of it is moved into the project at the end.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from shlex import quote
from typing import Any

from poolwright import catalog, imports, releases, rendered, stages, stored
from poolwright.children import run_module
from poolwright.committed import forget_worktrees, require_clean
from poolwright.errors import PoolwrightError, UsageError, quoted
from poolwright.flags import ANSWERS_FILE
from poolwright.git import isolated
from poolwright.questions import Evaluation, carry_over
from poolwright.render import render_from
from poolwright.rendered import PLAN_FILE, Difference
from poolwright.working_copy import WorkingCopy


@dataclass(frozen=True)
class Project:
    """A generated project, committed, and the release that it is of."""

    directory: Path
    stored: stored.Stored
    tag: str


@dataclass(frozen=True)
class Changes:
    """What an update does to the project's files, named relative to its directory and sorted.

    `conflicts` are those of the files changed that hold conflict markers. `edits_deleted` are those deleted, since the
    template has no such file any more, that the project had changed. `imports_gone` has for each file what it imports
    of the project that is there no more.
    """

    added: list[str]
    changed: list[str]
    deleted: list[str]
    conflicts: list[str]
    edits_deleted: list[str]
    imports_gone: dict[str, list[str]]
    diff: str


@dataclass(frozen=True)
class Update:
    """An update that is possible: from a release and its answers to another, or to other answers.

    `before` is what the files were rendered from, which a change by hand makes another thing than what is stored; the
    numbers that `differing` has are of neither. `to` is the release's tag, `refused` says why answers of the project
    could not stay, by key. `stage` is a folder for what the update needs meanwhile; it has the template of both
    releases.
    """

    project: Project
    to: str
    before: Evaluation
    after: Evaluation
    refused: dict[str, str]
    stage: Path
    differing: list[Difference] = field(default_factory=list)

    @property
    def answers_changed(self) -> dict[str, tuple[Any, Any]]:
        """The answers before and after by key, where they differ; None where one has no such question."""
        before, after = self.before.answers, self.after.answers
        keys = [*after, *(key for key in before if key not in after)]
        return {key: (before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)}

    @property
    def by_hand(self) -> set[str]:
        """The answers that are stored but were not rendered."""
        return {key for key, value in self.project.stored.answers.items() if self.before.answers.get(key) != value}

    @property
    def needed(self) -> bool:
        """Whether there is anything to do."""
        return self.project.tag != self.to or bool(self.answers_changed or self.differing)


def read_project(directory: Path, *, dry_run: bool = False) -> Project:
    """The project in a directory, which must be committed in git; with `dry_run` nothing of its repository is run.

    Raises UsageError where the directory holds no project, or one that cannot be updated; TargetExists where it has
    uncommitted changes.
    """
    found = stored.read(directory)
    tag = _tag(found)
    stages.sweep(directory)
    require_clean(directory, runs_filters=not dry_run)
    forget_worktrees(directory)
    return Project(Path(os.path.abspath(directory)), found, tag)


@contextmanager
def prepared(project: Project, to: str | None, changes: Mapping[str, Any]) -> Iterator[Update]:
    """The update of a project to a release ("1.2.3"; the newest one where None), and with changes of its answers.

    Raises UsageError for a release that does not exist or is older, InvalidAnswer for a change that is refused, and
    InvalidAnswer or MissingAnswers where the project's own answers are not what its release asks for.
    """
    known = releases.tags()
    target = known[-1] if to is None else f"v{to.removeprefix('v')}"
    if target not in known:
        listed = ", ".join(tag[1:] for tag in known)
        raise UsageError(f"There is no release {quoted(target[1:])}: this tool has {listed}.")
    if known.index(target) < known.index(project.tag):
        raise UsageError(f"{project.directory} is of release {project.tag[1:]}: it cannot go back to {target[1:]}.")
    with stages.temporary() as stage:
        templates = {tag: releases.unpack(tag, stage / tag) for tag in {project.tag, target}}
        own = templates[project.tag]
        before = stored.rendered_from(project.stored, stored.evaluated(project.stored, own), own)
        after, refused = carry_over(project.stored.answers, changes, templates[target])
        differing = rendered.differences(stored.text(project.directory / PLAN_FILE), before, own)
        yield Update(project, target, before, after, refused, stage, differing)


def apply(update: Update, *, dry_run: bool, when_written: Callable[[], None] = lambda: None) -> Changes:
    """Bring the project to the update's release and answers; with `dry_run` only say what would change.

    Nothing is changed where it fails or is stopped; `when_written` is called at the moment after which it can no
    longer be stopped. Raises PlanDoesNotFit before anything is done, and PoolwrightError.
    """
    update.after.require_fit()
    copy = WorkingCopy(update.project.directory, update.stage / "tree")
    _require_own_folders(update, copy)
    corrections = _corrections(update)
    if corrections:
        copy.rewrite(corrections)
    _run_copier(update, copy.tree)
    if corrections:
        copy.restore()
    changes = Changes(
        added=sorted(copy.added),
        changed=sorted(copy.status.keys() - {*copy.added, *copy.deleted}),
        deleted=sorted(copy.deleted),
        conflicts=sorted(copy.conflicts),
        edits_deleted=sorted(_edited(update, copy)),
        imports_gone=imports.gone(copy.python(before=True), copy.python(before=False)),
        diff=copy.diff() if dry_run else "",
    )
    if not dry_run:
        copy.move(when_written)
    return changes


def _tag(found: stored.Stored) -> str:
    """The release that a project was made from or last updated to; UsageError where there is none we know."""
    directory, commit = found.directory, found.commit
    if not releases.is_ours(found.source):
        raise UsageError(
            f"{directory} was made from {found.source or 'an unknown template'}, not from "
            f"{catalog.distribution().repository}.\nUpdate it with: copier update"
        )
    known = releases.tags()
    if commit in known:
        return commit
    version = releases.parse(commit)
    if version and known and version > (releases.parse(known[-1]) or version):
        raise UsageError(
            f"{directory} is of release {commit[1:]}, newer than this tool ({known[-1][1:]}).\nUpgrade poolwright."
        )
    shown_commit = f" ({commit})" if commit else ""
    raise UsageError(
        f"{directory} was made from an unreleased version{shown_commit}: there is nothing to compare it with.\n"
        f"Commit it, render it once more with a release, and look at the difference:\n"
        f"  poolwright new {quote(str(directory))} --force --no-git --answers {quote(str(directory / ANSWERS_FILE))}\n"
        "From then on it can be updated."
    )


def _require_own_folders(update: Update, copy: WorkingCopy) -> None:
    """UsageError where a file of the template would be written beyond a link of the project, or below a file."""
    of_release = ((update.before, update.project.tag), (update.after, update.to))
    files = {name for evaluation, tag in of_release for _, name in rendered.files(evaluation, update.stage / tag)}
    folders = {str(folder) for path in files for folder in PurePosixPath(path).parents}
    if found := sorted(folders & copy.before.keys() - copy.links.keys()):
        raise UsageError(
            f"{found[0]} is a file, and the template has a folder of that name.\n"
            "Move it away, commit that, then update."
        )
    for link, target in copy.links.items():
        beyond = next((path for path in sorted(files) if path.startswith(f"{link}/")), None)
        outside = link in files and not (copy.tree / link).resolve().is_relative_to(copy.tree.resolve())
        if beyond or outside:
            raise UsageError(
                f"{link} is a symbolic link to {target}: the template has {beyond or link}, which an update would write"
                " beyond it.\nMake it a file or a folder of the project, commit that, then update."
            )


def _corrections(update: Update) -> dict[str, str]:
    """The files of the project as they were rendered, where somebody changed answers or numbers by hand."""
    found = {}
    if update.by_hand:
        origin = {"_src_path": update.project.stored.source, "_commit": update.project.tag}
        found[ANSWERS_FILE] = json.dumps({**origin, **update.before.answers})
    if update.differing:
        text = stored.text(update.project.directory / PLAN_FILE) or ""
        found[PLAN_FILE] = rendered.corrected(text, update.before, update.stage / update.project.tag)
    return found


def _run_copier(update: Update, copy: Path) -> None:
    """Run copier's own `update` on a copy of the project, without a network and without anybody's configuration."""
    temporary, settings = update.stage / "temporary", update.stage / "settings.yml"
    temporary.mkdir()
    settings.write_text("{}\n", encoding="utf-8")
    variables = isolated(*releases.redirects())
    variables |= {"COPIER_CACHE_DIR": str(update.stage / "cache"), "COPIER_SETTINGS_PATH": str(settings)}
    variables |= {"TMPDIR": str(temporary), "PYTHONUTF8": "1"}
    changes = {key: after for key, (_, after) in update.answers_changed.items() if after is not None}
    answers = [f"--data={key}={value}" for key, value in changes.items()]
    options = ["--defaults", "--quiet", f"--vcs-ref={update.to}"]
    done = run_module("poolwright.quick_copier", ["update", *options, *answers, str(copy)], update.stage, variables)
    if done.code != 0:
        said = done.err.decode(errors="replace").strip().splitlines() or [f"it ended with {done.code}"]
        raise PoolwrightError(f"copier cannot update the project: {said[-1].strip()}\nNothing was changed.")


def _edited(update: Update, copy: WorkingCopy) -> list[str]:
    """Which of the files deleted are not as the project's release made them."""
    if not copy.deleted:
        return []
    made = update.stage / "made"
    template = update.stage / update.project.tag
    render_from(template, update.project.tag, update.before, made)
    return copy.differing(copy.deleted, made)
