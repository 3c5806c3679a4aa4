"""The form of a configuration: backend, codec, their options, and the folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar

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
from tui.draft import codecs_for
from tui.widgets.folders import FolderInput
from tui.widgets.form import ChoiceField, Field, Form
from tui.workers import folder_to_write

if TYPE_CHECKING:
    from backends.datasets.base import DatasetFacts


class ConfigurationScreen(ModalScreen[Any]):
    """Filled in with ``like``; dismissed with what ``take`` makes of the text of a configuration, or with None.

    ``take`` raises ImgstoreError with what to show.  The ``facts`` of a dataset decide which codecs it can be kept in.
    """

    CSS_PATH = "ask.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "back"),
        Binding("enter", "submit", "OK"),
    ]

    def __init__(
        self,
        title: str,
        like: Configuration,
        facts: DatasetFacts | None,
        take: Callable[[str], object],
        *,
        folder: bool,
    ) -> None:
        super().__init__()
        self._title, self._facts, self._take = title, facts, take
        self._like = like if not like.is_reference else Configuration("files")
        controls: dict[str, Input | ChoiceField] = {
            "backend": ChoiceField(tuple(backend_entries()), self._like.backend, id="backend"),
            "codec": ChoiceField((), self._like.codec, id="codec"),
            "folder": FolderInput(self._like.folder or "", "that of the plan", id="folder"),
        }
        self._fields = {name: Field(name, control) for name, control in controls.items()}
        self._fields["folder"].hint = "Where it writes, such as another disk; Tab completes"
        self._fields["folder"].display = folder
        self._options: list[tuple[str, type[Options], dict[str, Field]]] = []  # of the backend, then of the codec

    def compose(self) -> ComposeResult:
        backend, codec, folder = self._fields.values()
        with Form(self._title):
            with VerticalScroll(can_focus=False):
                yield from (backend, codec, Vertical(id="options"), folder)
            yield Static(id="hint", markup=False)

    async def on_mount(self) -> None:
        await self.follow()

    @on(ChoiceField.Changed)
    async def follow(self) -> None:
        """Offer the codecs of the backend, and ask for the options of both."""
        entry, codec = backend_entries()[self._fields["backend"].control.value], self._fields["codec"].control
        assert isinstance(codec, ChoiceField)
        codec.names = tuple(one.name for one in codecs_for(entry, self._facts))
        if codec.value not in codec.names:
            codec.value = Configuration.for_dataset(entry.name, self._facts).codec
        of_codec = codec_entries()[codec.value]
        self._fields["backend"].hint = entry.title + (f"; {entry.missing}" if entry.missing else "")
        self._fields["codec"].hint = of_codec.description
        self.query_one(Form).show_hint()
        if [owner for owner, _, _ in self._options] == [entry.name, codec.value]:
            return
        self._options = [
            (one.name, one.options, self._option_fields(role, one.name, one.options))
            for role, one in (("backend", entry), ("codec", of_codec))
        ]
        box = self.query_one("#options")
        await box.remove_children()
        await box.mount_all(field for _, _, owned in self._options for field in owned.values())

    def _option_fields(self, role: str, owner: str, kind: type[Options]) -> dict[str, Field]:
        like = {self._like.backend: self._like.backend_options, self._like.codec: self._like.codec_options}
        values, made = like.get(owner, kind()), {}
        for one in fields(kind):
            made[one.name] = Field(one.name, Input(str(getattr(values, one.name)), id=f"{role}_{one.name}"))
            made[one.name].hint = f"{owner} {one.name}: {bounds_of(one)}; default {one.default}"
        return made

    @on(Input.Changed)
    def check(self) -> Field | None:
        """Say at once which options are wrong; give the last one of them."""
        self._fields["folder"].say("")
        wrong = None
        for owner, kind, owned in self._options:
            for name, field in owned.items():
                field.say("")
                try:
                    parse_options(kind, f"{name}={field.control.value}", owner)
                except ImgstoreError as error:
                    field.say(str(error))
                    wrong = field
        return wrong

    @on(FolderInput.Completed)
    def list_matches(self, event: FolderInput.Completed) -> None:
        """Show between which folders Tab could not decide."""
        self.query_one(Form).say(event.sentence)

    @on(Input.Submitted)
    @work(exclusive=True, exit_on_error=False)
    async def action_submit(self) -> None:
        """Close, or say which field is wrong."""
        wrong, folder = self.check(), self._fields["folder"]
        try:
            where = await asyncio.to_thread(folder_to_write, folder.control.value)
        except ImgstoreError as error:
            folder.say(str(error))
            wrong = wrong or folder
        if wrong:
            wrong.control.focus()
            return
        parts = (
            f"{owner}:{','.join(f'{name}={field.control.value}' for name, field in owned.items())}"
            for owner, _, owned in self._options
        )
        try:
            self.dismiss(self._take("+".join(parts) + (f"@{where}" if where else "")))
        except ImgstoreError as error:
            self.query_one(Form).say(str(error), "$error")
