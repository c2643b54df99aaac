"""Which imports lead nowhere once a project's modules have changed."""

import pytest

from poolwright.imports import gone

BEFORE = {
    "app/__init__.py": "",
    "app/db/__init__.py": "from app.db.pool import Pool\nSession = int\n",
    "app/db/pool.py": "class Pool: ...\nif True:\n    limit, other = 1, 2\n",
    "app/db/raw.py": "def run(): ...\n",
    "app/plugins/one.py": "A = 1\n",
}
AFTER = {
    "app/__init__.py": "",
    "app/db/__init__.py": "Session = int\n",
    "app/db/pool.py": "class Pool: ...\n",
}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("import app.db.raw", ["app.db.raw"]),
        ("import app.db.raw as r", ["app.db.raw"]),
        ("from app.db import raw", ["app.db.raw"]),
        ("from app.db.raw import run", ["app.db.raw.run"]),
        ("from app.db.raw import *", ["app.db.raw"]),
        ("from app.db import Pool, Session", ["app.db.Pool"]),
        ("from app.db.pool import Pool, limit", ["app.db.pool.limit"]),
        ("from .db import raw", ["app.db.raw"]),
        ("from . import plugins", ["app.plugins"]),
        ("from app.plugins import one", ["app.plugins.one"]),
        ("def late():\n    from app.db import raw", ["app.db.raw"]),
        ("from app.db import pool\nprint(pool.limit, pool.Pool)", ["app.db.pool.limit"]),
        ("import app.db.pool as p\nprint(p.limit)", ["app.db.pool.limit"]),
        ("from app.db import Session\nimport json, missing\nfrom app.db import never", []),
        ("<<<<<<< before updating\nfrom app.db import raw", []),
    ],
)
def test_what_is_named(text: str, names: list[str]) -> None:
    own = {"app/own.py": text}
    assert gone(BEFORE | own, AFTER | own) == ({"app/own.py": names} if names else {})


def test_a_module_with_names_of_its_own_making_is_trusted() -> None:
    own = {"own.py": "from app.db.pool import limit\n"}
    after = AFTER | {"app/db/pool.py": "def __getattr__(name): ...\n"}
    assert gone(BEFORE | own, after | own) == {}
