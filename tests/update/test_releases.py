"""Every release's project of every layer becomes what this checkout renders; what its owner did stays."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from copier._vcs import get_repo

from poolwright import releases
from poolwright.catalog import distribution
from poolwright.git import isolated
from poolwright.update import apply, prepared, read_project
from tests.products import product
from tests.smoke.layers import Layer, all_layers, one_of_each
from tests.update.projects import HEAD, edit, edited, files, make, render

RELEASES = releases.tags()
LAYERS = one_of_each("driver", all_layers())
# Each driver and style, from each of the releases in turn: what an owner edits is in files that all layers have.
UPDATES = product(
    [(layer, tag) for layer in all_layers() for tag in RELEASES],
    [
        (LAYERS[number % len(LAYERS)], RELEASES[-1 - number % len(RELEASES)])
        for number in range(max(len(LAYERS), len(RELEASES)))
    ],
)


def updated(project: Path, changes: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The conflicts of an update of a project to this checkout, and the edits that were deleted."""
    with prepared(read_project(project), None, changes) as update:
        assert update.to == HEAD
        found = apply(update, dry_run=False)
    return found.conflicts, found.edits_deleted


def test_there_are_releases() -> None:
    assert RELEASES


@pytest.mark.parametrize(
    "source",
    [
        "https://{}/{}",
        "https://{}/{}.git",
        "git+https://{}/{}",
        "git+https://{}/{}.git",
        "git@{}:{}.git",
        "ssh://git@{}/{}.git",
        "gh:{1}",
        "gh:{1}.git",
    ],
)
def test_every_form_of_the_url_leads_to_the_bundle(source: str, tmp_path: Path) -> None:
    host, name = distribution().repository.removeprefix("https://").split("/", 1)
    written = source.format(host, name)
    assert releases.is_ours(written)
    url = get_repo(written)
    assert url
    alone = isolated(*releases.redirects()) | {"GIT_ALLOW_PROTOCOL": "file", "HOME": str(tmp_path)}
    listed = subprocess.run(["git", "ls-remote", "--tags", url], env=alone, capture_output=True, text=True)
    assert {line.rpartition("/")[2] for line in listed.stdout.splitlines()} == set(releases.tags())


@pytest.mark.parametrize("source", ["https://example.org/poolwright/poolwright", "gh:other/poolwright", ".", ""])
def test_another_template_is_not_ours(source: str) -> None:
    assert not releases.is_ours(source)


@pytest.mark.parametrize(("layer", "tag"), UPDATES, ids=str)
def test_an_update_equals_a_fresh_render_and_keeps_what_is_the_owners(layer: Layer, tag: str, tmp_path: Path) -> None:
    project, fresh = tmp_path / "project", tmp_path / "fresh"
    answers = {**vars(layer), "deployment": "vm"}
    make(tag, answers, project, tmp_path)
    edit(project)
    assert updated(project, {}) == ([], [])
    render(HEAD, answers, fresh, tmp_path)
    assert files(project) == edited(files(fresh))
