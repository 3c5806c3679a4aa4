"""A form: fields below each other, what is typed or chosen in each, and what is wrong with that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import DescendantFocus, Key
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.style import Style
from textual.widget import Widget
from textual.widgets import Input, Label, Static

from tui.text import safe_text

_GAP = 2


class ChoiceField(Widget, can_focus=True):
    """Names of which one is chosen, or with ``many`` some: arrows and letters move, and Space ticks one of many.

    ``value`` is what is chosen, with commas in between.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "left", show=False),
        Binding("right", "move(1)", "right", show=False),
        Binding("space", "take", "tick", show=False),
    ]

    names: reactive[tuple[str, ...]] = reactive((), layout=True, init=False)
    value: reactive[str] = reactive("", init=False)
    cursor: reactive[int] = reactive(0, init=False)
    auto_links = False

    class Changed(Message):
        """Something else is chosen in a field."""

    def __init__(self, names: tuple[str, ...], value: str, *, many: bool = False, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._many = many
        self.set_reactive(ChoiceField.names, names)
        self.set_reactive(ChoiceField.value, value)
        self.set_reactive(ChoiceField.cursor, self._first)

    @property
    def _chosen(self) -> list[str]:
        return self.value.split(",")

    @property
    def _first(self) -> int:
        return next((number for number, name in enumerate(self.names) if name in self._chosen), 0)

    def watch_value(self) -> None:
        if not self._many:
            self.cursor = self._first
        self.post_message(self.Changed())

    def action_move(self, step: int) -> None:
        self.cursor = (self.cursor + step) % len(self.names)
        if not self._many:
            self.value = self.names[self.cursor]

    def on_key(self, event: Key) -> None:
        """Go to the next name that begins with the letter."""
        steps = range(1, len(self.names) + 1)
        names = ((step, self.names[(self.cursor + step) % len(self.names)]) for step in steps)
        step = next((step for step, name in names if event.character and name.startswith(event.character)), None)
        if step is not None:
            event.stop()
            self.action_move(step)

    def action_take(self) -> None:
        name = self.names[self.cursor]
        chosen = {*self._chosen} ^ {name} if self._many else {name}
        self.value = ",".join(one for one in self.names if one in chosen)

    def action_click(self, number: int) -> None:
        self.cursor = number
        self.action_take()

    def _lines(self, width: int) -> Iterator[list[Content]]:
        """The names with their marks, as many a line as fit."""
        line: list[Content] = []
        opened, closed = ("[", "]") if self._many else ("(", ")")
        for number, name in enumerate(self.names):
            mark = f"{opened}{'x' if name in self._chosen else ' '}{closed} "
            here = self.has_focus and number == self.cursor
            style = f"bold{' underline' if self.app.no_color else ''} on $cursor" if here else ""
            part = Content.assemble(mark, (safe_text(name, 40), style))
            if line and sum(one.cell_length + _GAP for one in line) + part.cell_length > width:
                yield line
                line = []
            line.append(part.stylize(Style.from_meta({"@click": f"click({number})"})))
        yield line

    def render(self) -> Content:
        return Content("\n").join(Content(" " * _GAP).join(line) for line in self._lines(self.size.width))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(list(self._lines(width)))


class Field(Vertical):
    """A line of a form, with the sentence below it that says what is wrong; ``hint`` is what it is for."""

    def __init__(self, label: str, control: Input | ChoiceField, hint: str = "") -> None:
        super().__init__(classes="field")
        self._label, self.control, self.hint = label, control, hint

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Label(self._label, markup=False)
            yield self.control
        yield Static(classes="sentence", markup=False)

    def on_mount(self) -> None:
        if isinstance(self.control, Input):
            self.control.cursor_blink = False
        self.say("")

    def say(self, sentence: str) -> None:
        """Show what is wrong; nothing for an empty sentence."""
        line = self.query_one(".sentence", Static)
        line.update(Content(safe_text(sentence, 300)))
        line.display = bool(sentence)


class Form(Vertical):
    """Shows, in the widget ``#hint`` that it has at its end, what the field with the focus is for."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "app.focus_next", "next field", show=False),
        Binding("up", "app.focus_previous", "previous field", show=False),
    ]

    def __init__(self, title: str) -> None:
        super().__init__(classes="form")
        self.border_title, self.border_subtitle = title, "Tab field   ← → choose   Enter OK   Esc back"

    @on(DescendantFocus)
    def show_hint(self) -> None:
        """Show the hint of the field with the focus."""
        focused = self.screen.focused
        fields = (node for node in focused.ancestors if isinstance(node, Field)) if focused else iter(())
        self.say(next((field.hint for field in fields), ""))

    def say(self, sentence: str, style: str = "") -> None:
        """Show a sentence at the end."""
        self.query_one("#hint", Static).update(Content.styled(safe_text(sentence, 300), style))
