"""Panel 1: what the dataset is."""

from __future__ import annotations

from rich.cells import cell_len
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from backends import units
from backends.datasets.facts import DatasetFacts
from tui.sentences import dataset_name
from tui.text import fit, safe_text, short


class DatasetPanel(Widget, can_focus=True):
    """One line where the screen is small, three in a box where there is room."""

    BORDER_TITLE = "1 Dataset"

    facts: reactive[DatasetFacts | None] = reactive(None)
    opening: reactive[str] = reactive("")
    """The path that is being read now; empty when nothing is."""

    def watch_opening(self) -> None:
        self.border_subtitle = "reading" if self.opening else "ready" if self.facts else ""

    def watch_facts(self) -> None:
        self.watch_opening()

    @property
    def boxed(self) -> bool:
        """Whether there is room for more than one line."""
        return self.size.height > 1

    def render(self) -> Content:
        if self.opening:
            return self._line(
                Content.assemble(("reading ", "$dim"), short(safe_text(self.opening), self.size.width - 12))
            )
        if self.facts is None:
            return self._line(Content.styled("no dataset yet", "$dim"))
        return Content("\n").join(self._rows(self.facts)) if self.boxed else self._one_row(self.facts)

    def _line(self, content: Content) -> Content:
        return content if self.boxed else Content.assemble(("1 ", "$dim"), content)

    def _one_row(self, facts: DatasetFacts) -> Content:
        parts = self._figures(facts)
        row = Content.assemble(
            ("1 ", "bold" if self.has_focus else "$dim"), (safe_text(dataset_name(facts), 24), "bold")
        )
        for part in parts:
            if row.cell_length + 2 + part.cell_length <= self.size.width - 8:
                row = Content.assemble(row, "  ", part)
        return Content.assemble(row, " " * max(1, self.size.width - row.cell_length - 6), "ready ")

    def _figures(self, facts: DatasetFacts) -> list[Content]:
        return [
            Content.assemble((f"{facts.count:,}", "bold"), (" images", "$dim")),
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
        path = short(safe_text(facts.path), max(10, width - kind.cell_length - figures.cell_length - 6))
        first = Content.assemble(kind, "   ", (path, "$dim"), "   ", figures)
        return [first, self._class_names(facts, width), self._splits(facts)]

    def _class_names(self, facts: DatasetFacts, width: int) -> Content:
        counts = set(facts.class_counts)
        each = f"   {counts.pop():,} each" if len(counts) == 1 else ""
        shown, room = "", width - len(each) - 2
        for name in facts.classes:
            longer = f"{shown} {safe_text(name, 40)}".lstrip()
            if cell_len(longer) > room:
                shown += " …"
                break
            shown = longer
        return Content.styled(shown + each, "$dim")

    def _splits(self, facts: DatasetFacts) -> Content:
        others = ", ".join(f"{safe_text(name, 20)} {count:,}" for name, count in facts.splits.items())
        notes = "".join(f"   {safe_text(note, 300)}" for note in facts.notes)
        kind = "" if dataset_name(facts) == facts.kind else f"{safe_text(facts.kind, 30)}   "
        said = f"{kind}split {safe_text(facts.split, 20)}   of {others}{notes}"
        return Content.styled(fit(said, self.size.width).rstrip(), "$dim")
