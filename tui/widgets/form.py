"""A form: fields below each other, what is typed or chosen in each, and what is wrong with that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.events import DescendantFocus, Key
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.style import Style
from textual.widget import Widget
from textual.widgets import Input, Label, Static

from backends.errors import ImgstoreError
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

    @property
    def _chosen(self) -> list[str]:
        return self.value.split(",")

    def watch_value(self) -> None:
        self.post_message(self.Changed())

    def on_focus(self) -> None:
        self.cursor = next((number for number, name in enumerate(self.names) if name in self._chosen), 0)

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

    def action_take(self, number: int | None = None) -> None:
        self.cursor = self.cursor if number is None else number
        name = self.names[self.cursor]
        chosen = {*self._chosen} ^ {name} if self._many else {name}
        self.value = ",".join(one for one in self.names if one in chosen)

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
            line.append(part.stylize(Style.from_meta({"@click": f"take({number})"})))
        yield line

    def render(self) -> Content:
        return Content("\n").join(Content(" " * _GAP).join(line) for line in self._lines(self.size.width))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(list(self._lines(width)))


class Field(Vertical):
    """A line of a form: its label, what ``parse`` reads, and below it why it cannot; ``hint`` is what it is for."""

    def __init__(
        self, label: str, control: Input | ChoiceField, parse: Callable[[str], object] = str, hint: str = ""
    ) -> None:
        super().__init__(classes="field")
        self.label, self.control, self._parse, self.hint = label, control, parse, hint
        self.value: object = None

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Label(self.label, markup=False)
            yield self.control
        yield Static(classes="sentence", markup=False)

    def on_mount(self) -> None:
        if isinstance(self.control, Input):
            self.control.cursor_blink = False
        self.say("")

    @on(Input.Changed)
    @on(ChoiceField.Changed)
    def check(self) -> bool:
        """Whether it is right; its ``value`` then is what was read."""
        sentence = ""
        try:
            self.value = self._parse(self.control.value)
        except ImgstoreError as error:
            sentence = str(error)
        self.say(sentence)
        return not sentence

    def say(self, sentence: str) -> None:
        """Show what is wrong; nothing for an empty sentence."""
        line = self.query_one(".sentence", Static)
        line.update(Content(safe_text(sentence, 300)))
        line.display = bool(sentence)


class Form(Vertical):
    """Fields, and below them what the one with the focus is for; Enter does the screen's action ``submit``."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "app.focus_next", "next field", show=False),
        Binding("up", "app.focus_previous", "previous field", show=False),
        Binding("enter", "submit", "OK", show=False),
    ]

    def __init__(self, title: str, *content: Widget) -> None:
        super().__init__(VerticalScroll(*content, can_focus=False), Static(id="hint", markup=False), classes="form")
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

    @on(Input.Submitted)
    async def action_submit(self) -> None:
        """Let the screen take the fields if each is right, else go to the first that is not."""
        wrong = [field for field in self.query(Field) if not field.check()]
        if wrong:
            wrong[0].control.focus()
        else:
            await self.run_action("screen.submit")
