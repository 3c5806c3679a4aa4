"""The form of a new configuration: backend, codec, their options, and the folder."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, fields
from typing import ClassVar, Self

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from backends.base import Options, bounds_of, parse_options
from backends.bench.configuration import Configuration
from backends.errors import ImgstoreError
from backends.registry import backend_entries, codec_entries
from tui.draft import Draft
from tui.widgets.folders import FolderInput
from tui.widgets.form import ChoiceField, Field, Form
from tui.workers import folder_to_write


@dataclass(frozen=True, slots=True)
class _Part:
    """A backend or a codec, with a field of the form for each of its options."""

    owner: str
    kind: type[Options]
    fields: dict[str, Field]

    @classmethod
    def of(cls, role: str, owner: str, options: Options) -> Self:
        """Fields filled in with ``options``, with their bounds and defaults as hints."""
        made = {}
        for one in fields(options):
            value = Input(str(getattr(options, one.name)), id=f"{role}_{one.name}")
            hint = f"{owner} {one.name}: {bounds_of(one)}; default {one.default}"
            made[one.name] = Field(one.name, value, hint)
        return cls(owner, type(options), made)

    @property
    def text(self) -> str:
        """``png:level=2``."""
        options = ",".join(f"{name}={field.control.value}" for name, field in self.fields.items())
        return f"{self.owner}:{options}" if options else self.owner


class AddScreen(ModalScreen[Draft | None]):
    """Filled in with a row of the table; dismissed with the draft that has the new configuration, or with None."""

    CSS_PATH = "ask.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "back"),
        Binding("enter", "submit", "OK"),
    ]

    def __init__(self, draft: Draft, like: Configuration) -> None:
        super().__init__()
        self._draft = draft
        self._like = like if like.backend in backend_entries() else Configuration("files")
        self._parts: tuple[_Part, ...] = ()  # the backend, then the codec

    def compose(self) -> ComposeResult:
        like = self._like
        with Form("Add a configuration"):
            with VerticalScroll(can_focus=False):
                self._backend = ChoiceField(tuple(backend_entries()), like.backend, id="backend")
                yield Field("backend", self._backend, "")
                self._codec = ChoiceField((), like.codec, id="codec")
                yield Field("codec", self._codec, "")
                yield Vertical(id="options")
                folder = FolderInput(like.folder or "", "that of the plan", id="folder")
                self._folder = Field("folder", folder, "Where it writes, such as another disk; Tab completes")
                yield self._folder
            yield Static(id="hint", markup=False)

    async def on_mount(self) -> None:
        await self.follow_backend()
        self._backend.focus()

    @on(ChoiceField.Changed, "#backend")
    async def follow_backend(self) -> None:
        """Offer the codecs of the backend; the one that is chosen stays if it is among them."""
        entry = backend_entries()[self._backend.value]
        self._codec.names = tuple(one.name for one in self._draft.codecs(entry))
        if self._codec.value not in self._codec.names:
            self._codec.value = Configuration.for_dataset(entry.name, self._draft.facts).codec
        self._describe(self._backend, f"{entry.title}{f'; {entry.missing}' if entry.missing else ''}")
        await self.follow_codec()

    @on(ChoiceField.Changed, "#codec")
    async def follow_codec(self) -> None:
        """Ask for the options of what is chosen."""
        backend, codec = backend_entries()[self._backend.value], codec_entries()[self._codec.value]
        self._describe(self._codec, codec.description)
        if self._parts and [part.owner for part in self._parts] == [backend.name, codec.name]:
            return
        like = {self._like.backend: self._like.backend_options, self._like.codec: self._like.codec_options}
        self._parts = tuple(
            _Part.of(role, entry.name, like.get(entry.name, entry.options()))
            for role, entry in (("backend", backend), ("codec", codec))
        )
        box = self.query_one("#options")
        await box.remove_children()
        await box.mount_all(field for part in self._parts for field in part.fields.values())

    def _describe(self, choice: ChoiceField, sentence: str) -> None:
        """Show what the name that was chosen means."""
        field = next(one for one in self.query(Field) if one.control is choice)
        field.hint = sentence
        if choice.has_focus:
            self.query_one(Form).say(sentence)

    @on(Input.Changed)
    def check(self) -> None:
        """Say at once which option is wrong."""
        self._folder.say("")
        self._wrong_options()

    def _wrong_options(self) -> list[Field]:
        wrong = []
        for part in self._parts:
            for name, field in part.fields.items():
                sentence = ""
                try:
                    parse_options(part.kind, f"{name}={field.control.value}", part.owner)
                except ImgstoreError as error:
                    sentence = str(error)
                    wrong.append(field)
                field.say(sentence)
        return wrong

    @on(FolderInput.Completed)
    def list_matches(self, event: FolderInput.Completed) -> None:
        """Show between which folders Tab could not decide."""
        self.query_one(Form).say(event.sentence)

    @on(Input.Submitted)
    def action_submit(self) -> None:
        """Close with the draft, or say which field is wrong."""
        if wrong := self._wrong_options():
            wrong[0].control.focus()
        else:
            self._add()

    @work(group="add", exclusive=True, exit_on_error=False)
    async def _add(self) -> None:
        try:
            folder = await asyncio.to_thread(folder_to_write, self._folder.control.value)
        except ImgstoreError as error:
            self._folder.say(str(error))
            self._folder.control.focus()
            return
        method = "+".join(part.text for part in self._parts)
        try:
            draft = self._draft.add(f"{method}@{folder}" if folder else method)
        except ImgstoreError as error:
            self.query_one(Form).say(str(error), "$error")
        else:
            self.dismiss(draft)
