"""The first row: what this is, what it does now, where it writes, and on which machine."""

from __future__ import annotations

import getpass
import socket

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from backends import units
from tui.messages import Place
from tui.run_state import RunState
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

    run: reactive[RunState | None] = reactive(None)
    place: reactive[Place | None] = reactive(None)
    """Where a run writes; None until a dataset is chosen."""

    def __init__(self) -> None:
        super().__init__()
        self._who = user_at_host()

    def render(self) -> Content:
        run, phase = self.run, self.run.phase if self.run else "ready"
        saved = run is not None and run.saved
        left = Content.assemble(
            " ",
            (" imgstore ", "bold reverse" if self.app.no_color else "bold $ground on $chip"),
            "  ",
            (f"{_WORDS.get(phase, phase):<9}", "bold $error" if phase == "failed" else "bold"),
        )
        who = f"measured on {safe_text(run.environment.host, 40)}" if saved and run and run.environment else self._who
        who = who if self.size.width >= 60 else ""
        room = self.size.width - left.cell_length - len(who) - 4
        right = Content.assemble("" if saved else self._place(room), ("  " + who + " ", "$dim"))
        gap = max(1, self.size.width - left.cell_length - right.cell_length)
        return Content.assemble(left, " " * gap, right)

    def _place(self, room: int) -> Content:
        if self.place is None:
            return Content("")
        free = f", {units.capacity(self.place.free)} free" if self.place.free is not None else ""
        disk = f" ({self.place.filesystem}{free})"
        folder = short(safe_text(self.place.folder), max(12, room - len(disk) - 11))
        if room < 10 + len(folder):
            return Content("")
        shown = Content.assemble(("writes to ", "$dim"), folder, (safe_text(disk), "$dim"))
        return shown if shown.cell_length <= room else Content.assemble(("writes to ", "$dim"), folder)
