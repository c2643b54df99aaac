"""Bring the database's schema up to date: `python -m app.migrate`. Safe to run twice and from two places at once."""

import asyncio

from app.db import migrate
from app.errors import UnavailableError
from app.settings import read_migration_settings


def main() -> None:
    """Run the migrations that the database has not had yet."""
    settings = read_migration_settings()
    try:
        asyncio.run(migrate(settings))
    except UnavailableError as error:
        raise SystemExit(f"migrate: {settings.explain(error)}") from None


if __name__ == "__main__":
    main()
