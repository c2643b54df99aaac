"""Bring the database's schema up to date: `python -m app.migrate`. Safe to run twice and from two places at once."""

import asyncio

from app.db import migrate
from app.errors import UnavailableError
from app.settings import read_settings


def main() -> None:
    """Run the migrations that the database has not had yet."""
    try:
        asyncio.run(migrate(read_settings()))
    except UnavailableError as error:
        raise SystemExit(f"migrate: {error}") from None


if __name__ == "__main__":
    main()
