"""Bring the database's schema up to date: `python -m app.migrate`. Safe to run twice and from two places at once."""

import asyncio
from textwrap import shorten

from app.db import migrate
from app.errors import RefusedError, UnavailableError
from app.settings import read_migration_settings


def main() -> None:
    """Run the migrations that the database has not had yet."""
    settings = read_migration_settings()
    try:
        asyncio.run(migrate(settings))
    except RefusedError as error:
        words = shorten(str(error.__cause__), 200)
        command = settings.database.commands[error.missing]
        raise SystemExit(f"migrate: {error} ({words}); where it is missing, this makes it: {command}") from None
    except UnavailableError as error:
        untrusted = "certificate verify failed" in f"{error} {error.__cause__}".lower()
        advice = "; DATABASE_CA_FILE names a file with the authority that signed it" if untrusted else ""
        raise SystemExit(f"migrate: {shorten(str(error), 1000)}{advice}") from None


if __name__ == "__main__":
    main()
