"""Dialogs that ask for one text or one of a few choices, and return the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Key
from textual.screen import ModalScreen, ScreenResultType
from textual.widgets import Input, Label, OptionList, Static, Tree
from textual.widgets.option_list import Option

from backends.errors import ImgstoreError, UsageError
from tui.draft import Draft, codecs_for
from tui.keys import MOVES
from tui.paths import dataset_to_open, disks, folder_to_write, recent_datasets
from tui.text import safe_text
from tui.widgets.folders import FolderInput, FolderTree
from tui.workers import export

if TYPE_CHECKING:
    from backends.bench.configuration import Configuration
    from backends.runs.run import Run
    from tui.screens.workbench import Workbench


class Choices(OptionList):
    """A short list with the keys of every list."""

    BINDINGS: ClassVar[list[BindingType]] = MOVES


class Dialog(ModalScreen[ScreenResultType]):
    """Dismissed with an answer, or by Escape with None."""

    CSS_PATH = "ask.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "back")]


class AskScreen(Dialog[Any]):
    """Asks for a text; dismissed with what ``parse`` makes of it, or with None.

    ``parse`` is called in a thread; it raises ImgstoreError with what to show.
    With ``folders`` it asks for one, with ``files`` also for a file that may be a dataset.  These folders, also read in
    a thread, and what is shown for each come first in a tree.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("down", "app.focus_next", "choices", show=False)]

    def __init__(
        self,
        title: str,
        hint: str,
        parse: Callable[[str], object],
        *,
        value: str = "",
        folders: Callable[[], Sequence[tuple[str, str]]] | None = None,
        files: bool = False,
    ) -> None:
        super().__init__()
        self._title, self._hint, self._value = title, hint, value
        self._parse = parse
        self._folders, self._files = folders, files

    def compose(self) -> ComposeResult:
        with Vertical(classes="form") as form:
            form.border_title = self._title
            keys = "Tab complete   Down → folders   " if self._folders else ""
            form.border_subtitle = f"{keys}Enter OK   Esc back"
            yield Label(self._hint, markup=False)
            yield FolderInput(self._value) if self._folders else Input(self._value)
            yield Static(classes="sentence", markup=False)
            if self._folders:
                yield FolderTree()

    def on_mount(self) -> None:
        self.query_one(Input).cursor_blink = False
        if self._folders:
            self.query_one(FolderInput).files = self.query_one(FolderTree).files = self._files
            self._list(self._folders)

    @work(exit_on_error=False)
    async def _list(self, folders: Callable[[], Sequence[tuple[str, str]]]) -> None:
        rows = await asyncio.to_thread(folders)
        start = Path(self._value).expanduser().absolute().parent if self._value else Path.cwd()
        self.query_one(FolderTree).offer(rows, str(start))

    @on(Tree.NodeSelected)
    def pick(self, event: Tree.NodeSelected[str]) -> None:
        """Take a folder as if it had been typed."""
        if event.node.data is not None:
            field = self.query_one(Input)
            field.value = event.node.data
            self.post_message(Input.Submitted(field, field.value))

    @on(FolderInput.Completed)
    def list_matches(self, event: FolderInput.Completed) -> None:
        """Show between which folders Tab could not decide."""
        self.query_one(".sentence", Static).update(Content.styled(event.sentence, "$dim"))

    @on(Input.Changed)
    def edit(self) -> None:
        """Take back what was said of another text."""
        self._say("")

    @on(Input.Submitted)
    def submit(self, event: Input.Submitted) -> None:
        """Close with the value of the text, or say why not."""
        self._say("…")
        self._take(event.value)

    @work(group="parse", exclusive=True, exit_on_error=False)
    async def _take(self, text: str) -> None:
        value, sentence = None, ""
        try:
            value = await asyncio.to_thread(self._parse, text)
        except ImgstoreError as error:
            sentence = str(error)
        if text != self.query_one(Input).value:  # it was edited meanwhile
            return
        if sentence:
            self._say(sentence)
        else:
            self.dismiss(value)

    def _say(self, sentence: str) -> None:
        self.query_one(".sentence", Static).update(Content(safe_text(sentence, 600)))


class ChoiceScreen(Dialog[Any]):
    """Dismissed with what ``take`` makes of a choice, or with None where it is the ``present`` one.

    ``choices`` are texts by their names; a name of one letter is also a key.  Without a present one, ``back`` is added.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("b,n", "dismiss(None)", "back")]

    def __init__(
        self,
        title: str,
        choices: Mapping[str, str],
        *,
        present: str = "",
        taken: Collection[str] = (),
        take: Callable[[str], object] = str,
    ) -> None:
        super().__init__()
        self._title, self._present = title, present or "b"
        self._choices = dict(choices) if present else {**choices, "b": "back"}
        self._taken, self._take = taken, take

    def compose(self) -> ComposeResult:
        with Vertical(classes="form") as form:
            form.border_title = Content(self._title)
            form.border_subtitle = "Enter OK   Esc back"
            width = max(map(len, self._choices))
            rows = (
                (key, Content.assemble((f"{key:<{width}}", "bold"), f" {text}")) for key, text in self._choices.items()
            )
            yield Choices(*(Option(row, id=key, disabled=key in self._taken) for key, row in rows), compact=True)

    def on_mount(self) -> None:
        if self._present != "b":
            self.query_one(Choices).highlighted = list(self._choices).index(self._present)

    def on_key(self, event: Key) -> None:
        if event.character is not None and event.character in self._choices:
            event.stop()  # else the key acts on the screen below, too
            self._choose(event.character)

    @on(OptionList.OptionSelected)
    def choose(self, event: OptionList.OptionSelected) -> None:
        """Take the highlighted choice."""
        self._choose(event.option.id or "")

    def _choose(self, choice: str) -> None:
        self.dismiss(None if choice == self._present else self._take(choice))


def form(name: str, bench: Workbench) -> ModalScreen[Any]:
    """The dialog that a key opens: ``open`` gives a path, ``export`` a sentence, the others a changed draft."""
    draft, facts = bench.draft, bench.facts
    match name:
        case "open":
            path = facts.path if facts and facts.path != "sample" else ""
            hint = "A folder or file of images (pictures, WebDataset, Parquet, npz, IDX, HDF5, CIFAR), or: sample"
            recent = partial(recent_datasets, bench.jobs)
            return AskScreen("Open a dataset", hint, dataset_to_open, value=path, folders=recent, files=True)
        case "where":
            return AskScreen(
                "Folder for temporary files",
                "A folder on the disk to measure; empty: beside the dataset",
                lambda text: draft.moved(folder_to_write(text) or None),
                value=draft.base.work_dir or "",
                folders=disks,
            )
        case "add":
            from tui.screens.configuration import ConfigurationScreen

            return ConfigurationScreen("Add a configuration", bench.table.configuration, facts, draft.add, folder=True)
        case "codec":
            return codec_question(draft, bench.table.configuration)
        case "export":
            return export_form(f"{(Path(facts.path).name if facts else '') or 'images'}.html", lambda: bench.run)
    from tui.screens.plan import PlanScreen

    return PlanScreen(draft)


def codec_question(draft: Draft, configuration: Configuration) -> ChoiceScreen:
    """The list of codecs for a row of the table; those with which its backend has another row cannot be chosen."""
    entries = codecs_for(configuration.entry, draft.facts)
    names = {entry.name: configuration.with_codec(entry.name) for entry in entries if entry.name != configuration.codec}
    taken = [codec for codec, name in names.items() if name in draft.configurations]
    return ChoiceScreen(
        f"Codec of {configuration.backend}",
        {one.name: one.description + (" (in the table already)" if one.name in taken else "") for one in entries},
        present=configuration.codec,
        taken=taken,
        take=partial(draft.with_codec, draft.configurations.index(configuration)),
    )


def export_form(name: str, result: Callable[[], Run | None]) -> AskScreen:
    """The dialog that asks for a file and writes the report of ``result`` there; it gives a sentence.

    A file that is there is replaced only after its name was confirmed by a second Enter.
    """
    confirmed = [""]

    def write(text: str) -> str:
        path = Path(text.strip()).expanduser()
        if path.is_file() and confirmed != [text]:
            confirmed[:] = [text]
            raise UsageError(f"{path} is there already: Enter once more replaces it.")
        return export(result(), text)

    return AskScreen("Write a report", "File name, ending in .html, .md, .csv or .json", write, value=name)


def quit_question(job: str, *, can_go_on: bool) -> ChoiceScreen:
    """The dialog at quit while a job is going on: ``l`` leaves it running, where it can go on alone, ``s`` stops it."""
    leave = {"l": "leave it running in the background; the start screen lists it"} if can_go_on else {}
    stays = "what was measured stays in the history" if job == "run" else "it can be resumed"
    return ChoiceScreen(f"A {job} is going on", {**leave, "s": f"stop it; {stays}"})


def busy_question(other: str) -> ChoiceScreen:
    """The dialog before a second job: ``w`` watches the one that is going on, ``s`` stops it, ``a`` waits for it."""
    choices = {"w": "watch it", "s": "stop it, then start the new one", "a": "start the new one after it"}
    return ChoiceScreen(f"Going on: {safe_text(other, 100)}", choices)
