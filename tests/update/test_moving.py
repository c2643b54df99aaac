"""Files moved to their places: all or none, whatever file cannot be written."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from poolwright.errors import PoolwrightError
from poolwright.moving import Entry, Move, move_all

BEFORE = {
    "app/plan.py": b"old",
    "app/db/gone.py": b"old",
    "deploy/unit": b"old",
    "run.sh": b"old",
    "folder/one": b"old",
}
MOVES = [
    Move("app/plan.py", Entry(b"new", 0o100644)),
    Move("app/db/gone.py", Entry(None)),
    Move("deploy/unit", Entry(b"new", 0o100755)),
    Move("run.sh", Entry(b"app/plan.py", 0o120000)),
    Move("folder/one", Entry(None)),
    Move("folder", Entry(b"a file now", 0o100644)),
    Move("new/deep/file", Entry(b"new", 0o100644)),
]
PATHS = [move.path for move in MOVES]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make(tmp_path)


def make(folder: Path) -> Path:
    for name, content in BEFORE.items():
        (folder / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "project" / name).write_bytes(content)
    return folder / "project"


def found(project: Path) -> dict[str, bytes | str | None]:
    """Everything in a folder by name: bytes, a link's target, or None for a folder."""

    def what(path: Path) -> bytes | str | None:
        return os.readlink(path) if path.is_symlink() else None if path.is_dir() else path.read_bytes()

    return {path.relative_to(project).as_posix(): what(path) for path in sorted(project.rglob("*"))}


def nothing() -> None:
    pass


def test_all_are_moved(project: Path) -> None:
    (project / "app/plan.py").chmod(0o600)
    owner = 65534 if os.getuid() == 0 else os.getuid()
    os.chown(project / "app/plan.py", owner, -1)
    move_all(project, MOVES, nothing)
    assert found(project) == {
        "app": None,
        "app/plan.py": b"new",
        "deploy": None,
        "deploy/unit": b"new",
        "folder": b"a file now",
        "new": None,
        "new/deep": None,
        "new/deep/file": b"new",
        "run.sh": "app/plan.py",
    }
    kept = (project / "app/plan.py").stat()
    assert (kept.st_mode & 0o777, kept.st_uid) == (0o600, owner)
    assert (project / "deploy/unit").stat().st_mode & 0o777 == 0o755  # executable now


@contextmanager
def plain_user() -> Iterator[Path]:
    """A folder of a user who is not root, which this process is meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        if os.geteuid() != 0:
            yield Path(folder)
            return
        os.chown(folder, 65534, 65534)
        os.setegid(65534)
        os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            os.seteuid(0)
            os.setegid(0)


@pytest.mark.parametrize("path", [path for path in PATHS if path in BEFORE])
def test_a_read_only_file_of_a_plain_user_leaves_all_as_it_was(path: str) -> None:
    with plain_user() as folder:
        project = make(folder)
        (project / path).chmod(0o444)
        before = found(project)
        with pytest.raises(PoolwrightError) as raised:
            move_all(project, MOVES, nothing)
        assert str(raised.value) == f"{path} cannot be written: Permission denied.\nNothing was changed."
        assert found(project) == before


@pytest.mark.parametrize("name", ["app", "app/db", "deploy", "folder", "."])
def test_a_folder_that_takes_no_change_leaves_all_as_it_was(name: str) -> None:
    with plain_user() as folder:
        project = make(folder)
        (project / name).chmod(0o555)
        before = found(project)
        with pytest.raises(PoolwrightError, match="Nothing was changed"):
            move_all(project, MOVES, nothing)
        assert found(project) == before


@pytest.mark.parametrize("path", PATHS)
def test_a_folder_in_the_place_of_a_file_leaves_all_as_it_was(path: str, project: Path) -> None:
    place = project / path
    if place.is_file():
        place.unlink()
    (place / "own").mkdir(parents=True)
    (place / "own/file").write_bytes(b"mine")
    before = found(project)
    with pytest.raises(PoolwrightError, match="Nothing was changed"):
        move_all(project, [*MOVES, Move(path, Entry(b"new", 0o100644))], nothing)
    assert found(project) == before


def test_nothing_is_written_through_a_link_to_a_folder(project: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (project / "new").symlink_to(tmp_path / "elsewhere")
    before = found(project)
    with pytest.raises(PoolwrightError, match="new is a symbolic link"):
        move_all(project, MOVES, nothing)
    assert found(project) == before
    assert found(tmp_path / "elsewhere") == {}


def failing(real: Callable[..., object], first: int, last: int) -> Callable[..., object]:
    """A function that fails at its calls from one number to another."""
    calls = iter(range(1000))

    def call(*arguments: object) -> object:
        if first <= next(calls) <= last:
            raise OSError(5, "Input/output error")
        return real(*arguments)

    return call


def steps(project: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many renames a move of all takes."""
    real, seen = shutil.move, []

    def move(origin: Path, target: Path) -> None:
        seen.append(target)
        real(origin, target)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "move", move)
        move_all(project, MOVES, nothing)
    return len(seen)


def test_each_step_that_fails_is_undone(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(project, tmp_path / "other")
    before = found(project)
    for step in range(steps(tmp_path / "other", monkeypatch)):
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "move", failing(shutil.move, step, step))
            with pytest.raises(PoolwrightError, match="Input/output error"):
                move_all(project, MOVES, nothing)
        assert found(project) == before


def test_a_copy_that_stops_half_way_is_undone(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = found(project)

    def move(origin: Path, target: Path, real: Callable[..., object] = shutil.move) -> None:
        if target == project / "new/deep/file":  # as where another file system begins there, which is full
            target.write_bytes(b"n")
            raise OSError(28, "No space left on device")
        real(origin, target)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "move", move)
        with pytest.raises(PoolwrightError, match="new/deep/file cannot be written: No space left on device"):
            move_all(project, MOVES, nothing)
    assert found(project) == before


def test_each_undo_is_tried_and_what_is_not_put_back_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = found(project)
    step = 6  # the third file's: two that go take one each, and app/plan.py and deploy/unit two
    with monkeypatch.context() as patch:
        # The move itself fails, and both undos of the file before it.
        patch.setattr(shutil, "move", failing(shutil.move, step, step + 2))
        with pytest.raises(PoolwrightError) as raised:
            move_all(project, MOVES, nothing)
    now = found(project)
    lost = [path for path, content in before.items() if now.get(path) != content]
    assert lost == ["deploy/unit"]
    assert str(raised.value).endswith("git checkout HEAD -- FILE brings each:\n  deploy/unit")


def test_an_error_at_the_end_is_undone_too(project: Path) -> None:
    before = found(project)

    def finish() -> None:
        raise PoolwrightError("git update-index failed: no.")

    with pytest.raises(PoolwrightError, match="update-index failed"):
        move_all(project, MOVES, finish)
    assert found(project) == before
