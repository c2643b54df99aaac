"""`poolwright update`, offline from the bundle, and plain `copier update`, from a repository at the URL: the same."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from poolwright import releases
from poolwright.git import git
from tests.cli.conftest import Poolwright
from tests.update.projects import HEAD, commit, edit, make, plain_copier, state

RELEASE = releases.tags()[-1]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, bundle_with_head: Path) -> Path:
    """A repository with the tags of the releases, and with more than what a render reads."""
    folder = tmp_path_factory.mktemp("repository") / "poolwright"
    git(folder.parent, "clone", "--quiet", str(bundle_with_head), str(folder))
    (folder / "README.md").write_text("More.\n", encoding="utf-8")
    commit(folder)
    git(folder, "tag", "--force", HEAD)
    return folder


@pytest.mark.parametrize(
    ("answers", "changes", "conflict"),
    [
        ({"database": "mongodb"}, {}, False),
        ({"style": "raw"}, {"style": "tortoise", "workers": "2"}, True),
        ({"deployment": "kubernetes", "read_replica": True}, {"deployment": "vm", "database": "mysql"}, False),
    ],
)
def test_both_ways_give_the_same(
    answers: dict[str, Any],
    changes: dict[str, str],
    conflict: bool,
    repository: Path,
    tmp_path: Path,
    poolwright: Poolwright,
) -> None:
    ours, plain = tmp_path / "ours", tmp_path / "plain"
    make(RELEASE, answers, ours, tmp_path / "scratch")
    edit(ours)
    if conflict:
        for name in ("app/db/repository.py", "app/db/pool.py"):
            (ours / name).write_text("# mine\n" + (ours / name).read_text(encoding="utf-8"), encoding="utf-8")
        commit(ours)
    shutil.copytree(ours, plain, symlinks=True)
    given = [word for key, value in changes.items() for word in ("-d", f"{key}={value}")]
    done = poolwright("update", "ours", "--json", *given)
    assert done.code == (1 if conflict else 0), done.err
    told = json.loads(done.out)["answers"]
    changed = [f"--data={key}={row['after']}" for key, row in told.items() if row["after"] is not None]
    plain_copier(plain, repository, *changed)
    ((files, *rest), (plain_files, *plain_rest)) = state(ours), state(plain)
    assert files == plain_files
    assert rest[:2] == plain_rest[:2]
