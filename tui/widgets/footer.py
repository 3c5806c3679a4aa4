"""The keys that act now, in the footer and in the edges of panels; the titles of panels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from textual.binding import Binding
from textual.color import Color
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import Screen
from textual.style import Style
from textual.widget import Widget

from tui.text import fit

_ALWAYS = ("help", "quit")
"""Actions that keep their place at the end however small the row is."""
_GAP = "   "


@dataclass(frozen=True, slots=True)
class Hint:
    """A key that acts now, and the word for what it does in the state on show."""

    binding: Binding
    node: DOMNode
    word: str

    @property
    def content(self) -> Content:
        """``p plan``; a click on it acts as the key does."""
        target = "screen" if isinstance(self.node, Screen) else "focused" if isinstance(self.node, Widget) else "app"
        action = self.binding.action
        click = {"@click": action if "." in action.partition("(")[0] else f"{target}.{action}"}
        shown = Content.assemble((key_name(self.binding), "bold"), (f" {self.word}", "$dim"))
        return shown.stylize(Style.from_meta(click))


def key_name(binding: Binding) -> str:
    """A key as the footer and the help write it."""
    return binding.key_display or binding.key


def active_hints(screen: Screen[Any]) -> list[Hint]:
    """The keys that act now on ``screen``, one for each action."""
    describe = getattr(screen, "describe_action", lambda _: "")
    hints: dict[str, Hint] = {}
    for node, binding, enabled, _ in screen.active_bindings.values():
        if enabled and not binding.system and binding.action not in hints:
            hints[binding.action] = Hint(binding, node, describe(binding.action) or binding.description)
    return list(hints.values())


def hints_line(hints: Iterable[Hint], actions: Sequence[str], gap: str = _GAP) -> Content:
    """Those of ``actions`` that act now."""
    return Content(gap).join(hint.content for hint in hints if hint.binding.action in actions)


class FooterLine(Widget):
    """Shows the actions that the screen's ``footer_actions`` names, in their order, else all that have ``show``.

    Textual's own Footer cuts the last key where the row is full, and its words do not follow the state.
    """

    auto_links = False  # what can be clicked looks like everything else

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.refresh())

    def render(self) -> Content:
        hints = {hint.binding.action: hint for hint in active_hints(self.screen) if hint.binding.show}
        named = getattr(self.screen, "footer_actions", hints)
        kept = [hints.pop(action).content for action in _ALWAYS if action in hints]
        left = self.size.width - 1 + len(_GAP) - sum(len(_GAP) + shown.cell_length for shown in kept)
        fitting = []
        for shown in (hints[action].content for action in named if action in hints):
            if shown.cell_length + len(_GAP) <= left:
                fitting.append(shown)
                left -= shown.cell_length + len(_GAP)
        return Content(" ") + Content(_GAP).join([*fitting, *kept])


def label_top(panel: Widget, title: str, right: str = "") -> None:
    """Write ``title`` and ``right`` into the top edge of ``panel``; ``right`` is left out where it does not fit.

    Textual writes one title into an edge; the line between the two texts is a part of it.
    """
    cornered = bool(panel.styles.border_left[0])
    room = panel.outer_size.width - (6 if cornered else 4)
    text = Content(fit(title, room).rstrip() if cell_len(title) > room > 0 else title)
    gap = room - text.cell_length - cell_len(right) - 2
    if right and gap > 0:
        line = ("━" if panel.has_focus and panel.app.no_color else "─") * gap
        edge = _style(panel, "focus" if panel.has_focus else "line")
        text = Content.assemble(text, " ", (line, edge), " ", (right, _style(panel, "dim")))
    panel.border_title = text if cornered else Content.assemble(" ", text, " ")


def _style(panel: Widget, role: str) -> Style:
    """The colour of a role, not bold: an edge does not look up the variables of the theme itself."""
    return Style(foreground=Color.parse(panel.app.theme_variables[role]), bold=False)
