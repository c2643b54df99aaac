"""A commit in a repository of its own, and its files back in a project as that project has them."""

from pathlib import Path

import pytest

from poolwright.errors import PoolwrightError
from poolwright.git import git
from poolwright.working_copy import WorkingCopy
from tests.update.projects import commit

TEXT = b"one\ntwo\n"
FILES = dict.fromkeys([".copier-answers.yml", "app/plan.py", "app/gone.py", "run"], TEXT) | {"b\u00fcld": b"\x00\xff"}


@pytest.fixture(params=["sha1", "sha256"])
def top(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A repository with a project in a folder of it, and something else."""
    project = tmp_path / "top/services/my shop"
    (project / "app").mkdir(parents=True)
    for name, content in FILES.items():
        (project / name).write_bytes(content)
    (tmp_path / "top/other").write_bytes(TEXT)
    git(tmp_path / "top", "init", "--quiet", f"--object-format={request.param}")
    commit(tmp_path / "top")
    return tmp_path / "top"


def changed(project: Path, tree: Path) -> WorkingCopy:
    """A copy of a project in which everything happened that an update does."""
    copy = WorkingCopy(project, tree)
    (tree / "app/plan.py").write_bytes(TEXT + b"three\n")
    (tree / "app/gone.py").unlink()
    (tree / "new").mkdir()
    (tree / "new/file.bat").write_bytes(TEXT)
    (tree / "b\u00fcld").write_bytes(b"\x00\xfe")
    (tree / "run").chmod(0o755)
    return copy


def written(project: Path) -> list[bytes]:
    """The bytes of a file that the update changed, of one that it brought, and of one that git never converts."""
    assert not (project / "app/gone.py").exists()
    assert (project / "run").stat().st_mode & 0o111
    return [(project / name).read_bytes() for name in ("app/plan.py", "new/file.bat", "b\u00fcld")]


def nothing() -> None:
    pass


def crlf(text: bytes) -> bytes:
    return text.replace(b"\n", b"\r\n")


def test_the_difference_can_be_applied_from_the_top(top: Path, tmp_path: Path) -> None:
    copy = changed(top / "services/my shop", tmp_path / "tree")
    git(top, "apply", given=copy.diff())
    assert written(top / "services/my shop") == [TEXT + b"three\n", TEXT, b"\x00\xfe"]


def test_all_is_moved_and_what_is_not_merged_stays_so(top: Path, tmp_path: Path) -> None:
    project = top / "services/my shop"
    copy = changed(project, tmp_path / "tree")
    name = git(copy.tree, "hash-object", "-w", "app/plan.py").strip()
    lines = "".join(f"100644 {name} {stage}\tapp/plan.py\n" for stage in (1, 2, 3))
    git(copy.tree, "update-index", "--index-info", given=f"0 {'0' * len(name)}\tapp/plan.py\n{lines}")
    assert (copy.conflicts, copy.deleted, copy.added) == (["app/plan.py"], ["app/gone.py"], ["new/file.bat"])
    copy.move(nothing)
    assert written(project) == [TEXT + b"three\n", TEXT, b"\x00\xfe"]
    assert git(project, "cat-file", "blob", name) == (TEXT + b"three\n").decode()
    status = git(top, "status", "--porcelain", "-z", "--untracked-files=all", "--no-renames").split("\0")[:-1]
    found = {line[len("xx services/my shop/") :]: line[:2] for line in status}
    wanted = {"app/gone.py": " D", "app/plan.py": "UU", "new/file.bat": "??", "run": " M"}
    assert found == wanted | {"b\u00fcld": " M"}


@pytest.mark.parametrize("where", ["configuration", "attributes"])
@pytest.mark.parametrize("checked_out", [True, False])
def test_line_ends_are_those_that_the_project_has(checked_out: bool, where: str, top: Path, tmp_path: Path) -> None:
    project = top / "services/my shop"
    if where == "configuration":
        git(top, "config", "core.autocrlf", "true")
    else:
        (top / ".gitattributes").write_text("* text=auto eol=crlf\n", encoding="utf-8")
        commit(top)
    if checked_out:
        for name in FILES:
            (project / name).unlink()
        git(top, "checkout", "--quiet", ".")
        assert (project / "app/plan.py").read_bytes() == crlf(TEXT)
    changed(project, tmp_path / "tree").move(nothing)
    wanted = [TEXT + b"three\n", TEXT]
    assert written(project) == [*(map(crlf, wanted) if checked_out else wanted), b"\x00\xfe"]


def test_a_file_has_the_line_ends_of_its_kind(top: Path, tmp_path: Path) -> None:
    (top / ".gitattributes").write_text("*.bat eol=crlf\n", encoding="utf-8")
    commit(top)
    changed(top / "services/my shop", tmp_path / "tree").move(nothing)
    assert written(top / "services/my shop") == [TEXT + b"three\n", crlf(TEXT), b"\x00\xfe"]


def test_an_index_that_cannot_be_written_undoes_all(top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = top / "services/my shop"
    copy = changed(project, tmp_path / "tree")
    git(copy.tree, "add", "app/plan.py")
    real = copy._index()

    def locked() -> str:
        (top / ".git/index.lock").write_bytes(b"")  # by another process, in the middle
        return real

    monkeypatch.setattr(copy, "_index", locked)
    with pytest.raises(PoolwrightError, match=r"index\.lock"):
        copy.move(nothing)
    (top / ".git/index.lock").unlink()
    assert git(top, "status", "--porcelain") == ""
