"""Makes a release: `make release VERSION=1.2.3`.

The tree must be clean and the tests green. The changelog gets the date, pyproject.toml the version, and the bundle a
commit of what a render reads, tagged; then all of it is committed and tagged in the repository.
"""

import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from poolwright import releases
from poolwright.render import copy_sources

ROOT = Path(__file__).resolve().parents[1]
BUNDLE = releases.BUNDLE.relative_to(ROOT)
UNRELEASED = "## Unreleased\n"


class ReleaseError(Exception):
    """The release cannot be made."""


def release(root: Path, version: str, date: str, test: Callable[[], object]) -> None:
    """Release the checkout at `root` as `version` ("1.2.3") on `date` ("2026-12-31").

    `test` raises where the tests are not green. Raises ReleaseError before anything is changed.
    """
    _check(root, version)
    test()
    _git(root, "diff", "--quiet", "HEAD")
    changelog, pyproject = root / "CHANGELOG.md", root / "pyproject.toml"
    _replace(changelog, UNRELEASED, f"{UNRELEASED}\n## {version} ({date})\n")
    _replace(pyproject, f'version = "{_version(pyproject)}"', f'version = "{version}"')
    append(root / BUNDLE, root, version, date)
    _git(root, "add", str(BUNDLE), "CHANGELOG.md", "pyproject.toml")
    _git(root, "commit", "--quiet", "--message", f"release: {version}")
    _git(root, "tag", f"v{version}")


def append(bundle: Path, root: Path, version: str, date: str) -> None:
    """Add a release to a bundle, or make the bundle: one commit of what a render reads in the checkout at `root`.

    The bytes depend on nothing but the bundle, the files, the version and the date.
    """
    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        repository, tree = Path(folder) / "repository", Path(folder) / "tree"
        _git(Path(folder), "init", "--quiet", "--bare", "--initial-branch=main", str(repository))
        if bundle.exists():
            _git(repository, "fetch", "--quiet", str(bundle), "main:main", "refs/tags/*:refs/tags/*")
        copy_sources(root, tree)
        at_root = ["--git-dir", str(repository), "--work-tree", str(tree)]
        options = ["-c", "core.autocrlf=false", "-c", "core.fileMode=true", "-c", "commit.gpgSign=false"]
        _git(tree, *at_root, *options, "add", "--all", "--force", ".")
        message = ["--message", f"Poolwright {version}"]
        _git(tree, *at_root, *options, "commit", "--quiet", "--allow-empty", "--no-verify", *message, date=date)
        _git(repository, "tag", "--no-sign", f"v{version}", "main")
        one_way = ["-c", "pack.threads=1"]  # the same bytes on a machine with more cores
        _git(repository, *one_way, "bundle", "create", "--quiet", str(bundle), "HEAD", "--branches", "--tags")


def _check(root: Path, version: str) -> None:
    if releases.parse(f"v{version}") is None:
        raise ReleaseError(f"{version} is no version: 1.2.3, for example.")
    known = releases.tags(root / BUNDLE)
    if known and (releases.parse(f"v{version}") or ()) <= (releases.parse(known[-1]) or ()):
        raise ReleaseError(f"{version} does not come after {known[-1][1:]}.")
    if _git(root, "tag", "--list", f"v{version}"):
        raise ReleaseError(f"There is a tag v{version}.")
    if found := _git(root, "status", "--porcelain"):
        raise ReleaseError(f"The tree is not clean:\n{found}")
    entries = (root / "CHANGELOG.md").read_text(encoding="utf-8").partition(UNRELEASED)[2].partition("\n## ")[0]
    if "In generated projects" not in entries:
        raise ReleaseError('CHANGELOG.md says nothing under "Unreleased" of what changes in generated projects.')


def _version(pyproject: Path) -> str:
    found = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["version"]
    return str(found)


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path} has {old!r} {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")


def _git(folder: Path, *arguments: str, date: str | None = None) -> str:
    who = {"NAME": "Poolwright", "EMAIL": "poolwright@users.noreply.github.com", "DATE": f"{date}T00:00:00+0000"}
    fixed = {f"GIT_{role}_{name}": value for role in ("AUTHOR", "COMMITTER") for name, value in who.items()}
    environment = os.environ | (fixed if date else {})
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise ReleaseError(f"git {' '.join(arguments)}: {done.stderr or done.stdout}")
    return done.stdout


def main() -> int:
    """The command line: one argument, the version."""
    try:
        today = datetime.now(UTC).date().isoformat()
        release(ROOT, sys.argv[1], today, lambda: subprocess.run(["make", "test"], cwd=ROOT, check=True))
    except (ReleaseError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
