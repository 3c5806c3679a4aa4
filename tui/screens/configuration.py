"""The form of a configuration: backend, codec, their options, and the folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input

from backends.base import Options, bounds_of, parse_options
from backends.bench.configuration import Configuration
from backends.errors import ImgstoreError
from backends.registry import backend_entries, codec_entries
from tui.draft import codecs_for
from tui.paths import folder_to_write
from tui.screens.dialogs import Dialog
from tui.widgets.folders import FolderInput
from tui.widgets.form import ChoiceField, Field, Form

if TYPE_CHECKING:
    from backends.datasets.base import DatasetFacts


class ConfigurationScreen(Dialog[Any]):
    """Filled in with ``like``; dismissed with what ``take`` makes of the text of a configuration, or with None.

    ``take`` raises ImgstoreError with what to show.  The ``facts`` of a dataset decide which codecs it can be kept in.
    """

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
        self._like = Configuration("files") if like.is_reference else like
        self._choices = {
            "backend": ChoiceField(tuple(backend_entries()), self._like.backend, id="backend"),
            "codec": ChoiceField((), self._like.codec, id="codec"),
        }
        where = FolderInput(self._like.folder or "", "that of the plan", id="folder")
        self._folder = Field("folder", where, hint="Where it writes, such as another disk; Tab completes")
        self._folder.display = folder
        self._options: dict[str, list[Field]] = {}  # of the backend, then of the codec

    def compose(self) -> ComposeResult:
        choices = (Field(name, choice) for name, choice in self._choices.items())
        yield Form(self._title, *choices, Vertical(id="options"), self._folder)

    async def on_mount(self) -> None:
        await self.follow()

    @on(ChoiceField.Changed)
    async def follow(self) -> None:
        """Offer the codecs of the backend, and ask for the options of both."""
        entry, codec = backend_entries()[self._choices["backend"].value], self._choices["codec"]
        codec.names = tuple(one.name for one in codecs_for(entry, self._facts))
        if codec.value not in codec.names:
            codec.value = Configuration.for_dataset(entry.name, self._facts).codec
        of_codec = codec_entries()[codec.value]
        about, about_codec, *_ = self.query(Field)
        about.hint, about_codec.hint = f"{entry.title}{entry.missing and '; '}{entry.missing}", of_codec.description
        self.query_one(Form).show_hint()
        if [*self._options] != [entry.name, of_codec.name]:
            like = {self._like.backend: self._like.backend_options, self._like.codec: self._like.codec_options}
            parts = (("backend", entry.name, entry.options), ("codec", of_codec.name, of_codec.options))
            self._options = {name: _fields(role, name, like.get(name, kind())) for role, name, kind in parts}
            box = self.query_one("#options")
            await box.remove_children()
            await box.mount_all(field for owned in self._options.values() for field in owned)

    @on(FolderInput.Completed)
    def list_matches(self, event: FolderInput.Completed) -> None:
        """Show between which folders Tab could not decide."""
        self.query_one(Form).say(event.sentence)

    @work(exclusive=True, exit_on_error=False)
    async def action_submit(self) -> None:
        """Close, or say what is wrong."""
        try:
            folder = await asyncio.to_thread(folder_to_write, self._folder.control.value)
        except ImgstoreError as error:
            self._folder.say(str(error))
            self._folder.control.focus()
            return
        parts = []
        for owner, owned in self._options.items():
            parts.append(f"{owner}:{','.join(f'{one.label}={one.control.value}' for one in owned)}")
        try:
            self.dismiss(self._take("+".join(parts) + (f"@{folder}" if folder else "")))
        except ImgstoreError as error:
            self.query_one(Form).say(str(error), "$error")


def _fields(role: str, owner: str, options: Options) -> list[Field]:
    """A field for each option, filled in, with its bounds and its default as the hint."""
    return [
        Field(
            one.name,
            Input(str(getattr(options, one.name)), id=f"{role}_{one.name}"),
            lambda text, name=one.name: parse_options(type(options), f"{name}={text}", owner),  # type: ignore[misc]
            f"{owner} {one.name}: {bounds_of(one)}; default {one.default}",
        )
        for one in fields(options)
    ]
