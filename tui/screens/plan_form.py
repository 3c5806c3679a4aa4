"""The plan as a form: sizes, repeats, operations.  Each wrong field has its sentence below it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from backends.errors import UsageError
from tui.draft import Draft
from tui.plan_fields import parse_operations, parse_repeats, parse_sizes
from tui.text import safe_text

if TYPE_CHECKING:
    from textual.app import ComposeResult

_FIELDS: dict[str, tuple[str, Callable[[str], object]]] = {
    "sizes": ("Numbers of images, such as 10, 100, 1k", parse_sizes),
    "repeats": ("Repeats: how often each figure is measured", parse_repeats),
    "operations": ("Operations: store, read", parse_operations),
}


class PlanScreen(ModalScreen[Draft | None]):
    """Dismissed with the changed draft, or with None."""

    CSS_PATH = "ask.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "back"),
        Binding("down", "app.focus_next", "next field", show=False),
        Binding("up", "app.focus_previous", "previous field", show=False),
    ]

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self._draft = draft

    def compose(self) -> ComposeResult:
        now = {
            "sizes": ", ".join(str(size) for size in self._draft.sizes),
            "repeats": str(self._draft.repeats),
            "operations": ", ".join(self._draft.operations),
        }
        with Vertical(classes="form") as form:
            form.border_title = "Plan"
            form.border_subtitle = "Tab next field   Enter take   Esc back"
            for name, (hint, _) in _FIELDS.items():
                yield Label(hint, markup=False)
                yield Input(now[name], id=name)
                yield Static(classes="sentence", id=f"{name}-sentence", markup=False)

    def on_mount(self) -> None:
        for field in self.query(Input):
            field.cursor_blink = False

    @on(Input.Changed)
    def check(self, event: Input.Changed) -> None:
        """Say at once what is wrong with a field."""
        self._read(event.input.id or "")

    @on(Input.Submitted)
    def submit(self) -> None:
        """Close with the draft if every field is right; else go to the first that is not."""
        found: dict[str, Any] = {name: self._read(name) for name in _FIELDS}
        wrong = [name for name, value in found.items() if value is None]
        if wrong:
            self.query_one(f"#{wrong[0]}", Input).focus()
        else:
            self.dismiss(replace(self._draft, **found))

    def _read(self, name: str) -> object:
        sentence, value = "", None
        try:
            value = _FIELDS[name][1](self.query_one(f"#{name}", Input).value)
        except UsageError as error:
            sentence = str(error)
        self.query_one(f"#{name}-sentence", Static).update(Content(safe_text(sentence, 300)))
        return value
