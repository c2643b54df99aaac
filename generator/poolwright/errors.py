"""What can go wrong, each with the exit code that scripts can rely on.

PoolwrightError          1  a step failed
├── UsageError           2  the command line is wrong
│   ├── InvalidAnswer    2  an answer is unknown, mistyped or refused
│   └── MissingAnswers   2  answers are missing and nobody can be asked
├── PlanDoesNotFit       3  the server cannot carry the processes
├── TargetExists         4  the directory to write is in use
└── Unreachable          5  a server cannot be reached
"""

import re
from collections.abc import Sequence

_PASSWORD = re.compile(r"(?P<before>[a-zA-Z][a-zA-Z0-9+.-]*://[^\s:/@]*:)\S*@")
_SECRET_PARAMETER = re.compile(r"(?P<before>[?&](?:password|pwd|token)=)[^&\s'\"]+", re.IGNORECASE)


class PoolwrightError(Exception):
    """A step failed; the message says what was seen, the limit, and what to change."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(shown(message))


class UsageError(PoolwrightError):
    """The command line is wrong."""

    exit_code = 2


class InvalidAnswer(UsageError):
    """The answer to question `key` is unknown, mistyped or refused."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class MissingAnswers(UsageError):
    """The answers to `keys` are missing, and nobody can be asked."""

    def __init__(self, keys: Sequence[str], message: str) -> None:
        super().__init__(message)
        self.keys = list(keys)


class PlanDoesNotFit(PoolwrightError):
    """The server cannot carry one connection for every process."""

    exit_code = 3


class TargetExists(PoolwrightError):
    """The directory to write exists and is not empty, or is no directory."""

    exit_code = 4


class Unreachable(PoolwrightError):
    """A server cannot be reached, or does not answer."""

    exit_code = 5


def shown(text: str) -> str:
    """The text as a terminal may show it: passwords in URLs masked, control characters escaped."""
    masked = _PASSWORD.sub(r"\g<before>***@", text)
    masked = _SECRET_PARAMETER.sub(r"\g<before>***", masked)
    return "".join(letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in masked)


def quoted(value: object) -> str:
    """A user's value in quotes for a message, cut at 60 characters; a list or mapping only by its kind."""
    if not isinstance(value, str | int | float | None):
        return "a list" if isinstance(value, list) else "a mapping" if isinstance(value, dict) else "that"
    text = str(value)
    return f"'{text[:60]}...'" if len(text) > 60 else f"'{text}'"
