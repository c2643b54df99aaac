"""One question at a time on a terminal: a choice or a line of text, with Esc to go back.

questionary and prompt_toolkit are imported here only. Everything is shown on stderr.
"""

import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import questionary
from prompt_toolkit import print_formatted_text
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent, merge_key_bindings
from prompt_toolkit.keys import Keys
from prompt_toolkit.output import create_output

from poolwright import interrupts
from poolwright.questionnaire import Choice

#: What a prompt returns for Esc.
BACK = object()

_ESCAPE_SECONDS = 0.05  # how long after Esc a terminal may still be sending an arrow key
_CHOOSE_HINT = "(arrows, Enter; Esc goes back)"
_WRITE_HINT = "(Enter; Esc goes back)"
_STYLE = questionary.Style(
    [
        ("disabled", "fg:ansibrightblack"),
        ("separator", "fg:ansibrightblack"),
        ("placeholder", "fg:ansibrightblack"),
        ("note", "fg:ansibrightblack"),
        ("bottom-toolbar", "noreverse"),
        ("reserve", "fg:ansiyellow"),
        ("app", "fg:ansigreen"),
        ("missing", "fg:ansired"),
    ]
)

#: Lines of (part of the plan or "", text).
Lines = list[list[tuple[str, str]]]


class Screen:
    """The lines below each other on the terminal, which can be taken back."""

    def __init__(self) -> None:
        self._output = create_output(stdout=sys.stderr)
        #: Whether notes below the line can be seen: not on a terminal that does not tell where its cursor is.
        self.shows_notes = False

    @property
    def width(self) -> int:
        """Columns of the terminal, at least 20."""
        return max(self._output.get_size().columns, 20)

    def show(self, text: str, indent: str = "  ") -> int:
        """Print a text, wrapped; the rows it takes."""
        rows = wrapped(text, self.width, indent)
        print("\n".join(rows), file=sys.stderr, flush=True)
        return len(rows)

    def draw(self, lines: Lines) -> int:
        """Print lines that fit the width, the plan's parts in colour; the rows they take."""
        for line in lines:
            print_formatted_text(_styled(line), style=_STYLE, output=self._output)
        return len(lines)

    def take_back(self, rows: int) -> None:
        """Remove the last rows."""
        if rows:
            self._output.cursor_up(rows)
            self._output.erase_down()
            self._output.flush()

    def choose(self, message: str, choices: Sequence[Choice], default: Any) -> Any:
        """The value of the choice made, or BACK.

        Valid choices are shown with their notes, where all have room for them; refused ones with their reasons.
        """
        reasons = {choice.value: wrapped(choice.refusal, self.width - 4, "  ") for choice in choices if choice.refusal}
        rows = len(choices) + sum(map(len, reasons.values())) + len(wrapped(f"? {message} {_CHOOSE_HINT}", self.width))
        above = rows >= self._output.get_size().rows  # the list would be cut
        shown = 0
        items: list[questionary.Choice] = []
        labels = max(len(choice.label) for choice in choices) + 2
        noted = all(labels + len(choice.note) < self.width - 4 for choice in choices if not choice.refusal)
        for choice in sorted(choices, key=lambda choice: bool(choice.refusal)):
            item = questionary.Choice(choice.label, choice.value)
            items.append(item)
            if not choice.refusal:
                if noted and choice.note:
                    item.title = [("class:text", choice.label.ljust(labels)), ("class:note", choice.note)]
                continue
            item.disabled = True  # type: ignore[assignment] # not its reason, which questionary would cut
            if above:
                shown += self.show(f"- {choice.refusal}")
            else:
                items += [questionary.Separator(line) for line in reasons[choice.value]]
        question = questionary.select(
            self._message(f"{message} {_CHOOSE_HINT}"),
            items,
            default=default,
            instruction=" ",
            style=_STYLE,
            output=self._output,
            erase_when_done=True,
        )
        answer = _run(question)
        self.take_back(shown if shown < self._output.get_size().rows else 0)
        return answer

    def write(self, message: str, default: Any, fault: Callable[[str], str], note: Callable[[str], Lines]) -> Any:
        """The text written, or `default` (shown as a placeholder) where nothing is, or BACK.

        Below the line stands what is wrong with the text so far (`fault`), or else its `note`. Text with a fault is not
        accepted.
        """

        def below() -> FormattedText:
            self.shows_notes = True
            text = question.application.current_buffer.text or str(default)
            wrong = fault(text)
            lines = [[("missing", line)] for line in wrapped(wrong, self.width - 1)] if wrong else note(text)
            return _styled([part for line in lines for part in [*line, ("", "\n")]][:-1])

        def verdict(text: str) -> str | bool:
            wrong = fault(text or str(default))
            return ("Not valid:" if self.shows_notes else wrong.replace("\n", " ")) if wrong else True

        self.shows_notes = False
        hinted = f"{default}  {_WRITE_HINT}"
        fits = len(f"? {message} {hinted}") < self.width
        question = questionary.text(
            self._message(message, room=len(str(default)) + 1),
            placeholder=[("class:placeholder", hinted if fits else str(default))],
            validate=verdict,
            validate_while_typing=False,
            bottom_toolbar=below,
            style=_STYLE,
            output=self._output,
            erase_when_done=True,
        )
        answer = _run(question)
        return answer if answer is BACK or answer.strip() else str(default)

    def _message(self, text: str, room: int = 0) -> str:
        """A question's text behind "? ", wrapped between words, with room for an answer on its last line."""
        rows = wrapped(text, self.width - 4)
        if len(rows[-1]) + room > self.width - 4 and " " in rows[-1]:
            first, _, last = rows.pop().rpartition(" ")
            rows += [first, last]
        return "\n  ".join(rows)


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """The text as lines of at most `width`, each line of it wrapped on its own; long words are broken."""
    return [
        line
        for paragraph in text.splitlines() or [""]
        for line in textwrap.wrap(paragraph, width, initial_indent=indent, subsequent_indent=indent) or [""]
    ]


def _styled(line: list[tuple[str, str]]) -> FormattedText:
    return FormattedText((f"class:{part}" if part else "", text) for part, text in line)


def _run(question: questionary.Question) -> Any:
    """The answer; Esc gives BACK, Ctrl-C and a closed terminal end the process."""
    application = question.application
    application.ttimeoutlen = _ESCAPE_SECONDS
    bindings = KeyBindings()

    @bindings.add(Keys.Escape, eager=True)
    def back(event: KeyPressEvent) -> None:
        event.app.exit(result=BACK)

    @bindings.add(Keys.SIGINT, eager=True)
    def stop(event: KeyPressEvent) -> None:
        event.app.exit(exception=KeyboardInterrupt)

    application.key_bindings = merge_key_bindings([application.key_bindings or KeyBindings(), bindings])
    try:
        return question.unsafe_ask()
    except (KeyboardInterrupt, EOFError):
        interrupts.stop()
        raise
