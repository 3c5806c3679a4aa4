"""Text that is scrolled by keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.containers import VerticalScroll
from textual.widgets import Static

from tui.keys import SCROLLS

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.visual import VisualType


class ScrolledText(VerticalScroll, can_focus=True):
    """Takes the arrows, j, k, g, G and the page keys while it has the focus."""

    BINDINGS: ClassVar[list[BindingType]] = SCROLLS

    def compose(self) -> ComposeResult:
        yield Static(markup=False)

    def update(self, text: VisualType) -> None:
        """Show other text."""
        self.query_one(Static).update(text)
