"""The form of a plan's fields."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Button, Input

from backends.bench.plan import PLAN_FIELDS, check_plan
from backends.errors import UsageError
from tui.draft import Draft
from tui.plan_fields import default_of, hint, parse, write
from tui.screens.dialogs import Dialog
from tui.widgets.form import ChoiceField, Field, Form

FIRST = ("sizes", "operations", "repeats")
"""Fields that a new user needs."""
OTHERS = tuple(name for name, field in PLAN_FIELDS.items() if field.label and name not in FIRST)


class PlanScreen(Dialog[Draft | None]):
    """Dismissed with the changed draft, or with None."""

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
        return Field(field.label, control, partial(parse, name), hint(field) + ("; Space ticks" if many else ""))

    def compose(self) -> ComposeResult:
        more = Button(f"▸ More: {', '.join(PLAN_FIELDS[name].label for name in OTHERS[:4])}, …", compact=True)
        others = Vertical(*map(self._fields.__getitem__, OTHERS), id="others")
        others.display = any(getattr(self._draft.base, name) != default_of(name) for name in OTHERS)
        more.display = not others.display
        yield Form("Plan", *map(self._fields.__getitem__, FIRST), more, others)

    @on(Button.Pressed)
    def show_others(self, event: Button.Pressed) -> None:
        """Show the other fields in the place of the button."""
        self.query_one("#others").display = True
        event.button.display = False
        self._fields[OTHERS[0]].control.focus()

    def action_submit(self) -> None:
        """Close with the draft if the fields are right together."""
        # An untouched field keeps its value, which may be more exact than its text.
        touched = [name for name, field in self._fields.items() if field.control.value != self._before[name]]
        draft = self._draft.changed(**{name: self._fields[name].value for name in touched}) if touched else self._draft
        try:
            check_plan(replace(draft.base, configurations=draft.configurations), draft.facts)
        except UsageError as error:
            self.query_one(Form).say(str(error), "$error")
        else:
            self.dismiss(draft)
