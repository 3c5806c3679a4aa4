"""Dialog with one text field and, where there are any, choices to pick from; errors are shown below the field."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from backends.errors import ImgstoreError
from tui.questions import completion
from tui.screens.choice import Choices
from tui.text import safe_text

if TYPE_CHECKING:
    from textual.app import ComposeResult


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
