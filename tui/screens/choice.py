"""Dialog with a few answers, each with a letter: what happens to a run at quit, whether to delete."""

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
            form.border_subtitle = "Enter OK   Esc back"
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


def quit_question(*, can_go_on: bool) -> ChoiceScreen:
    """The dialog at quit while a run is going on: ``l`` leaves it running, where it can go on alone, ``s`` stops it."""
    leave = {"l": "leave it running in the background; the start screen lists it"} if can_go_on else {}
    return ChoiceScreen("A run is going on", {**leave, "s": "stop it; what was measured stays in the history"})


def beside_question() -> ChoiceScreen:
    """The dialog before a second run: ``w`` watches the one that is going on, ``s`` starts the new one as well."""
    answers = {"w": "watch it; x stops it there", "s": "start anyway; each run slows the other down"}
    return ChoiceScreen("A run is going on", answers)
