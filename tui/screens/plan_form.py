"""Dialog with the fields of a plan, one a line; errors are shown below their field."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from backends.bench.plan import check_plan
from backends.errors import UsageError
from tui.draft import Draft
from tui.plan_fields import FIELDS
from tui.text import safe_text

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.events import DescendantFocus

LABELS = {
    "sizes": "images",
    "batch": "batch size",
    "caches": "cache",
    "limits": "disk limits",
    "budget": "time limit",
    "predict": "predict for",
    "workers": "processes",
    "memory": "memory",
    "in_thread": "Run trials in",
}
"""What the form calls the fields of a plan, where the names differ."""

EMPTY = {"budget": "none", "predict": "the whole dataset", "memory": "a quarter of the memory"}
"""What an empty field means."""

_WRONG = object()


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
        self._before = {name: field.write(getattr(draft.base, name)) for name, field in FIELDS.items()}

    def compose(self) -> ComposeResult:
        with Vertical(classes="form") as form:
            form.border_title = "Plan"
            form.border_subtitle = "Tab next field   Enter OK   Esc back"
            for name in FIELDS:
                with Horizontal(classes="field"):
                    yield Label(LABELS.get(name, name), markup=False)
                    yield Input(self._before[name], EMPTY.get(name, ""), id=name)
                yield Static(classes="sentence", id=f"{name}-sentence", markup=False)
            yield Static(id="hint", markup=False)

    def on_mount(self) -> None:
        for field in self.query(Input):
            field.cursor_blink = False

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """Show what the field is for."""
        self.query_one("#hint", Static).update(FIELDS[event.widget.id or ""].hint)

    @on(Input.Changed)
    def check(self, event: Input.Changed) -> None:
        """Say at once what is wrong with a field."""
        self._read(event.input.id or "")

    @on(Input.Submitted)
    def submit(self) -> None:
        """Close with the draft if the fields are right, each and together; else go to the first that is not."""
        found: dict[str, Any] = {name: self._read(name) for name in FIELDS}
        wrong = [name for name, value in found.items() if value is _WRONG]
        if wrong:
            self.query_one(f"#{wrong[0]}", Input).focus()
        else:
            changed = {name: value for name, value in found.items() if self._text(name) != self._before[name]}
            draft = self._draft.changed(**changed) if changed else self._draft
            try:
                check_plan(replace(draft.base, configurations=draft.configurations), draft.facts)
            except UsageError as error:
                self.query_one("#hint", Static).update(Content.styled(safe_text(str(error), 300), "$error"))
            else:
                self.dismiss(draft)

    def _text(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value

    def _read(self, name: str) -> object:
        sentence, value = "", _WRONG
        try:
            value = FIELDS[name].parse(self._text(name))
        except UsageError as error:
            sentence = str(error)
        said = self.query_one(f"#{name}-sentence", Static)
        said.update(Content(safe_text(sentence, 300)))
        said.display = bool(sentence)
        return value
