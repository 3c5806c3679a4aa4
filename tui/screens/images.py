"""Images screen: the pictures of a dataset or a store, one at a time, with what is known of each."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static
from textual.worker import Worker, WorkerState

from backends.bench.child import Child
from backends.datasets.base import AS_FOUND, Reading
from backends.errors import UsageError
from tui.album import Album, Shown
from tui.screens.dialogs import AskScreen
from tui.screens.saying import SayingScreen
from tui.text import safe_text
from tui.widgets.footer import label_top
from tui.widgets.picture import Picture


class ImagesScreen(SayingScreen[None]):
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
        self._album: Child | None = None
        self._lists: dict[str, int] = {}  # how many images each has
        self._has_classes = False
        self.set_reactive(ImagesScreen.which, which)

    def compose(self) -> ComposeResult:
        yield Picture(classes="box")
        yield from self.compose_foot()

    def on_mount(self) -> None:
        label_top(self.query_one(Picture), "Images", safe_text(self._path))
        self._show()

    def on_unmount(self) -> None:
        if self._album is not None:
            self._album.close()

    @work(group="image", exclusive=True, exit_on_error=False)
    async def _show(self) -> None:
        if self._album is None:
            album = partial(Child, Album, self._path, self._split, self._how, keep=True)
            self._album = await asyncio.to_thread(album)
            self._lists, self._has_classes = await asyncio.to_thread(self._album.ask, "contents")
            self.refresh_bindings()
        count, which, position = self._count, self.which, self.position
        title = "Images" if which == "images" else f"{which.capitalize()}: {min(position + 1, count):,} of {count:,}"
        label_top(self.query_one(Picture), title, safe_text(self._path))
        shown = await asyncio.to_thread(self._album.ask, "look", which, position) if count else Shown("there are none")
        self.query_one(Picture).pixels = shown.pixels
        why = Content.assemble("   ", (safe_text(shown.why, 300), "$error")) if shown.why else Content()
        self.query_one("#said", Static).update(Content.assemble(shown.facts, why))

    watch_position = watch_which = _show

    @property
    def _count(self) -> int:
        """Images of the list that is shown; 0 until it is open."""
        return self._lists.get(self.which, 0)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Let another process read the next image."""
        if event.state is WorkerState.ERROR:
            self.on_unmount()
            self._album = None
            self.query_one(Picture).pixels = None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "next_list":
            return len(self._lists) > 1
        if action == "other_class":
            return self._has_classes and self.which != "not decoded"
        return action == "dismiss" or self._count > 1

    def action_move(self, step: int) -> None:
        self.position = (self.position + step) % self._count

    def action_go(self, position: int) -> None:
        self.position = position % self._count

    @work(group="class", exclusive=True, exit_on_error=False)
    async def action_other_class(self, step: int) -> None:
        if self._album is not None:
            asked = "of_next_class", self.which, self.position, step
            self.position = await asyncio.to_thread(self._album.ask, *asked)

    def action_next_list(self) -> None:
        names = list(self._lists)
        self.set_reactive(ImagesScreen.position, 0)
        self.which = names[(names.index(self.which) + 1) % len(names)]
        self.refresh_bindings()

    def action_ask(self) -> None:
        first = 0 if self.which == "images" else 1  # images have the numbers that the command ``show`` takes
        last = first + self._count - 1

        def parse(text: str) -> int:
            number = text.replace(",", "").strip()
            if not number.isascii() or not number.isdigit() or not first <= int(number) <= last:
                raise UsageError(f"give a number from {first} to {last:,}.")
            return int(number) - first

        dialog = AskScreen("Go to", f"Number, {first} to {last:,}", parse)
        self.app.push_screen(dialog, lambda position: None if position is None else self.action_go(position))
