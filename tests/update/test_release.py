"""The release script, and that what was released is what the bundle has."""

import re
import shutil
import tomllib
from pathlib import Path

import pytest

from poolwright import releases
from poolwright.catalog import distribution
from poolwright.git import git
from poolwright.render import copy_sources
from scripts.release import BUNDLE, ReleaseError, append, release
from tests.update.conftest import ROOT
from tests.update.projects import files

DATE = "2026-12-31"
RELEASED = releases.BUNDLE


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with this checkout's files, changed since the last release."""
    root = tmp_path / "checkout"
    copy_sources(ROOT, root)
    for name in ("pyproject.toml", "CHANGELOG.md", BUNDLE):
        shutil.copy(ROOT / name, root / name)
    changelog = root / "CHANGELOG.md"
    text = changelog.read_text(encoding="utf-8")
    changelog.write_text(text.replace("## Unreleased\n", "## Unreleased\n\n- In generated projects: more.\n", 1))
    git(root, "init", "--quiet", "--initial-branch=main")
    for key, value in {"user.name": "A", "user.email": "a@example.org"}.items():
        git(root, "config", key, value)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "all")
    return root


def next_version() -> str:
    major, minor, _ = releases.parse(releases.tags(RELEASED)[-1]) or (0, 0, 0)
    return f"{major}.{minor + 1}.0"


def test_a_release_is_one_commit_with_a_tag_a_date_and_one_more_commit_in_the_bundle(checkout: Path) -> None:
    version = next_version()
    release(checkout, version, DATE, lambda: None)
    assert git(checkout, "status", "--porcelain") == ""
    assert git(checkout, "tag", "--points-at", "HEAD") == f"v{version}\n"
    changed = git(checkout, "diff", "--name-only", "HEAD^").splitlines()
    assert sorted(changed) == sorted(["CHANGELOG.md", str(BUNDLE), "pyproject.toml"])
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == version
    assert f"## Unreleased\n\n## {version} ({DATE})\n\n- In generated projects: more.\n" in (
        checkout / "CHANGELOG.md"
    ).read_text(encoding="utf-8")
    assert releases.tags(checkout / BUNDLE) == [*releases.tags(RELEASED), f"v{version}"]


def test_a_bundle_made_twice_has_the_same_bytes_and_keeps_its_releases(checkout: Path, tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        bundle = tmp_path / name
        shutil.copy(RELEASED, bundle)
        append(bundle, checkout, next_version(), DATE)
        made.append(bundle)
    assert made[0].read_bytes() == made[1].read_bytes()
    for tag in releases.tags(RELEASED):
        heads = [git(tmp_path, "ls-remote", str(bundle), f"refs/tags/{tag}") for bundle in (RELEASED, made[0])]
        assert heads[0] == heads[1] != ""


@pytest.mark.parametrize("fault", ["dirty", "older", "no version", "nothing to tell", "tag", "red"])
def test_what_cannot_be_released_changes_nothing(fault: str, checkout: Path) -> None:
    version = next_version()

    def test() -> None:
        if fault == "red":
            raise ReleaseError("The tests fail.")

    if fault == "dirty":
        (checkout / "new").write_text("", encoding="utf-8")
    elif fault == "older":
        version = releases.tags(RELEASED)[0][1:]
    elif fault == "no version":
        version = "1.2"
    elif fault == "tag":
        git(checkout, "tag", f"v{version}")
    elif fault == "nothing to tell":
        changelog = checkout / "CHANGELOG.md"
        text = changelog.read_text(encoding="utf-8")
        rest = text.partition("\n## ")[2].partition("\n## ")[2]
        changelog.write_text(f"# Changelog\n\n## Unreleased\n\n- A thing.\n\n## {rest}", encoding="utf-8")
        git(checkout, "commit", "--quiet", "--all", "--message", "less")
    before = git(checkout, "rev-parse", "HEAD"), git(checkout, "status", "--porcelain"), git(checkout, "tag")
    with pytest.raises(ReleaseError):
        release(checkout, version, DATE, test)
    assert (git(checkout, "rev-parse", "HEAD"), git(checkout, "status", "--porcelain"), git(checkout, "tag")) == before


def test_the_changelog_names_the_releases_of_the_bundle() -> None:
    named = re.findall(r"^## (\d+\.\d+\.\d+) \(\d{4}-\d\d-\d\d\)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert [f"v{version}" for version in reversed(named)] == releases.tags(RELEASED)


def test_a_checkout_with_a_releases_version_has_its_template(tmp_path: Path) -> None:
    version = distribution().version
    if re.fullmatch(r"\d+\.\d+\.\d+\.dev0", version):
        assert f"v{version.removesuffix('.dev0')}" not in releases.tags(RELEASED)
        return
    git(tmp_path, "clone", "--quiet", "--branch", f"v{version}", str(RELEASED), "released")
    copy_sources(ROOT, tmp_path / "here")
    assert files(tmp_path / "released") == files(tmp_path / "here"), "what has changed since is a .dev0"
