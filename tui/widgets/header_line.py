"""The first row: what this is, what it does now, where it writes, and on which machine."""

from __future__ import annotations

import getpass
import socket

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from backends import units
from tui.messages import Place
from tui.text import safe_text, short

_WORDS = {"starting": "staging", "cancelled": "stopped"}


def user_at_host() -> str:
    """``user@host``, as the header shows it."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "?"
    return safe_text(f"{user}@{socket.gethostname().partition('.')[0]}", 40)


class HeaderLine(Widget):
    """One row that says where the user is."""

    phase: reactive[str] = reactive("ready")
    """Of the run on show; ``ready`` where none is."""
    place: reactive[Place | None] = reactive(None)
    """Where a run writes; None until a dataset is chosen."""
    host: reactive[str] = reactive("")
    """Where a saved result was measured; empty for all others."""

    def __init__(self) -> None:
        super().__init__()
        self._who = user_at_host()

    def render(self) -> Content:
        left = Content.assemble(
            " ",
            (" imgstore ", "bold reverse" if self.app.no_color else "bold $ground on $chip"),
            "  ",
            (f"{_WORDS.get(self.phase, self.phase):<9}", "bold $error" if self.phase == "failed" else "bold"),
        )
        who = f"measured on {safe_text(self.host, 40)}" if self.host else self._who
        who = who if self.size.width >= 60 else ""
        room = self.size.width - left.cell_length - len(who) - 4
        right = Content.assemble(self._place(room), ("  " + who + " ", "$dim"))
        gap = max(1, self.size.width - left.cell_length - right.cell_length)
        return Content.assemble(left, " " * gap, right)

    def _place(self, room: int) -> Content:
        if self.place is None or self.host:
            return Content("")
        free = f", {units.capacity(self.place.free)} free" if self.place.free is not None else ""
        disk = f" ({self.place.filesystem}{free})"
        folder = short(safe_text(self.place.folder), max(12, room - len(disk) - 11))
        if room < 10 + len(folder):
            return Content("")
        shown = Content.assemble(("writes to ", "$dim"), folder, (safe_text(disk), "$dim"))
        return shown if shown.cell_length <= room else Content.assemble(("writes to ", "$dim"), folder)
