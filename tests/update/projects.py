"""Generated projects in git, with what their owners did to them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from poolwright import catalog, releases
from poolwright.git import git
from poolwright.questions import carry_over
from poolwright.render import render_from

#: The release that the tests make of this checkout.
HEAD = "v999.0.0"
PROJECT = {"project_name": "update-test"}

Files = dict[str, tuple[bool, bytes]]


def _replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def edit(content: bytes) -> bytes:
        assert content.count(old) == 1, f"{old!r} is {content.count(old)} times in the file"
        return content.replace(old, new)

    return edit


#: What an owner changed in files of the template: settings, a route, the Python that is needed.
EDITS: dict[str, Callable[[bytes], bytes]] = {
    "app/settings.py": lambda content: content + b"\nOWN_LIMIT = 7\n",
    "app/main.py": lambda content: (
        _replaced(b"from app.factory", b"from app.api import own\nfrom app.factory")(content)
        + b'app.get("/own", tags=["own"])(own.get_own)\n'
    ),
    "pyproject.toml": _replaced(b'requires-python = ">=3.11"', b'requires-python = ">=3.11,<4"'),
    ".gitignore": lambda content: b"/notes/\n" + content,
}
#: Files that only the project has.
OWN = {
    "app/api/own.py": """\"\"\"Mine.\"\"\"

from fastapi import Request

from app.repository import borrowed_repository


async def get_own(request: Request) -> list[str]:
    async with borrowed_repository(request) as repository:
        return [item.name for item in await repository.list_items(10, None)]
""",
    "app/db/own.py": "# mine\n",
    "deploy/own/notes.txt": "mine\n",
    "ünïcode name.txt": "mine\n",
}
REMOVED = ".dockerignore"
IGNORED = {".env": "POOL_SIZE=3\n", "notes/x.rej": "mine\n"}


def unpacked(tag: str, folder: Path) -> Path:
    """The template of a release, or of this checkout."""
    return catalog.root() if tag == HEAD else releases.unpack(tag, folder)


def make(tag: str, answers: Mapping[str, Any], project: Path, scratch: Path) -> dict[str, Any]:
    """A project as `new` of that release makes it, and committed; the answers that it stores."""
    stored = render(tag, answers, project, scratch)
    git(project, "init", "--quiet")
    commit(project)
    return stored


def render(tag: str, answers: Mapping[str, Any], project: Path, scratch: Path) -> dict[str, Any]:
    """A fresh render with a release of the answers that a project with these would have there; those answers."""
    work = scratch / f"render-{tag}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    template = unpacked(tag, work / "template")
    evaluation, _ = carry_over({**PROJECT, **answers}, {}, template)
    render_from(template, tag, evaluation, project)
    return evaluation.answers


def edit(project: Path) -> None:
    """Do to a project what an owner does, and commit."""
    for name, change in EDITS.items():
        (project / name).write_bytes(change((project / name).read_bytes()))
    for name, text in (OWN | IGNORED).items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text, encoding="utf-8")
    (project / REMOVED).unlink()
    commit(project)


def commit(project: Path) -> None:
    git(project, "add", "--all")
    git(project, "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "--quiet", "--message", "mine")


def files(project: Path) -> Files:
    """Every file of a project outside of .git: whether it is executable, and its bytes."""
    found = (path for path in project.rglob("*") if path.is_file() and ".git" not in path.relative_to(project).parts)
    return {
        path.relative_to(project).as_posix(): (os.access(path, os.X_OK), path.read_bytes())
        for path in found
        if "__pycache__" not in path.parts
    }


def edited(fresh: Files) -> Files:
    """What the files of a fresh render are with an owner's changes."""
    kept = {name: found for name, found in fresh.items() if name != REMOVED}
    kept |= {name: (kept[name][0], change(kept[name][1])) for name, change in EDITS.items()}
    return kept | {name: (False, text.encode()) for name, text in (OWN | IGNORED).items()}


def state(project: Path) -> tuple[Files, str, str, str]:
    """All that an update may change: the files, git's status, its index and its worktrees."""
    listed = [["status", "--porcelain"], ["ls-files", "--stage"], ["worktree", "list", "--porcelain"]]
    return (files(project), *(git(project, *command) for command in listed))  # type: ignore[return-value]


def start_update(
    project: Path, bundle: Path, environment: Mapping[str, str], *arguments: str, **streams: Any
) -> "subprocess.Popen[Any]":
    """`poolwright update` in a process of its own, with the releases of this bundle."""
    script = (
        "import sys, pathlib; from poolwright import releases; from poolwright.__main__ import main\n"
        f"releases.BUNDLE = pathlib.Path({str(bundle)!r}); sys.exit(main())"
    )
    words = [sys.executable, "-c", script, "update", str(project), *arguments]
    return subprocess.Popen(words, env=environment, **streams)


def plain_copier(project: Path, source: Path, *arguments: str, **variables: str) -> None:
    """Plain `copier update`, with the repository at `source` where the project's URL is."""
    url = catalog.distribution().repository
    variables |= {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{source}.insteadOf",
        "GIT_CONFIG_VALUE_0": f"{url}.git",
        "COPIER_CACHE_DIR": str(source.parent / "cache"),
    }
    command = ["copier", "update", "--defaults", "--quiet", *arguments, str(project)]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
