"""A project's last commit in a temporary repository of its own, and what was made of it there moved back as a whole.

The repository borrows the project's objects and has nothing else of it: no configuration, attributes, hooks or index.
Its files are the bytes that git has, without the line endings and filters of a check-out.
"""

import os
import stat
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path

from poolwright.committed import Blob, listed, prefix, require_clean
from poolwright.errors import TargetExists
from poolwright.flags import ANSWERS_FILE
from poolwright.git import environment, git, isolated
from poolwright.interrupts import uninterrupted
from poolwright.moving import Entry, Move, entry, move_all

_AS_IN_GIT = "* -text !eol !ident !filter !working-tree-encoding !diff !merge !whitespace\n"
_NEW = {"??", "!!"}
_UNMERGED = {"DD", "AU", "UD", "UA", "DU", "AA", "UU"}
_MODES = {"120000": stat.S_IFLNK, "100755": stat.S_IFREG | 0o755, "100644": stat.S_IFREG | 0o644}
_LINK = "120000"


class WorkingCopy:
    """The last commit of the project in `project`, in a repository at `tree`; paths in it are the project's."""

    def __init__(self, project: Path, tree: Path) -> None:
        self.project, self.tree = project, tree
        self._inside = prefix(project)
        committed = git(project, "rev-parse", f"HEAD:{self._inside}").strip()
        self.before: dict[str, Blob] = listed(project, committed)
        objects = Path(project, git(project, "rev-parse", "--git-path", "objects").rstrip("\n")).resolve()
        kind = git(project, "rev-parse", "--show-object-format").strip()
        tree.mkdir()
        self._git("init", "--quiet", "--initial-branch=main", f"--object-format={kind}")
        for name, text in {"objects/info/alternates": f"{objects}\n", "info/attributes": _AS_IN_GIT}.items():
            (tree / ".git" / name).parent.mkdir(exist_ok=True)
            (tree / ".git" / name).write_text(text, encoding="utf-8", errors="surrogateescape")
        self._git("config", "core.fileMode", _file_mode(project))
        self.commit = self._git("commit-tree", "-m", "The project", committed).strip()
        self._git("reset", "--quiet", "--hard", self.commit)
        self._staged_before = self._staged()

    def rewrite(self, files: Mapping[str, str]) -> None:
        """Commit other text in files of the project, for the merge only: `restore` takes it back."""
        for path, text in files.items():
            (self.tree / path).write_text(text, encoding="utf-8")
        self._git("commit", "--quiet", "--all", "--message", "As it was rendered")

    def restore(self) -> None:
        """Compare with the project's own commit from now on; what is not merged stays so."""
        rewritten = self._git("diff-tree", "-r", "-z", "--name-only", self.commit, "HEAD").split("\0")[:-1]
        self._git("update-ref", "HEAD", self.commit)
        unmerged = {line.partition("\t")[2] for line in self._git("ls-files", "-u", "-z").split("\0")[:-1]}
        if paths := [path for path in rewritten if path not in unmerged]:
            self._git("reset", "--quiet", "HEAD", "--", *paths)

    @cached_property
    def status(self) -> dict[str, str]:
        """The files that differ from the commit, ignored ones too, and git's two letters for how; asked once."""
        lines = self._git("status", "--porcelain", "-z", "--untracked-files=all", "--ignored", "--no-renames")
        return {line[3:]: line[:2] for line in lines.split("\0")[:-1]}

    @property
    def added(self) -> list[str]:
        """The files that the commit has not."""
        return [path for path, letters in self.status.items() if letters in _NEW]

    @property
    def deleted(self) -> list[str]:
        """The files that only the commit has."""
        return [path for path in self.status if not os.path.lexists(self.tree / path)]

    @property
    def conflicts(self) -> list[str]:
        """The files that are not merged."""
        return [path for path, letters in self.status.items() if letters in _UNMERGED]

    @property
    def links(self) -> dict[str, str]:
        """The symbolic links of the project and their targets."""
        paths = [path for path, blob in self.before.items() if blob.mode == _LINK]
        return {path: os.readlink(self.tree / path) for path in paths}

    def differing(self, paths: Iterable[str], made: Path) -> list[str]:
        """Those of these files of the commit that are not what the folder `made` has of them."""
        there = [path for path in paths if (made / path).is_file()]
        names = dict(zip(there, self._blobs([made / path for path in there]), strict=True))
        return [path for path in paths if names.get(path) != self.before[path].name]

    def python(self, *, before: bool) -> dict[str, str]:
        """The texts of the Python files by path: those of the commit, or those of now."""
        paths = {*self.before, *self.added} - (set() if before else set(self.deleted))
        found = {}
        for path in paths:
            if path.endswith(".py") and path not in (self.added if before else ()):
                changed = before and path in self.status
                content = self._content(path) if changed else entry(self.tree / path).content
                found[path] = (content or b"").decode("utf-8", "replace")
        return found

    def diff(self) -> str:
        """How it differs from the commit, new files included, for `git apply`; the index is another one then."""
        assert self.status is not None
        self._git("add", "--all", "--force")
        shape = ["--no-renames", "--binary", f"--src-prefix=a/{self._inside}", f"--dst-prefix=b/{self._inside}"]
        return self._git("diff", "--cached", *shape, self.commit)

    def move(self, when_written: Callable[[], None]) -> None:
        """Make the project's own files what they are here, conflicts in its index included, or change nothing.

        Raises TargetExists where a file came or changed there meanwhile, PoolwrightError where one cannot be written.
        """
        require_clean(self.project)
        for path in self.added:
            if os.path.lexists(self.project / path):
                raise TargetExists(
                    f"{path} is in the way: git ignores it, and the update brings a file of that name.\nMove it away."
                )
        moves = [Move(path, self._checked_out(path)) for path in self.status]
        index = self._index()

        def finish() -> None:
            if index:
                git(self.project, "update-index", "-z", "--index-info", given=index)

        with uninterrupted():
            move_all(self.project, moves, finish)
            when_written()

    def _git(self, *arguments: str, given: str = "") -> str:
        return git(self.tree, *arguments, given=given, variables=isolated())

    def _content(self, path: str) -> bytes | None:
        """What the commit has of a file that differs now, or of the answers."""
        return self._contents[self.before[path].name] if path in self.before else None

    @cached_property
    def _contents(self) -> dict[str, bytes]:
        names = [self.before[path].name for path in {*self.status, ANSWERS_FILE} if path in self.before]
        answer = _bytes(self._git("cat-file", "--batch", given="".join(f"{name}\n" for name in names)))
        found = {}
        while answer:
            header, _, rest = answer.partition(b"\n")
            name, _, size = header.decode().split()
            found[name], answer = rest[: int(size)], rest[int(size) + 1 :]
        return found

    def _blobs(self, paths: Iterable[Path]) -> list[str]:
        """The names that git gives to the contents of files, which this writes here."""
        given = "".join(f"{path}\n" for path in paths)
        return self._git("hash-object", "-w", "--no-filters", "--stdin-paths", given=given).split()

    def _checked_out(self, path: str) -> Entry:
        """What the project gets: the bytes here, or what its git makes of them in a check-out, as it has its files."""
        after = entry(self.tree / path)
        if after.content is None or stat.S_ISLNK(after.mode):
            return after
        return after._replace(content=self._filtered(path, after.content))

    def _filtered(self, path: str, content: bytes) -> bytes:
        """`content` for the project's disk: converted where a file like it is there, and as it is here elsewhere.

        A project that was rendered has the line endings of the template, one that was cloned those that git was told.
        """
        as_in_git = self._as_in_git(path) if path in self.before else self._rendered_where_git_would_convert
        return content if as_in_git else self._as_git_does(path, content)

    def _as_in_git(self, path: str) -> bool:
        """Whether the project's file has the bytes of its commit."""
        on_disk = entry(self.project / path).content
        return on_disk is not None and on_disk == self._content(path)

    @cached_property
    def _rendered_where_git_would_convert(self) -> bool:
        """Whether the answers, which every project has, are as in git where a check-out would make them others."""
        stored = self._content(ANSWERS_FILE) or b""
        return self._as_in_git(ANSWERS_FILE) and self._as_git_does(ANSWERS_FILE, stored) != stored

    def _as_git_does(self, path: str, content: bytes) -> bytes:
        staged = self.tree / ".git" / "content"
        staged.write_bytes(content)
        (name,) = self._blobs([staged])
        borrowing = environment() | {"GIT_ALTERNATE_OBJECT_DIRECTORIES": str(self.tree / ".git/objects")}
        attributes = f"--path={self._inside}{path}"
        return _bytes(git(self.project, "cat-file", "--filters", attributes, name, variables=borrowing))

    def _staged(self) -> dict[str, list[str]]:
        """The lines of the index by path."""
        found: dict[str, list[str]] = {}
        for line in self._git("ls-files", "--stage", "-z").split("\0")[:-1]:
            found.setdefault(line.partition("\t")[2], []).append(line)
        return found

    def _index(self) -> str:
        """What `git update-index --index-info` needs to make the project's index what it is here.

        The contents that it names are written into the project's repository.
        """
        before, after, inside = self._staged_before, self._staged(), self._inside
        lines = []
        for path in sorted(before.keys() | after.keys()):
            if before.get(path) == after.get(path):
                continue
            lines.append(f"0 {'0' * len(self.commit)}\t{inside}{path}")
            for line in after.get(path, []):
                how, _, _ = line.partition("\t")
                content = self._git("cat-file", "blob", how.split()[1])
                git(self.project, "hash-object", "-w", "--stdin", given=content)
                lines.append(f"{how}\t{inside}{path}")
        return "".join(f"{line}\0" for line in lines)


def _file_mode(project: Path) -> str:
    """Whether the project's git looks at the executable bit: "true" or "false"."""
    return git(project, "config", "--type=bool", "--default=true", "--get", "core.fileMode").strip()


def _bytes(written: str) -> bytes:
    return written.encode("utf-8", "surrogateescape")
