"""Dialogs: a question, a choice, the form of a plan."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from backends.bench.plan import check_plan
from backends.errors import ImgstoreError, UsageError
from tui import messages
from tui.draft import Draft
from tui.keys import MOVES
from tui.plan_fields import FIELDS
from tui.text import safe_text
from tui.workers import completion, disks, export, first_facts, folder_to_write

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.events import DescendantFocus, Key
    from textual.screen import Screen

    from backends.datasets.base import DatasetFacts
    from tui.app import ImgstoreApp
    from tui.screens.workbench import Workbench


class FolderSuggester(Suggester):
    """Offers the first folder that begins like what was typed; Tab and the right arrow take it."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        return await asyncio.to_thread(completion, value)


class FolderInput(Input):
    """A field for a path: Tab takes the completion that is shown, as in a shell."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("tab", "complete", "complete", show=False)]

    def __init__(self, value: str) -> None:
        super().__init__(value, suggester=FolderSuggester())

    def action_complete(self) -> None:
        self.action_end()
        self.action_cursor_right()


class AskScreen(ModalScreen[Any]):
    """Dismissed with what ``answer`` made of the text, or with None.

    Parameters
    ----------
    answer
        Makes the value of the text, in a thread; raises ImgstoreError with the sentence to show.
    live
        Whether the text is also tried while it is typed; for answers that take no time.
    folders
        Whether folders are offered as completions.
    choices
        Called in a thread; texts to pick from and what is shown for each.
    """

    CSS_PATH = "ask.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "back"),
        Binding("down", "app.focus_next", "choices", show=False),
    ]

    class Answered(Message):
        """The text was understood, or refused with a sentence."""

        def __init__(self, text: str, value: object, sentence: str) -> None:
            super().__init__()
            self.text = text
            self.value = value
            self.sentence = sentence

    class Found(Message):
        """The choices were found."""

        def __init__(self, choices: Sequence[tuple[str, str]]) -> None:
            super().__init__()
            self.choices = choices

    def __init__(
        self,
        title: str,
        hint: str,
        answer: Callable[[str], object],
        *,
        value: str = "",
        live: bool = False,
        folders: bool = False,
        choices: Callable[[], Sequence[tuple[str, str]]] | None = None,
    ) -> None:
        super().__init__()
        self._ask = (title, hint)
        self._answer = answer
        self._value = value
        self._live = live
        self._folders = folders
        self._choices = choices

    def compose(self) -> ComposeResult:
        title, hint = self._ask
        with Vertical(classes="form") as form:
            form.border_title = title
            form.border_subtitle = ("Tab complete   " if self._folders else "") + "Enter OK   Esc back"
            yield Label(hint, markup=False)
            yield FolderInput(self._value) if self._folders else Input(self._value)
            yield Static(classes="sentence", markup=False)
            if self._choices is not None:
                yield Choices(compact=True, markup=False)

    def on_mount(self) -> None:
        self.query_one(Input).cursor_blink = False
        if self._choices is not None:
            self.run_worker(partial(self._find, self._choices), thread=True, group="choices", exit_on_error=False)

    def _find(self, choices: Callable[[], Sequence[tuple[str, str]]]) -> None:
        self.post_message(self.Found(choices()))

    @on(Found)
    def show_choices(self, message: Found) -> None:
        """List what can be picked below the field."""
        self.query_one(Choices).add_options([Option(shown, id=text) for text, shown in message.choices])

    @on(OptionList.OptionSelected)
    def pick(self, event: OptionList.OptionSelected) -> None:
        """Take a choice as if it had been typed."""
        field = self.query_one(Input)
        field.value = event.option.id or ""
        self.post_message(Input.Submitted(field, field.value))

    @on(Input.Submitted)
    def submit(self, event: Input.Submitted) -> None:
        """Try the text; the field keeps it."""
        self._say("…")
        work = partial(self._try, event.value)
        self.run_worker(work, thread=True, group="answer", exclusive=True, exit_on_error=False)

    @on(Input.Changed)
    def check(self, event: Input.Changed) -> None:
        """While it is typed, say what is wrong with it so far."""
        sentence = ""
        if self._live and event.value.strip():
            try:
                self._answer(event.value)
            except ImgstoreError as error:
                sentence = str(error)
        self._say(sentence)

    def _try(self, text: str) -> None:
        try:
            self.post_message(self.Answered(text, self._answer(text), ""))
        except ImgstoreError as error:
            self.post_message(self.Answered(text, None, str(error)))

    @on(Answered)
    def take(self, message: Answered) -> None:
        """Close with the value, or show why not, unless the text has changed since."""
        if message.text != self.query_one(Input).value:
            return
        if message.sentence:
            self._say(message.sentence)
        else:
            self.dismiss(message.value)

    def _say(self, sentence: str) -> None:
        self.query_one(".sentence", Static).update(Content(safe_text(sentence, 600)))


class Choices(OptionList):
    """A short list with the keys of every list."""

    BINDINGS: ClassVar[list[BindingType]] = MOVES


class ChoiceScreen(ModalScreen[str | None]):
    """Dismissed with the letter of an answer, or with None to go back.

    Parameters
    ----------
    answers
        By letter; one to go back is added.
    """

    CSS_PATH = "ask.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,b,n", "dismiss(None)", "back")]

    def __init__(self, title: str, answers: dict[str, str]) -> None:
        super().__init__()
        self._title = title
        self._answers = answers

    def compose(self) -> ComposeResult:
        with Vertical(classes="form") as form:
            form.border_title = Content(self._title)
            form.border_subtitle = "Enter OK   Esc back"
            shown = {**self._answers, "b": "back"}
            yield Choices(
                *(Option(Content.assemble((key, "bold"), f" {said}"), id=key) for key, said in shown.items()),
                compact=True,
            )

    def on_key(self, event: Key) -> None:
        if event.character in self._answers:
            self.dismiss(event.character)

    @on(OptionList.OptionSelected)
    def choose(self, event: OptionList.OptionSelected) -> None:
        """Take the highlighted answer."""
        self.dismiss(event.option.id if event.option.id in self._answers else None)


def quit_question(*, can_go_on: bool) -> ChoiceScreen:
    """The dialog at quit while a run is going on: ``l`` leaves it running, where it can go on alone, ``s`` stops it."""
    leave = {"l": "leave it running in the background; the start screen lists it"} if can_go_on else {}
    return ChoiceScreen("A run is going on", {**leave, "s": "stop it; what was measured stays in the history"})


def beside_question() -> ChoiceScreen:
    """The dialog before a second run: ``w`` watches the one that is going on, ``s`` starts the new one as well."""
    answers = {"w": "watch it; x stops it there", "s": "start anyway; each run slows the other down"}
    return ChoiceScreen("A run is going on", answers)


def dialog(what: str, bench: Workbench) -> tuple[Screen[Any], Callable[[Any], None]]:
    """The form for ``what``, and what takes its answer."""
    match what:
        case "open":
            path = bench.facts.path if bench.facts and bench.facts.path != "sample" else ""
            hint = "A folder of pictures, CIFAR-10 or CIFAR-100 (folder or .tar.gz), or: sample"
            return AskScreen("Open a dataset", hint, first_facts, value=path, folders=True), partial(_open, bench)
        case "where":
            hint = "A folder on the disk to measure; empty: beside the dataset. Down: the disks"
            folder = bench.draft.base.work_dir or ""
            asked = AskScreen(
                "Folder for temporary files", hint, folder_to_write, value=folder, folders=True, choices=disks
            )
            return asked, partial(_write_in, bench)
        case "add":
            hint = "Such as lmdb, hdf5+png, lmdb+png:level=2 or hdf5@/scratch (in that folder)"
            return AskScreen("Add a configuration", hint, bench.draft.add, live=True), bench.change
        case "export":
            hint = "File name, ending in .html, .md, .csv or .json"
            answer = partial(export, cast("ImgstoreApp", bench.app).runs.result())
            return AskScreen("Write a report", hint, answer, value=_report_name(bench)), bench.say
    return PlanScreen(bench.draft), bench.change


def _open(bench: Workbench, facts: DatasetFacts) -> None:
    bench.show_dataset(facts)
    bench.post_message(messages.SurveyDataset(facts.path))


def _write_in(bench: Workbench, folder: str) -> None:
    bench.change(bench.draft.moved(folder or None))


def _report_name(bench: Workbench) -> str:
    name = Path(bench.facts.path).name if bench.facts else ""
    return f"{name or 'images'}.html"


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
