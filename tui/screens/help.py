"""Help screen: every key and what it does, from the bindings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from tui.keys import MOVES, SIDEWAYS
from tui.text import fit
from tui.widgets.footer import FooterLine, key_name

_COLUMN = 38


def key_rows(bindings: Iterable[BindingType]) -> list[tuple[str, str]]:
    """``(keys, what they do)`` of each action, keys of one action together."""
    rows: dict[str, tuple[list[str], str]] = {}
    for binding in bindings:
        if isinstance(binding, Binding):
            names = [binding.key_display] if binding.key_display else [key_name(one) for one in _each(binding)]
            keys, _ = rows.setdefault(binding.description, ([], ""))
            keys += [name for name in names if name not in keys]
            rows[binding.description] = (keys, binding.tooltip or binding.description)
    return [(" ".join(keys), text) for keys, text in rows.values()]


def _each(binding: Binding) -> Iterable[Binding]:
    return Binding.make_bindings([binding])


class HelpScreen(Screen[None]):
    """Two columns where there is room."""

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,enter", "dismiss(None)", "back", key_display="Esc"),
        Binding("j,down", "scroll(1)", "down", show=False),
        Binding("k,up", "scroll(-1)", "up", show=False),
    ]

    def __init__(self, rows: list[tuple[str, str]]) -> None:
        super().__init__()
        self._rows_of_keys = rows

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="keys") as box:
            box.border_title = "Keys"
            box.border_subtitle = "Esc back"
            yield Static(markup=False)
        yield FooterLine()

    def on_resize(self) -> None:
        columns = max(1, (self.size.width - 4) // _COLUMN)
        rows = [*self._rows_of_keys, *key_rows([*MOVES, *SIDEWAYS])]
        height = -(-len(rows) // columns)
        lines = []
        for line in range(height):
            parts: list[Content] = []
            for place in range(line, len(rows), height):
                keys, text = rows[place]
                parts.append(
                    Content.assemble((fit(keys, 10, right=True), "bold"), "  ", (fit(text, _COLUMN - 13), "$dim"))
                )
            lines.append(Content(" ").join(parts))
        self.query_one("#keys Static", Static).update(Content("\n").join(lines))

    def action_scroll(self, step: int) -> None:
        self.query_one("#keys").scroll_relative(y=step, animate=False)
