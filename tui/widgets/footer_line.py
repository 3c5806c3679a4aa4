"""The last row: the keys that act now, the next sensible step first, as many as fit whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual.binding import Binding
from textual.content import Content
from textual.widget import Widget

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from textual.dom import DOMNode
    from textual.events import Click
    from textual.screen import Screen

_NAMES = {
    "enter": "Enter",
    "space": "spc",
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
TABLE_KEYS = ("pick", "codec", "ask('add')", "remove")
CHART_KEYS = ("scale", "look('numbers')", "disk", "look('verdict')", "full")
"""Actions whose keys stand in the bottom edge of their panel."""

_ALWAYS = ("help", "quit")
"""Actions that keep their place at the end however small the row is."""


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
    """Reads the bindings that are active; the order in which they are declared is the order of the row."""

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.refresh())

    def render(self) -> Content:
        room = self.size.width - 1
        return Content(" ") + Content("  ").join(_shown(hint) for hint in self._fitting(room))

    def on_click(self, event: Click) -> None:
        column = 1
        for hint in self._fitting(self.size.width - 1):
            width = _shown(hint).cell_length
            if column <= event.x < column + width:
                self.app.call_later(self.app.run_action, hint.action, hint.node)
                return
            column += width + 2

    def _fitting(self, room: int) -> list[Hint]:
        hints = [hint for hint in active_hints(self.screen) if hint.action not in TABLE_KEYS + CHART_KEYS]
        kept = [hint for hint in hints if hint.action in _ALWAYS]
        left = room - sum(_shown(hint).cell_length + 2 for hint in kept)
        shown = []
        for hint in hints:
            needed = _shown(hint).cell_length + 2
            if hint not in kept and needed <= left:
                shown.append(hint)
                left -= needed
        return shown + kept


def active_hints(screen: Screen[Any]) -> list[Hint]:
    """The keys that act now on ``screen``, in the order in which they are declared."""
    describe = getattr(screen, "describe_action", None)
    found: dict[str, Hint] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if binding.show and active.enabled and binding.action not in found:
            word = (describe(binding.action) if describe else "") or binding.description
            found[binding.action] = Hint(key_name(binding), word, binding.action, active.node)
    order = {action: place for place, action in enumerate(_declared(screen))}
    return sorted(found.values(), key=lambda hint: order.get(hint.action, 0))


def commands(screen: Screen[Any]) -> list[Hint]:
    """Every key that acts now and has a name, shown in the footer or not."""
    found: dict[str, Hint] = {}
    for active in screen.active_bindings.values():
        one = active.binding
        if active.enabled and not one.system and one.id:
            said = one.tooltip or one.description
            found.setdefault(one.id, Hint(key_name(one), one.description, one.action, active.node, said))
    return list(found.values())


def hints_line(hints: Iterable[Hint], actions: Sequence[str]) -> Content:
    """Those of ``actions`` that act now, for the edge of a panel."""
    return Content("   ").join(_shown(hint) for hint in hints if hint.action in actions)


def _shown(hint: Hint) -> Content:
    return Content.assemble((hint.key, "bold"), (f" {hint.word}", "$dim"))


def _declared(screen: Screen[Any]) -> list[str]:
    found = (binding for owner in (type(screen), type(screen.app)) for binding in owner.__dict__.get("BINDINGS", []))
    return [binding.action for binding in found if isinstance(binding, Binding)]
