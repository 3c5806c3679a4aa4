"""Convert screen: what a conversion takes, how far it is, what it made."""

from __future__ import annotations

import asyncio
import shlex
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from msgspec import structs
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.reactive import reactive
from textual.screen import ModalScreen
from textual.worker import get_current_worker

from backends.bench.child import in_child
from backends.bench.configuration import Configuration
from backends.datasets.base import DatasetFacts
from backends.errors import UsageError
from backends.runs.conversion import Conversion, ConversionSpec
from backends.stores.plan import SHARD_BYTES
from tui import messages, workers
from tui.conversion import FIELDS, batch_file, command_words, rows_after, rows_before, rows_during, title
from tui.paths import absolute_dataset
from tui.plan_fields import parse, write
from tui.screens.configuration import ConfigurationScreen
from tui.screens.dialogs import AskScreen
from tui.screens.help import TextScreen
from tui.screens.images import ImagesScreen
from tui.screens.saying import SayingScreen
from tui.text import safe_text
from tui.widgets.footer import label_top
from tui.widgets.verdict import ScrolledText


class ConvertScreen(SayingScreen[None]):
    """Shows what ``spec`` takes until it is started, then the ``conversion``; leaving it does not stop that."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "next_step", "next", key_display="Enter"),
        Binding("p", "pause", "pause"),
        Binding("x", "cancel", "cancel (resumable)"),
        *(Binding(key, f"ask('{name}')", "change", show=False) for name, key in FIELDS.items()),
        Binding("i", "images", "images"),
        Binding("b", "batch", "batch script"),
        Binding("y", "copy", "copy command"),
        Binding("escape,C", "dismiss(None)", "back", key_display="Esc"),
    ]

    spec: reactive[ConversionSpec]
    found: reactive[messages.Prepared | None] = reactive(None)
    conversion: reactive[Conversion | None] = reactive(None)

    def __init__(self, spec: ConversionSpec, facts: DatasetFacts | None, conversion: Conversion | None) -> None:
        super().__init__()
        self.spec, self._facts = spec, facts
        self.set_reactive(ConvertScreen.conversion, conversion)

    def compose(self) -> ComposeResult:
        yield ScrolledText(classes="box")
        yield from self.compose_foot()

    def on_mount(self) -> None:
        self.query_one(ScrolledText).focus()
        if self.conversion is None:
            self._prepare()

    def watch_conversion(self) -> None:
        if self.is_mounted:
            self._show()

    watch_found = on_resize = watch_conversion

    def _show(self) -> None:
        box, state = self.query_one(ScrolledText), self.conversion
        width = self.size.width - 4
        if state is None:
            rows = rows_before(self.spec, self.found, width)
        else:
            rows = rows_during(state, width) if state.alive else rows_after(state, width)
        box.update(Content("\n").join(rows))
        label_top(box, "Convert", title(self.spec))
        self.refresh_bindings()

    # Before

    @work(thread=True, group="prepare", exclusive=True, exit_on_error=False)
    def _prepare(self) -> None:
        worker = get_current_worker()
        found = workers.prepare_conversion(self.spec, lambda: worker.is_cancelled)
        if not worker.is_cancelled:
            self.post_message(found)

    @on(messages.Prepared)
    def take_found(self, message: messages.Prepared) -> None:
        """Show what the conversion takes, if it still is the one."""
        if message.spec == self.spec:
            self.found = message

    def change(self, spec: ConversionSpec | None) -> None:
        """Take another spec, and find out what it takes; None changes nothing."""
        if spec is not None:
            self.spec, self.found, self.conversion = spec, None, None
            self._show()
            self._prepare()

    def action_ask(self, name: str) -> None:
        self.app.push_screen(form(name, self.spec, self._facts), self.change)

    @work(exit_on_error=False)
    async def action_batch(self) -> None:
        if self.found is not None:
            self.say(await asyncio.to_thread(workers.write_batch, self.found, batch_file(self.spec)))

    def action_copy(self) -> None:
        self.post_message(messages.Copy(shlex.join(command_words(self._to_start))))

    # During and after

    async def action_pause(self) -> None:
        await self.run_action("app.pause_conversion")

    async def action_cancel(self) -> None:
        await self.run_action("app.stop_conversion")

    def action_images(self) -> None:
        """Show the images of the store once it is made, first those that did not decode; before, the dataset's."""
        state, request = self.conversion, self.spec.request
        if state is None or state.made is None:
            self.app.push_screen(ImagesScreen(request.dataset, request.split, how=request.how))
        else:
            which = "not decoded" if state.made.failures else "images"
            self.app.push_screen(ImagesScreen(self.spec.destination, which=which))

    @work(exit_on_error=False)
    async def action_loader(self) -> None:
        from backends.stores.loader import loader_code

        code = await asyncio.to_thread(in_child, partial(loader_code, Path(self.spec.destination), torch=False))
        text = Content("\n").join(Content(safe_text(line, 400)) for line in code.splitlines())
        self.app.push_screen(TextScreen("Loader", text))

    @property
    def next_step(self) -> tuple[str, str] | None:
        """What Enter does: the footer's word and the action; None while there is nothing to do but watch."""
        state, found = self.conversion, self.found
        if state is not None and not state.alive:
            begun = ("resume", "start") if state.start else ("change", "again")
            return begun if state.made is None else ("loader code", "loader")
        if state is not None or found is None:
            return None
        if not found.problem:
            return "resume" if found.begun else "start", "start"
        if self.spec.destination in found.problem or ": name a" in found.problem:
            return "change folder", "ask('to')"
        is_dataset = self.spec.request.dataset in found.problem
        return ("change dataset", "ask('dataset')") if is_dataset else ("change backend", "ask('keep as')")

    async def action_next_step(self) -> None:
        if step := self.next_step:
            await self.run_action(step[1])

    @property
    def _to_start(self) -> ConversionSpec:
        begun = self.conversion is not None or (self.found is not None and self.found.begun)
        return structs.replace(self.spec, resume=begun)

    def action_start(self) -> None:
        self.post_message(messages.StartJob(self._to_start))

    def action_again(self) -> None:
        self.change(self.spec)

    def describe_action(self, action: str) -> str:
        if action == "next_step":
            return self.next_step[0] if self.next_step else ""
        if action == "pause" and self.conversion is not None and self.conversion.is_paused:
            return "go on"
        return "workbench" if action.startswith("dismiss") and self.conversion is not None else ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        state = self.conversion
        acts = {
            "next_step": self.next_step is not None,
            "ask": state is None,
            "copy": state is None,
            "batch": state is None and self.found is not None and not self.found.problem,
            "cancel": state is not None and state.can_stop,
            "pause": state is not None and state.can_stop and state.phase == "running",
        }
        return acts.get(action, True)


_HINTS = {
    "dataset": "A folder or file of images (pictures, WebDataset, Parquet, npz, IDX, HDF5, CIFAR, a store), or: sample",
    "to": "Folder of the store, which does not exist yet",
    "shards": "Size of a shard: 1G, 10k images, or single for one of each split",
    "size": "Pixels of the shorter side; larger images are shrunk, which is lossy. Empty: as they are",
    "workers": "Processes; empty: one for each processor",
}


def form(name: str, spec: ConversionSpec, facts: DatasetFacts | None) -> ModalScreen[Any]:
    """The dialog that asks for a field, and gives the changed spec."""
    request, take = spec.request, partial(changed, name, spec, facts)
    if name == "keep as":
        return ConfigurationScreen("Keep as", request.configuration, facts, take, folder=False)
    shards = f"{request.shard_images:,} images" if request.shard_images else write("memory", request.shard_bytes)
    values = {
        "dataset": request.dataset,
        "to": spec.destination,
        "shards": "single" if request.single else shards.replace(",", ""),
        "size": str(request.resize or ""),
        "workers": str(spec.workers or ""),
    }
    folders = list if name in ("dataset", "to") else None
    files = name == "dataset"
    return AskScreen(name.capitalize(), _HINTS[name], take, value=values[name], folders=folders, files=files)


def changed(name: str, spec: ConversionSpec, facts: DatasetFacts | None, text: str) -> ConversionSpec:
    """The spec with a field as it was written.  Raises UsageError with the sentence to show."""
    text, fields = text.strip(), dict[str, Any]()
    number = int(parse("workers", text)) if text and name in ("size", "workers") else None
    match name:
        case "workers":
            return structs.replace(spec, workers=number or 0)
        case "to":
            if not text:
                raise UsageError("name the folder of the store, such as /data/my-images-hdf5.")
            return structs.replace(spec, destination=str(Path(text).expanduser().absolute()))
        case "dataset":
            fields["dataset"] = absolute_dataset(text)
        case "size":
            fields["resize"] = number
        case "shards":
            images = parse("batch", text.partition(" image")[0]) if " image" in text else None
            size = None if images or text == "single" else parse("memory", text)
            fields |= {"single": text == "single", "shard_images": images, "shard_bytes": size or SHARD_BYTES}
        case "keep as":
            fields["configuration"] = configuration = Configuration.for_dataset(text, facts)
            folder, end = spec.destination, f"-{spec.request.configuration.backend}"
            if folder.endswith(end):
                spec = structs.replace(spec, destination=f"{folder.removesuffix(end)}-{configuration.backend}")
    return structs.replace(spec, request=structs.replace(spec.request, **fields))
