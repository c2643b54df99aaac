"""The flags of the commands: one for every question of copier.yml, and those that all commands share."""

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from poolwright import catalog, questions
from poolwright.errors import UsageError, quoted
from poolwright.questions import keys as all_keys

#: Where a generated project has its answers.
ANSWERS_FILE = ".copier-answers.yml"


def _version(wanted: bool) -> None:
    if wanted:
        print(f"poolwright {catalog.distribution().version}")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else there.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print results and errors only.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Print more.")]
Directory = Annotated[Optional[str], typer.Argument(metavar="DIR", help="The project's directory.", show_default=False)]  # noqa: UP045
AnswersFile = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads it at run time
    typer.Option("--answers", metavar="FILE", help="A YAML file of answers, such as a project's .copier-answers.yml."),
]
Data = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("-d", "--data", metavar="KEY=VALUE", help="An answer by its key; may be repeated."),
]
Server = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--server", metavar="NAME", help="The limit of a managed server: neon-1cu. See plan --servers."),
]
Servers = Annotated[bool, typer.Option("--servers", help="List the managed servers with date and source.")]
Rps = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option("--rps", metavar="NUMBER", help="Load: requests per second over the whole deployment."),
]
HoldMs = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option("--hold-ms", metavar="NUMBER", help="Load: mean milliseconds that a request holds a connection."),
]
Cores = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--cores", metavar="NUMBER", help="Load: cores of the database server, to see what they can use."),
]


def with_answer_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with a flag for every question; those given arrive as the mapping `flags`."""
    own = [parameter for name, parameter in inspect.signature(command).parameters.items() if name != "flags"]
    added = [_flag(key) for key in all_keys()]

    @functools.wraps(command)
    def wrapped(**arguments: Any) -> Any:
        flags = {key: arguments.pop(key) for key in all_keys()}
        return command(**arguments, flags={key: value for key, value in flags.items() if value is not None})

    wrapped.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *added]}
    return wrapped


def gather(answers_file: Path | None, data: list[str] | None, flags: Mapping[str, Any]) -> dict[str, Any]:
    """The answers given: flags go before `-d`, and `-d` before the file."""
    given = read_answers(answers_file) if answers_file else {}
    return given | dict(pair(text) for text in data or []) | dict(flags)


def path(directory: str | None) -> Path | None:
    """The directory given, or None; UsageError for an empty name."""
    if directory == "":
        raise UsageError("DIR is empty: give the name of a directory, or leave it out.")
    return None if directory is None else Path(directory)


def pair(text: str) -> tuple[str, str]:
    """The key and the value of KEY=VALUE."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"{quoted(text)} is not KEY=VALUE: workers=4, for example.")
    return key.strip().replace("-", "_"), value


def answers_file(project: Path) -> Path:
    """The answers file of a generated project; UsageError where the directory holds none."""
    path = project / ANSWERS_FILE
    if not path.is_file():
        raise UsageError(f"{project} is no generated project: it has no {ANSWERS_FILE}.\nGive the directory of one.")
    return path


def read_answers(path: Path) -> dict[str, Any]:
    """The answers in a YAML file."""
    return answers_in(read_document(path))


def answers_in(document: Mapping[str, Any]) -> dict[str, Any]:
    """The answers among the keys of an answers file: copier's own keys start with an underscore."""
    return {key: value for key, value in document.items() if not key.startswith("_")}


def read_document(path: Path) -> dict[str, Any]:
    """All keys of an answers file; UsageError where it is none."""
    try:
        return document_in(path.read_text(encoding="utf-8"), path)
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror}.") from error
    except ValueError as error:
        raise UsageError(f"{path} is not a YAML file of answers.") from error


def document_in(text: str, path: Path) -> dict[str, Any]:
    """All keys of the text of an answers file at `path`; UsageError where it is none."""
    import yaml

    try:
        found = yaml.safe_load(text)  # not libyaml, which deep nesting crashes
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not a YAML file of answers.") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path} holds no answers: lines such as `database: sqlite` are expected.")
    return {str(key): value for key, value in found.items()}


def spelled(key: str) -> str:
    """The flag of a question."""
    return "--" + key.replace("_", "-")


@functools.cache
def _flag(key: str) -> inspect.Parameter:
    text = questions.help_text(key, questions.defaults()) + "."
    kind = questions.type_of(key)
    if kind == "bool":
        switch = typer.Option(f"{spelled(key)}/--no-{spelled(key)[2:]}", help=text)
        annotation: Any = Annotated[Optional[bool], switch]  # noqa: UP045
    else:
        values = "|".join(questions.possible(key)) or {"int": "NUMBER", "str": "TEXT"}[kind]
        annotation = Annotated[Optional[str], typer.Option(spelled(key), help=text, metavar=values)]  # noqa: UP045
    return inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
