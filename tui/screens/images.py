"""Images screen: the pictures of a dataset or a store, one at a time, with what is known of each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import Static
from textual.worker import Worker, WorkerState

from backends import units
from backends.datasets import open_dataset
from backends.datasets.base import AS_FOUND, Reading
from backends.errors import UsageError
from backends.stores.manifest import is_store
from backends.stores.store import open_store
from tui.labels import sentence_of
from tui.screens.dialogs import AskScreen
from tui.text import safe_text
from tui.widgets.footer import FooterLine, label_top
from tui.widgets.picture import Picture


@dataclass(frozen=True, slots=True)
class Shown:
    """An image with what is said of it; without ``pixels`` it did not decode, for the reason ``why``."""

    facts: str
    pixels: NDArray[np.uint8] | None = None
    why: str = ""


class Album:
    """The images of a dataset's split, or of a whole store, which also lists duplicates and what did not decode.

    ``lists`` has the positions in each list.  Raises ImgstoreError where the path is neither.
    """

    def __init__(self, path: str, split: str | None, how: Reading) -> None:
        self.store = open_store(path) if path != "sample" and is_store(Path(path)) else None
        self._dataset = None if self.store is not None else open_dataset(path, split, how=how)
        source = self.store or self._dataset
        assert source is not None
        self.close, self.labels, self.classes, self._name = source.close, source.labels, source.classes, source.name
        self.lists: dict[str, Sequence[int]] = {"images": range(len(self.labels))}
        self._first_of: dict[int, int] = {}
        if self.store is not None:
            self._first_of = dict(self.store.duplicates)
            self.lists |= {"duplicates": list(self._first_of), "not decoded": range(len(self.store.failures))}

    def look(self, name: str, position: int) -> Shown:
        """What a list has at a position, read and decoded."""
        number = self.lists[name][position]
        if self.store is not None and name == "not decoded":
            split, _, file, why = self.store.failures[number]
            return Shown(f"{safe_text(file)}   split {safe_text(split, 40)}", why=why)
        if self._dataset is not None:
            decoded = self._dataset.decode(np.array([number]))
            if decoded.failures:
                return Shown(safe_text(decoded.failures[0].name), why=decoded.failures[0].why)
            pixels = decoded.images.pixels[0]
        elif self.store is not None:
            pixels, _ = self.store[number]
        label = int(self.labels[number])
        words = (
            f"image {number:,} of {len(self.labels):,}",
            f"class {self.classes[label] if 0 <= label < len(self.classes) else label}",
            self._name(number),
            units.shape(pixels.shape),
            f"equal to image {self._first_of[number]:,}" if number in self._first_of else "",
        )
        return Shown("   ".join(safe_text(word, 80) for word in words if word), pixels)

    def of_next_class(self, name: str, position: int, step: int) -> int:
        """The position of the first image of the class one step on, by label, in a list of images."""
        labels = self.labels[np.asarray(self.lists[name])]
        there = np.unique(labels)
        wanted = there[(np.searchsorted(there, labels[position]) + step) % len(there)]
        return int(np.argmax(labels == wanted))


class ImagesScreen(Screen[None]):
    """Shows one image of the list ``which``, read in a thread."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(-1)", "previous", show=False, tooltip="Previous image"),
        Binding("right,l,space", "move(1)", "next", key_display="← →", tooltip="Next image"),
        Binding("down,j", "other_class(1)", "class", key_display="↑ ↓", tooltip="Next class"),
        Binding("up,k", "other_class(-1)", "previous class", show=False, tooltip="Previous class"),
        Binding("g,home", "go(0)", "first", show=False, tooltip="First image"),
        Binding("G,end", "go(-1)", "last", show=False, tooltip="Last image"),
        Binding("slash", "ask", "number", key_display="/", tooltip="The image of a number"),
        Binding("tab", "next_list", "list", key_display="Tab", tooltip="All images, duplicates, not decoded"),
        Binding("escape,i", "dismiss(None)", "back", key_display="Esc", tooltip="Back"),
    ]

    position: reactive[int] = reactive(0, init=False)
    which: reactive[str] = reactive("images", init=False)

    def __init__(self, path: str, split: str | None = None, which: str = "images", how: Reading = AS_FOUND) -> None:
        super().__init__()
        self._path, self._split, self._how = path, split, how
        self._album: Album | None = None
        self.set_reactive(ImagesScreen.which, which)

    def compose(self) -> ComposeResult:
        yield Picture(classes="box")
        yield Static(id="said", markup=False)
        yield FooterLine()

    def on_mount(self) -> None:
        label_top(self.query_one(Picture), "Images", safe_text(self._path))
        self._show()

    def on_unmount(self) -> None:
        if self._album is not None:
            self._album.close()

    @work(group="image", exclusive=True, exit_on_error=False)
    async def _show(self) -> None:
        if self._album is None:
            self._album = await asyncio.to_thread(Album, self._path, self._split, self._how)
            self.refresh_bindings()
        count, which, position = len(self._list), self.which, self.position
        title = "Images" if which == "images" else f"{which.capitalize()}: {min(position + 1, count):,} of {count:,}"
        label_top(self.query_one(Picture), title, safe_text(self._path))
        shown = await asyncio.to_thread(self._album.look, which, position) if count else Shown("there are none")
        self.query_one(Picture).pixels = shown.pixels
        why = Content.assemble("   ", (safe_text(shown.why, 300), "$error")) if shown.why else Content()
        self.query_one("#said", Static).update(Content.assemble(shown.facts, why))

    watch_position = watch_which = _show

    @property
    def _list(self) -> Sequence[int]:
        return self._album.lists[self.which] if self._album is not None else ()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Say what could not be read."""
        if event.state is WorkerState.ERROR:
            self.query_one(Picture).pixels = None
            error = safe_text(sentence_of(event.worker.error), 400)
            self.query_one("#said", Static).update(Content.styled(error, "$error"))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "next_list":
            return self._album is not None and len(self._album.lists) > 1
        if action == "other_class":
            return self._album is not None and bool(self._album.classes) and self.which != "not decoded"
        return action == "dismiss" or len(self._list) > 1

    def action_move(self, step: int) -> None:
        self.position = (self.position + step) % len(self._list)

    def action_go(self, position: int) -> None:
        self.position = position % len(self._list)

    def action_other_class(self, step: int) -> None:
        if self._album is not None:
            self.position = self._album.of_next_class(self.which, self.position, step)

    def action_next_list(self) -> None:
        names = list(self._album.lists) if self._album is not None else [self.which]
        self.set_reactive(ImagesScreen.position, 0)
        self.which = names[(names.index(self.which) + 1) % len(names)]
        self.refresh_bindings()

    def action_ask(self) -> None:
        first = 0 if self.which == "images" else 1  # images have the numbers that the command ``show`` takes
        last = first + len(self._list) - 1

        def parse(text: str) -> int:
            number = text.replace(",", "").strip()
            if not number.isascii() or not number.isdigit() or not first <= int(number) <= last:
                raise UsageError(f"give a number from {first} to {last:,}.")
            return int(number) - first

        dialog = AskScreen("Go to", f"Number, {first} to {last:,}", parse)
        self.app.push_screen(dialog, lambda position: None if position is None else self.action_go(position))
