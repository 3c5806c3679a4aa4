"""The last row: the keys that act now, the next sensible step first, as many as fit whole."""

from __future__ import annotations

from textual.binding import Binding
from textual.content import Content
from textual.style import Style
from textual.widget import Widget

_NAMES = {
    "enter": "Enter", "space": "spc", "escape": "Esc", "left_square_bracket": "[", "right_square_bracket": "]",
    "question_mark": "?", "plus": "+", "minus": "-", "colon": ":", "tab": "Tab", "equals_sign": "=",
}  # fmt: skip


def key_name(binding: Binding) -> str:
    """A key as the footer and the help write it."""
    return binding.key_display or _NAMES.get(binding.key, binding.key)


class FooterLine(Widget):
    """Reads the bindings of the screen it stands on; the order of the bindings is the order of the row."""

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)

    def _bindings_changed(self, _: object) -> None:
        self.refresh()

    def render(self) -> Content:
        parts: list[Content] = []
        room = self.size.width - 2
        for key, text, action in self._hints():
            part = Content.assemble((key, "bold"), (f" {text}", "$dim"))
            part = part.stylize(Style.from_meta({"@click": action}))
            needed = part.cell_length + (2 if parts else 0)
            if needed <= room:
                parts.append(part)
                room -= needed
        return Content(" ") + Content("  ").join(parts)

    def _hints(self) -> list[tuple[str, str, str]]:
        found: dict[str, tuple[str, str, str]] = {}
        order = {binding.action: place for place, binding in enumerate(_declared(self))}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if binding.show and active.enabled and binding.action not in found:
                text = self._text(binding)
                found[binding.action] = (key_name(binding), text, f"screen.{binding.action}")
        return [found[action] for action in sorted(found, key=lambda action: order.get(action, 99))]

    def _text(self, binding: Binding) -> str:
        describe = getattr(self.screen, "describe_action", None)
        said = describe(binding.action) if describe else None
        return said or binding.description


def _declared(widget: Widget) -> list[Binding]:
    found = []
    for owner in (type(widget.screen), type(widget.app)):
        found += [binding for binding in owner.__dict__.get("BINDINGS", []) if isinstance(binding, Binding)]
    return found
