"""The bundle of releases, and as one more this checkout."""

import shutil
from pathlib import Path

import pytest

from poolwright import releases
from scripts.release import append
from tests.cli.conftest import environment, poolwright
from tests.update.projects import HEAD

__all__ = ["environment", "poolwright"]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def bundle_with_head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    bundle = tmp_path_factory.mktemp("bundle") / "releases.bundle"
    shutil.copy(releases.BUNDLE, bundle)
    append(bundle, ROOT, HEAD[1:], "2026-01-01")
    return bundle


@pytest.fixture(autouse=True)
def this_checkout_is_released(bundle_with_head: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releases, "BUNDLE", bundle_with_head)
