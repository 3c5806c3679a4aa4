"""Panel 1: what the dataset is, and where the run writes."""

from __future__ import annotations

import getpass
import socket
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from backends import units
from tui.labels import dataset_name
from tui.text import fit, middle, safe_text
from tui.widgets.footer import label_top

if TYPE_CHECKING:
    from backends.datasets.base import DatasetFacts
    from backends.runs.run import Run
    from tui.messages import Place


def user_at_host() -> str:
    """``user@host`` of this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "?"
    return safe_text(f"{user}@{socket.gethostname().partition('.')[0]}", 40)


class DatasetPanel(Widget, can_focus=True):
    """One line where the screen is small, three in a box where there is room; its edge says where the run writes."""

    facts: reactive[DatasetFacts | None] = reactive(None)
    opening: reactive[str] = reactive("")  # the path that is being read now
    found: reactive[int] = reactive(0)  # pictures in it so far
    place: reactive[Place | None] = reactive(None)  # where a run writes; None until a dataset is chosen
    run: reactive[Run | None] = reactive(None)

    def on_mount(self) -> None:
        self._who = user_at_host()
        for name in ("opening", "facts", "place"):
            self.watch(self, name, self.label)

    def watch_run(self, before: Run | None, run: Run | None) -> None:
        if (before and before.start) is not (run and run.start):
            self.label()

    def label(self) -> None:
        """Write the top edge."""
        label_top(self, "1 Dataset", self._right(self.size.width - len("1 Dataset") - 4))

    on_resize = label

    def _right(self, room: int) -> str:
        """Where the run writes, or where it was measured, as much of it as fits."""
        run, place = self.run, self.place
        if run is not None and run.saved:
            return f"measured on {safe_text(run.environment.host, 40)}"
        if place is None:
            return self._who
        free = f", {units.capacity(place.free)} free" if place.free is not None else ""
        disk = safe_text(f" ({place.filesystem}{free})")
        folder = middle(safe_text(place.folder), max(12, room - len(disk) - len("writes to ")))
        writes = f"writes to {folder}{disk}"
        with_user = f"{writes} ─ {self._who}"
        return next((text for text in (with_user, writes) if cell_len(text) <= room), f"writes to {folder}")

    @property
    def boxed(self) -> bool:
        """Whether there is room for more than one line."""
        return self.size.height > 1

    def render(self) -> Content:
        if self.opening:
            found = f"   {self.found:,} pictures found" if self.found else ""
            path = middle(safe_text(self.opening), self.size.width - 8 - len(found))
            return Content.assemble(("reading ", "$dim"), path, found)
        if self.facts is None:
            return Content.styled("no dataset yet", "$dim")
        return Content("\n").join(self._rows(self.facts)) if self.boxed else self._one_row(self.facts)

    def _one_row(self, facts: DatasetFacts) -> Content:
        row = Content.styled(safe_text(dataset_name(facts), 24), "bold")
        split = Content.assemble(("split ", "$dim"), safe_text(facts.split, 20))
        left_out = Content.assemble((f"{facts.left_out:,}", "bold"), (" left out", "$dim"))
        images, *others = self._figures(facts)
        parts = [images, *([left_out] if facts.left_out else []), *others, *([split] if len(facts.splits) > 1 else [])]
        for part in parts:
            if row.cell_length + 3 + part.cell_length <= self.size.width:
                row = Content.assemble(row, "   ", part)
        return row

    def _figures(self, facts: DatasetFacts) -> list[Content]:
        return [
            Content.assemble((f"{facts.images:,}", "bold"), (" images", "$dim")),
            Content.assemble(("…" if facts.raw_bytes is None else units.shape(facts.image_shape), "bold")),
            Content.assemble((f"{len(facts.classes):,}", "bold"), (" classes", "$dim")),
            self._raw(facts),
        ]

    def _raw(self, facts: DatasetFacts) -> Content:
        if facts.raw_bytes is None:
            return Content.assemble((units.size(facts.source_bytes), "bold"), (" of files", "$dim"))
        known = units.size(facts.raw_bytes)
        if not facts.estimated:
            return Content.assemble((known, "bold"), (" raw", "$dim"))
        return Content.assemble((f"≈{known}", "bold"), (" raw, estimated" if self.boxed else " raw", "$dim"))

    def _rows(self, facts: DatasetFacts) -> list[Content]:
        width = self.size.width
        kind = Content.styled(safe_text(dataset_name(facts), 24), "bold")
        figures = Content.join(Content("   "), self._figures(facts))
        path = middle(safe_text(facts.path), max(10, width - kind.cell_length - figures.cell_length - 6))
        first = Content.assemble(kind, "   ", (path, "$dim"), "   ", figures)
        return [first, self._class_names(facts, width), self._splits(facts)]

    def _class_names(self, facts: DatasetFacts, width: int) -> Content:
        counts = set(facts.class_counts)
        each = f"   {counts.pop():,} each" if len(counts) == 1 else ""
        names = " ".join(safe_text(name, 40) for name in facts.classes[:width])
        return Content.styled(fit(names, width - len(each)).rstrip() + each, "$dim")

    def _splits(self, facts: DatasetFacts) -> Content:
        others = ", ".join(f"{safe_text(name, 20)} {count:,}" for name, count in facts.splits.items())
        notes = "".join(f"   {safe_text(note, 300)}" for note in facts.notes)
        kind = "" if dataset_name(facts) == facts.kind else f"{safe_text(facts.kind, 30)}   "
        line = f"{kind}split {safe_text(facts.split, 20)}   of {others}{notes}"
        return Content.styled(fit(line, self.size.width).rstrip(), "$dim")
