"""The form of a plan's fields."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from backends.bench.plan import PLAN_FIELDS, check_plan
from backends.errors import UsageError
from tui.draft import Draft
from tui.plan_fields import default_of, hint, parse, write
from tui.widgets.form import ChoiceField, Field, Form

FIRST = ("sizes", "operations", "repeats")
"""Fields that a new user needs."""
OTHERS = tuple(name for name, field in PLAN_FIELDS.items() if field.label and name not in FIRST)


class PlanScreen(ModalScreen[Draft | None]):
    """Dismissed with the changed draft, or with None."""

    CSS_PATH = "ask.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "back"),
        Binding("enter", "submit", "OK"),
    ]

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self._draft = draft
        self._before = {name: write(name, getattr(draft.base, name)) for name in (*FIRST, *OTHERS)}
        self._fields = {name: self._field(name) for name in self._before}

    def _field(self, name: str) -> Field:
        field, text = PLAN_FIELDS[name], self._before[name]
        many = field.many and bool(field.known)
        chosen = field.kind == "switch" or many
        control = ChoiceField(field.known, text, many=many, id=name) if chosen else Input(text, field.unset, id=name)
        return Field(field.label, control, hint(field) + ("; Space ticks" if many else ""))

    def compose(self) -> ComposeResult:
        differs = any(getattr(self._draft.base, name) != default_of(name) for name in OTHERS)
        with Form("Plan"):
            with VerticalScroll(can_focus=False):
                yield from map(self._fields.get, FIRST)
                more = Button(f"More: {', '.join(PLAN_FIELDS[name].label for name in OTHERS[:4])}, …", compact=True)
                yield more
                with Vertical(id="others") as others:
                    yield from map(self._fields.get, OTHERS)
            yield Static(id="hint", markup=False)
        others.display, more.display = differs, not differs

    @on(Button.Pressed)
    def show_others(self, event: Button.Pressed) -> None:
        """Show the other fields in the place of the button."""
        self.query_one("#others").display = True
        event.button.display = False
        self._fields[OTHERS[0]].control.focus()

    @on(Input.Changed)
    @on(ChoiceField.Changed)
    def check(self) -> dict[str, Any]:
        """Give the values of the fields that are right; say at once what is wrong with the others."""
        values = {}
        for name, field in self._fields.items():
            field.say("")
            try:
                values[name] = parse(name, field.control.value)
            except UsageError as error:
                field.say(str(error))
        return values

    @on(Input.Submitted)
    def action_submit(self) -> None:
        """Close with the draft if the fields are right, each and together; else go to the first that is not."""
        values = self.check()
        wrong = [field for name, field in self._fields.items() if name not in values]
        if wrong:
            wrong[0].control.focus()
            return
        # An untouched field keeps its value, which may be more exact than its text.
        touched = {
            name: values[name] for name, field in self._fields.items() if field.control.value != self._before[name]
        }
        draft = self._draft.changed(**touched) if touched else self._draft
        try:
            check_plan(replace(draft.base, configurations=draft.configurations), draft.facts)
        except UsageError as error:
            self.query_one(Form).say(str(error), "$error")
        else:
            self.dismiss(draft)
