"""The keys that act now: in the footer and in the edges of panels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from textual.binding import Binding
from textual.color import Color
from textual.content import Content
from textual.dom import DOMNode
from textual.events import Click
from textual.screen import Screen
from textual.style import Style
from textual.widget import Widget

from tui.text import fit

_NAMES = {
    "enter": "Enter",
    "space": "space",
    "escape": "Esc",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "question_mark": "?",
    "plus": "+",
    "minus": "-",
    "equals_sign": "=",
    "colon": ":",
    "tab": "Tab",
    "shift+tab": "shift+Tab",
}
_ALWAYS = ("help", "quit")
"""Actions that keep their place at the end however small the row is."""
_GAP = "   "


@dataclass(frozen=True, slots=True)
class Hint:
    """One key of the row."""

    key: str
    word: str
    action: str
    node: DOMNode
    tooltip: str = ""


def key_name(binding: Binding) -> str:
    """A key as the footer and the help write it."""
    return binding.key_display or _NAMES.get(binding.key, binding.key)


class FooterLine(Widget):
    """Shows the actions that the screen's ``footer_actions`` names, in their order, else all that have ``show``.

    Textual's own Footer cuts the last key where the row is full, and its words do not follow the state.
    """

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.refresh())

    def render(self) -> Content:
        return Content(" ") + Content(_GAP).join(_shown(hint) for hint in self._fitting())

    def on_click(self, event: Click) -> None:
        column = 1
        for hint in self._fitting():
            width = _shown(hint).cell_length
            if column <= event.x < column + width:
                self.app.call_later(self.app.run_action, hint.action, hint.node)
                return
            column += width + len(_GAP)

    def _fitting(self) -> list[Hint]:
        hints, named = active_hints(self.screen), getattr(self.screen, "footer_actions", None)
        if named is not None:
            by_action = {hint.action: hint for hint in hints}
            hints = [by_action[action] for action in (*named, *_ALWAYS) if action in by_action]
        kept = [hint for hint in hints if hint.action in _ALWAYS]
        left = self.size.width - 1 + len(_GAP) - sum(_shown(hint).cell_length + len(_GAP) for hint in kept)
        shown = []
        for hint in hints:
            needed = _shown(hint).cell_length + len(_GAP)
            if hint not in kept and needed <= left:
                shown.append(hint)
                left -= needed
        return shown + kept


def active_hints(screen: Screen[Any]) -> list[Hint]:
    """The keys that act now on ``screen`` and are shown, in the order in which they are declared."""
    describe = getattr(screen, "describe_action", None)
    hints: dict[str, Hint] = {}
    for binding, node in _active(screen):
        if binding.show and binding.action not in hints:
            word = (describe(binding.action) if describe else "") or binding.description
            hints[binding.action] = Hint(key_name(binding), word, binding.action, node)
    owners = (type(screen), type(screen.app))
    declared = [
        one.action for owner in owners for one in owner.__dict__.get("BINDINGS", ()) if isinstance(one, Binding)
    ]
    return sorted(hints.values(), key=lambda hint: declared.index(hint.action) if hint.action in declared else 0)


def commands(screen: Screen[Any]) -> list[Hint]:
    """Every key that acts now and has a name, shown in the footer or not."""
    hints: dict[str, Hint] = {}
    for binding, node in _active(screen):
        if not binding.system and binding.id:
            tooltip = binding.tooltip or binding.description
            hints.setdefault(binding.id, Hint(key_name(binding), binding.description, binding.action, node, tooltip))
    return list(hints.values())


def _active(screen: Screen[Any]) -> list[tuple[Binding, DOMNode]]:
    return [(active.binding, active.node) for active in screen.active_bindings.values() if active.enabled]


def hints_line(hints: Iterable[Hint], actions: Sequence[str], gap: str = _GAP) -> Content:
    """Those of ``actions`` that act now, for the bottom edge of a panel, which knows no colours by name."""
    return Content(gap).join(_shown(hint) for hint in hints if hint.action in actions)


def _shown(hint: Hint) -> Content:
    return Content.assemble((hint.key, "bold"), (f" {hint.word}", "$dim"))


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
