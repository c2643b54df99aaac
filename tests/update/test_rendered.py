"""What a project's files were rendered from, for every release that a project can be of."""

from pathlib import Path

import pytest

from poolwright import releases, rendered
from poolwright.questions import Evaluation, evaluate_stored
from poolwright.rendered import PLAN_FILE, best, corrected, differences
from poolwright.stored import text
from tests.update.projects import files, render

RELEASES = releases.tags()


@pytest.mark.parametrize("database", ["postgresql", "mongodb"])
@pytest.mark.parametrize("tag", [RELEASES[0], RELEASES[-1]])
def test_a_plan_of_other_answers_is_found_and_corrected(tag: str, database: str, tmp_path: Path) -> None:
    then = render(tag, {"database": database}, tmp_path / "then", tmp_path / "scratch")
    now = render(tag, {**then, "workers": 7}, tmp_path / "now", tmp_path / "scratch")
    # What a template asks is kept by its path, and two tests may have the same folder, one after the other.
    template = releases.unpack(tag, tmp_path / f"template-{tag}")
    before, after = (evaluate_stored(answers, template) for answers in (then, now))
    old, new = (text(tmp_path / name / PLAN_FILE) or "" for name in ("then", "now"))
    assert differences(old, before, template) == differences(new, after, template) == []
    found = {row.name: (row.found, row.answered) for row in differences(old, after, template)}
    assert found["processes"] == ("1 x (4 + 1) = 5", "1 x (7 + 1) = 8")
    own = "\n# mine\nOWN = 1\n"
    assert corrected(old + own, after, template) == new + own
    assert sorted(name for _, name in rendered.files(before, template)) == sorted(files(tmp_path / "then"))

    def from_which(files: dict[str, str | None]) -> Evaluation:
        return best([before], after, template, files)

    assert from_which({PLAN_FILE: old}) is before
    assert from_which({PLAN_FILE: new}) is after
    assert from_which({PLAN_FILE: None, "README.md": "mine\n"}) is after
