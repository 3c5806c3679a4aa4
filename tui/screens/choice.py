"""A question with a few answers, each with a letter: what becomes of a run, whether to delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui.keys import MOVES

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.events import Key


class Choices(OptionList):
    """A short list with the keys of every list."""

    BINDINGS: ClassVar[list[BindingType]] = MOVES


class ChoiceScreen(ModalScreen[str | None]):
    """Dismissed with the letter of an answer, or with None to go back.

    Parameters
    ----------
    answers
        By letter; one to go back is added.
    """

    CSS_PATH = "ask.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,b,n", "dismiss(None)", "back")]

    def __init__(self, title: str, answers: dict[str, str]) -> None:
        super().__init__()
        self._title = title
        self._answers = answers

    def compose(self) -> ComposeResult:
        with Vertical(classes="form") as form:
            form.border_title = Content(self._title)
            form.border_subtitle = "Enter take   Esc back"
            shown = {**self._answers, "b": "back"}
            yield Choices(
                *(Option(Content.assemble((key, "bold"), f" {said}"), id=key) for key, said in shown.items()),
                compact=True,
            )

    def on_key(self, event: Key) -> None:
        if event.character in self._answers:
            self.dismiss(event.character)

    @on(OptionList.OptionSelected)
    def choose(self, event: OptionList.OptionSelected) -> None:
        """Take the highlighted answer."""
        self.dismiss(event.option.id if event.option.id in self._answers else None)


def quit_question() -> ChoiceScreen:
    """What is to become of a run that goes on: ``l`` leaves it, ``s`` stops it."""
    leave = "leave it running; it is in the list at the next start"
    return ChoiceScreen("A run is going on", {"l": leave, "s": "stop it; finished trials stay in the history"})


def beside_question() -> ChoiceScreen:
    """Whether to start a run while one goes on: ``w`` watches that one, ``s`` starts all the same."""
    answers = {"w": "watch it; x stops it there", "s": "start all the same; each makes the other slower"}
    return ChoiceScreen("A run is going on", answers)
