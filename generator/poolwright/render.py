"""A project written to disk as copier would write it, in a fraction of its time: whole or not at all."""

import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from poolwright import catalog, releases, rendered
from poolwright.errors import PoolwrightError, TargetExists, UsageError
from poolwright.git import start_repository
from poolwright.interrupts import cleaned_by, uninterrupted
from poolwright.moving import Undo, undone
from poolwright.questions import Evaluation, evaluate


def render_project(
    answers: Mapping[str, Any],
    target: Path,
    *,
    git: bool = False,
    force: bool = False,
    when_written: Callable[[], None] = lambda: None,
) -> list[str]:
    """Render the project for the answers (defaults for the others) into `target`; its files, relative to it, sorted.

    `target` must be missing or an empty directory; with `force` it may hold files: the template's replace them, others
    stay. Missing parents are made. Nothing is left of a render that fails or is stopped; `when_written` is called at
    the moment after which it can no longer be stopped. Raises InvalidAnswer, PlanDoesNotFit, TargetExists, and
    PoolwrightError where the disk refuses.
    """
    evaluation = evaluate(answers).require_fit()
    target = Path(os.path.abspath(target))
    check_target(target, force=force)
    try:
        with _stage(target) as stage:
            project = stage / "project" / target.name
            files = render_from(catalog.root(), releases.own_tag(), evaluation, project)
            if git:
                start_repository(project, target)
            _publish(project, target, when_written)
    except OSError as error:
        raise PoolwrightError(f"Cannot write {target}: {error.strerror or error}.") from error
    return files


def list_files(evaluation: Evaluation) -> list[str]:
    """The files that a render would write, relative to the project, sorted."""
    return sorted(name for _, name in rendered.files(evaluation.require_fit(), catalog.root()))


def check_target(target: Path, *, force: bool = False) -> None:
    """TargetExists where `target` is in use; UsageError where no directory of that name can be."""
    target = Path(os.path.abspath(target))
    try:
        if not _exists(target):
            nearest = next(parent for parent in target.parents if _exists(parent))
            if not nearest.is_dir():
                raise TargetExists(f"{nearest} is not a directory. Choose another directory.")
        elif not target.is_dir():
            raise TargetExists(f"{target} exists and is not a directory. Choose another directory.")
        elif not force and any(target.iterdir()):
            raise TargetExists(f"{target} exists and is not empty. Choose another directory, or use --force.")
    except OSError as error:
        raise UsageError(f"Cannot use {str(target)[:100]} as a directory: {error.strerror}.") from error


def _exists(path: Path) -> bool:
    """Whether anything has the name, a dangling link too; OSError where nothing can have it."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


@contextmanager
def _stage(target: Path) -> Iterator[Path]:
    """A temporary folder on the file system of `target`, removed at the end; inside of `target` where that exists."""
    base = target if target.is_dir() else target.parent
    missing = [folder for folder in [base, *base.parents] if not folder.exists()]
    stage = base / f".poolwright-{secrets.token_hex(6)}"

    def remove() -> None:
        shutil.rmtree(stage, ignore_errors=True)
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()  # where it was made for the project and the project did not come

    with cleaned_by(remove):
        stage.mkdir(parents=True)
        yield stage


def render_from(template: Path, tag: str | None, evaluation: Evaluation, project: Path) -> list[str]:
    """Render the template in a folder into `project`, which is missing; its files, relative to it, sorted.

    Neither a checkout's state nor a path is recorded; `tag` is the release that the project can be updated from, None
    where the template is unreleased. Raises OSError, and PoolwrightError where the template cannot be rendered.
    """
    recorded = {"_src_path": catalog.distribution().repository} | ({} if tag is None else {"_commit": tag})
    files = []
    try:
        for source, name in rendered.files(evaluation, template):
            place = project / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(rendered.content(source, evaluation, template, recorded))
            # An installed package may be read-only, a project must not be.
            place.chmod(stat.S_IMODE(source.stat().st_mode) | stat.S_IWUSR)
            files.append(name)
    except OSError:
        raise
    except Exception as error:  # whatever an expression of a template does
        raise PoolwrightError(f"The template cannot be rendered: {error}") from error
    return sorted(files)


def copy_sources(template: Path, target: Path) -> None:
    """Copy what a render reads, without caches; OSError."""
    for name in catalog.SOURCES:
        origin, copied = template / name, target / name
        copied.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            shutil.copytree(origin, copied, ignore=shutil.ignore_patterns(*catalog.CACHES))
        else:
            shutil.copy(origin, copied)


def _publish(project: Path, target: Path, when_written: Callable[[], None]) -> None:
    """Move the rendered project to its place: in one step, or file by file into a directory that exists."""
    with uninterrupted():
        if not target.exists():
            project.rename(target)
        else:
            _merge(project, target)
        when_written()


def _merge(project: Path, target: Path) -> None:
    """Move every file of `project` into `target`; on an error everything is put back.

    Raises PoolwrightError, which names what could not be put back.
    """
    backup = project.parent / "replaced"
    undos: list[Undo] = []
    try:
        for path in sorted(project.rglob("*")):
            name = path.relative_to(project).as_posix()
            place = target / name
            if path.is_dir() and not path.is_symlink():
                if place.is_symlink() or (place.exists() and not place.is_dir()):
                    raise TargetExists(f"{place} is not a directory. Move it away and try again.")
                if not place.exists():
                    place.mkdir()
                    undos.append(("", place.rmdir))
                continue
            if place.is_dir() and not place.is_symlink():
                raise TargetExists(f"{place} is a directory. Move it away and try again.")
            if os.path.lexists(place):
                kept = backup / name
                kept.parent.mkdir(parents=True, exist_ok=True)
                place.rename(kept)
                undos.append((name, partial(kept.rename, place)))
            path.rename(place)
            undos.append((name, place.unlink))
    except BaseException as error:
        if failed := undone(undos):
            raise PoolwrightError(f"{error}\nThese could not be put back: {', '.join(failed)}.") from error
        raise
