"""The top edge of a panel: its title at the left, and at the right what belongs to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.color import Color
from textual.content import Content
from textual.style import Style

from tui.text import fit

if TYPE_CHECKING:
    from textual.widget import Widget


def label_top(panel: Widget, title: str, right: str = "") -> None:
    """Write ``title`` and ``right`` into the top edge of ``panel``; ``right`` is left out where it does not fit.

    Textual writes one title into an edge; the line between the two texts is a part of it.
    """
    cornered = bool(panel.styles.border_left[0])
    room = panel.outer_size.width - (6 if cornered else 4)
    text = Content(fit(title, room).rstrip() if cell_len(title) > room > 0 else title)
    gap = room - text.cell_length - cell_len(right) - 2
    if right and gap > 0:
        line = "━" if panel.has_focus and panel.app.no_color else "─"
        text = Content.assemble(
            text,
            " ",
            (line * gap, _style(panel, "focus" if panel.has_focus else "line")),
            " ",
            (right, _style(panel, "dim")),
        )
    panel.border_title = text if cornered else Content.assemble(" ", text, " ")


def _style(panel: Widget, role: str) -> Style:
    """The colour of a role, not bold: an edge does not look up the variables of the theme itself."""
    return Style(foreground=Color.parse(panel.app.theme_variables[role]), bold=False)
