"""uv.lock, which the first `uv sync` makes and nobody has committed yet, is in nobody's way."""

from pathlib import Path

from poolwright import releases
from tests.cli.conftest import Poolwright
from tests.update.projects import make


def test_an_update_goes_past_an_untracked_lock_file(tmp_path: Path, poolwright: Poolwright) -> None:
    project = tmp_path / "shop"
    make(releases.tags()[-1], {"database": "sqlite"}, project, tmp_path / "scratch")
    lock = project / "uv.lock"
    lock.write_text("mine\n", encoding="utf-8")
    other = project / "notes.txt"
    other.touch()
    refused = poolwright("update", str(project), "-d", "workers=2")
    assert refused.code == 4
    assert "uncommitted changes: notes.txt." in refused.err
    other.unlink()
    done = poolwright("update", str(project), "-d", "workers=2")
    assert done.code == 0, done.err
    assert "workers: 2" in (project / ".copier-answers.yml").read_text(encoding="utf-8")
    assert lock.read_text(encoding="utf-8") == "mine\n"
