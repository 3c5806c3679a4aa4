"""Screens that show a text to scroll: the help, and a comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.command import DiscoveryHit, Hits
from textual.content import Content
from textual.screen import Screen
from textual.system_commands import SystemCommandsProvider

from tui.keys import MOVES, SIDEWAYS
from tui.text import fit
from tui.widgets.footer import FooterLine, key_name
from tui.widgets.verdict import ScrolledText

_COLUMN = 38
MEASURED = (
    "Measured is how long each backend takes to store your images on this disk and to read them back, and the room "
    "that they take. Figures are medians of repeats in random order; every image read is compared with the original. "
    "At the end the verdict says what to keep the images in, and C makes that store."
)


class Commands(SystemCommandsProvider):
    """The commands of the palette in the order of the app, which gives the most useful ones first."""

    async def discover(self) -> Hits:
        for name, help_text, callback, _ in self.app.get_system_commands(self.screen):
            yield DiscoveryHit(name, callback, help=help_text)


class TextScreen(Screen[None]):
    """Shows a text, or what ``text`` makes for the width that there is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,question_mark", "dismiss(None)", "back", key_display="Esc")
    ]

    def __init__(self, title: str, text: Content | Callable[[int], Content]) -> None:
        super().__init__()
        self._title, self._text = title, text

    def compose(self) -> ComposeResult:
        box = ScrolledText(classes="box")
        box.border_title = Content(self._title)
        yield box
        yield FooterLine()

    def on_resize(self) -> None:
        text = self._text if isinstance(self._text, Content) else self._text(self.size.width - 4)
        self.query_one(ScrolledText).update(text)


def help_text(bindings: Iterable[BindingType], width: int) -> Content:
    """What is measured, then the keys of a screen and what each does, in as many columns as fit."""
    rows = key_rows([*bindings, *MOVES, *SIDEWAYS])
    height = -(-len(rows) // max(1, width // _COLUMN))
    lines = [Content(MEASURED), Content()]
    for line in range(height):
        parts = ((fit(keys, 10, right=True), f"  {fit(text, _COLUMN - 13)}") for keys, text in rows[line::height])
        lines.append(Content(" ").join(Content.assemble((keys, "bold"), (text, "$dim")) for keys, text in parts))
    return Content("\n").join(lines)


def key_rows(bindings: Iterable[BindingType]) -> list[tuple[str, str]]:
    """``(keys, what they do)`` of each action, keys of one action together."""
    rows: dict[str, list[str]] = {}
    texts: dict[str, str] = {}
    for binding in Binding.make_bindings(bindings):
        keys = rows.setdefault(binding.description, [])
        if key_name(binding) not in keys:
            keys.append(key_name(binding))
        texts.setdefault(binding.description, binding.tooltip or binding.description)
    return [(" ".join(keys), texts[name]) for name, keys in rows.items()]
