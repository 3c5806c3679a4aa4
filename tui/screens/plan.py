"""The form of a plan's fields."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import DescendantFocus
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from backends.bench.plan import PLAN_FIELDS, check_plan
from backends.errors import UsageError
from tui.draft import Draft
from tui.plan_fields import hint, parse, write
from tui.text import safe_text

SHOWN = {name: field for name, field in PLAN_FIELDS.items() if field.label}


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
        self._before = {name: write(name, getattr(draft.base, name)) for name in SHOWN}

    def compose(self) -> ComposeResult:
        with Vertical(classes="form") as form:
            form.border_title = "Plan"
            form.border_subtitle = "Tab next field   Enter OK   Esc back"
            for name, field in SHOWN.items():
                with Horizontal(classes="field"):
                    yield Label(field.label, markup=False)
                    yield Input(self._before[name], field.unset, id=name)
                yield Static(classes="sentence", id=f"{name}-sentence", markup=False)
            yield Static(id="hint", markup=False)

    def on_mount(self) -> None:
        for field in self.query(Input):
            field.cursor_blink = False

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """Show what the field is for, and what can be written there."""
        field = SHOWN[event.widget.id or ""]
        words = f": {' or '.join(field.known)}" if field.kind == "switch" else ""
        self.query_one("#hint", Static).update(hint(field) + words)

    @on(Input.Changed)
    def check(self, event: Input.Changed) -> None:
        """Say at once what is wrong with a field."""
        self._parse(event.input.id or "", event.value)

    @on(Input.Submitted)
    def submit(self) -> None:
        """Close with the draft if the fields are right, each and together; else go to the first that is not."""
        texts = {name: self.query_one(f"#{name}", Input).value for name in SHOWN}
        values = {name: self._parse(name, text) for name, text in texts.items()}
        wrong = [name for name, parsed in values.items() if parsed is None]
        if wrong:
            self.query_one(f"#{wrong[0]}", Input).focus()
            return
        # An untouched field keeps its value, which may be more exact than its text.
        changed = {name: parsed[0] for name, parsed in values.items() if parsed and texts[name] != self._before[name]}
        draft = self._draft.changed(**changed) if changed else self._draft
        try:
            check_plan(replace(draft.base, configurations=draft.configurations), draft.facts)
        except UsageError as error:
            self.query_one("#hint", Static).update(Content.styled(safe_text(str(error), 300), "$error"))
        else:
            self.dismiss(draft)

    def _parse(self, name: str, text: str) -> tuple[Any] | None:
        """The value of a field in a tuple; None where its text is wrong, which is said below it."""
        sentence, parsed = "", None
        try:
            parsed = (parse(name, text),)
        except UsageError as error:
            sentence = str(error)
        line = self.query_one(f"#{name}-sentence", Static)
        line.update(Content(safe_text(sentence, 300)))
        line.display = bool(sentence)
        return parsed
