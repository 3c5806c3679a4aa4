"""Leaving while a run goes on: what is to become of it?"""

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


class Choices(OptionList):
    """A short list with the keys of every list."""

    BINDINGS: ClassVar[list[BindingType]] = MOVES


class QuitScreen(ModalScreen[str | None]):
    """Dismissed with ``leave``, ``stop``, or None to stay."""

    CSS_PATH = "ask.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,b,n", "dismiss(None)", "back"),
        Binding("l", "dismiss('leave')", "leave it running", show=False),
        Binding("s", "dismiss('stop')", "stop it", show=False),
    ]

    def compose(self) -> ComposeResult:
        with Vertical(classes="form") as form:
            form.border_title = "A run is going on"
            form.border_subtitle = "Enter take   Esc back"
            yield Choices(
                Option(
                    Content.assemble(("l", "bold"), " leave it running; it is in the list at the next start"),
                    id="leave",
                ),
                Option(Content.assemble(("s", "bold"), " stop it; finished trials stay in the history"), id="stop"),
                Option(Content.assemble(("b", "bold"), " back"), id="back"),
                compact=True,
            )

    @on(OptionList.OptionSelected)
    def choose(self, event: OptionList.OptionSelected) -> None:
        """Take the highlighted choice."""
        self.dismiss(event.option.id if event.option.id != "back" else None)
