"""Panel 2: the configurations, and one column a size that fills with the figures of the operation on show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual.binding import BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from backends import units
from tui.draft import Draft, Row, first_draft
from tui.keys import MOVES, SIDEWAYS
from tui.run_state import RunState
from tui.series import Known, Series
from tui.text import fit, safe_text

FEW_ROWS = 4
_COLUMN, _WIDEST_COLUMN = 9, 12
_EXTRAS = ("on disk", "files", "img/s", "durable")
"""Columns behind the sizes, as many as fit; all of the largest size."""


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where the columns stand, in cells; ``start`` and ``fitting`` say which sizes are shown."""

    names: int
    codecs: int
    start: int
    fitting: int
    extras: int
    width: int
    gap: int


class BackendTable(Widget, can_focus=True):
    """Columns never change width; a finished cell shows its time, a waiting one a dot, a running one its share."""

    BORDER_TITLE = "2 Backends"
    BINDINGS: ClassVar[list[BindingType]] = [*MOVES, *SIDEWAYS]

    draft: reactive[Draft] = reactive(first_draft)
    run: reactive[RunState | None] = reactive(None)
    series: reactive[Known] = reactive(Known)
    operation: reactive[str] = reactive("store")
    cursor: reactive[int] = reactive(0)
    """The row that keys act on."""
    few_rows: reactive[bool] = reactive(True)
    """Whether the screen is small."""
    column: reactive[int] = reactive(0)
    """The first size that is shown, where not all fit."""

    class Moved(Message):
        """The cursor stands on another row."""

    def validate_cursor(self, cursor: int) -> int:
        return max(0, min(cursor, len(self.draft.rows) - 1))

    def watch_draft(self) -> None:
        self.cursor = self.cursor
        self._fit()

    def watch_few_rows(self) -> None:
        self._fit()

    def _fit(self) -> None:
        """Take the rows that are needed; where the screen is small, unticked ones wait below."""
        ticked = sum(row.ticked for row in self.draft.rows)
        rows = min(len(self.draft.rows), max(ticked, FEW_ROWS)) if self.few_rows else len(self.draft.rows)
        self.styles.height = rows + 3
        self._name_it()

    def _name_it(self) -> None:
        below = len(self.draft.rows) - self._first_row() - max(1, self.size.height - 1)
        more = f", {below} more below" if below > 0 and self.size.height else ""
        self.border_title = f"2 Backends ─ {self.operation.capitalize()}{more}"

    def on_resize(self) -> None:
        self._name_it()

    def watch_cursor(self) -> None:
        self._name_it()
        self.post_message(self.Moved())

    def watch_operation(self) -> None:
        self._name_it()

    def action_cursor_up(self) -> None:
        self.cursor -= 1

    def action_cursor_down(self) -> None:
        self.cursor += 1

    def action_first(self) -> None:
        self.cursor = 0

    def action_last(self) -> None:
        self.cursor = len(self.draft.rows) - 1

    def action_cursor_left(self) -> None:
        self.column = max(0, self.column - 1)

    def action_cursor_right(self) -> None:
        grid = self._grid()
        self.column = min(self.column + 1, len(self.draft.sizes) - grid.fitting)

    @property
    def configuration(self) -> str:
        """The configuration under the cursor."""
        return self.draft.rows[self.cursor].configuration

    def on_click(self, event: object) -> None:
        offset = getattr(event, "y", 0) - 2
        if 0 <= offset < len(self.draft.rows):
            self.cursor = offset + self._first_row()

    def render(self) -> Content:
        grid = self._grid()
        first = self._first_row()
        shown = self.draft.rows[first : first + max(1, self.size.height - 1)]
        rows = (
            self._row(first + place, row, self.series[row.configuration], grid)
            for place, row in enumerate(shown)
            if row.configuration in self.series
        )
        return Content("\n").join([self._head(grid), *rows])

    def _first_row(self) -> int:
        height = max(1, self.size.height - 1)
        return max(0, min(self.cursor - height + 1, len(self.draft.rows) - height))

    def _grid(self) -> _Grid:
        series = self.series.values()
        names = max([6, *(cell_len(one.backend) for one in series)])
        codecs = min(16, max([5, *(cell_len(_codec(one)) for one in series)]))
        room = self.size.width - 6 - names - 2 - codecs - 1
        sizes = len(self.draft.sizes)
        extras = max(1, min(len(_EXTRAS), room // (_COLUMN + 1) - sizes))
        fitting = max(1, min(sizes, room // _COLUMN - extras))
        width = max(_COLUMN, min(_WIDEST_COLUMN, room // (fitting + extras)))
        start = min(self.column, sizes - fitting)
        gap = max(0, room - width * (fitting + extras)) if width < _WIDEST_COLUMN else 0
        return _Grid(names, codecs, start, fitting, extras, width, gap)

    def _head(self, grid: _Grid) -> Content:
        sizes = self.draft.sizes
        text = " " * (6 + grid.names + 2 + grid.codecs + grid.gap)
        for place in range(grid.start, grid.start + grid.fitting):
            label = units.count(sizes[place])
            before = "‹ " if place == grid.start > 0 else ""
            after = " ›" if place == grid.start + grid.fitting - 1 < len(sizes) - 1 else ""
            text += fit(before + label + after, grid.width, right=True)
        return Content.styled(
            text + "".join(fit(name, grid.width, right=True) for name in _EXTRAS[: grid.extras]), "$dim"
        )

    def _row(self, index: int, row: Row, one: Series, grid: _Grid) -> Content:
        plain, strong = ("", "bold") if row.ticked else ("$dim", "$dim")
        parts: list[Content | tuple[str, str]] = [
            ("[x] " if row.ticked else "[ ] ", plain),
            (one.mark + " ", one.role if row.ticked else "$dim"),
            (fit(safe_text(one.backend, 40), grid.names) + "  ", strong),
            (fit(_codec(one), grid.codecs) + " " * grid.gap, "$dim"),
        ]
        cells = [
            self._cell(one.configuration, size, row.ticked)
            for size in self.draft.sizes[grid.start : grid.start + grid.fitting]
        ]
        for text, style in cells + self._extras(one.configuration, row.ticked)[: grid.extras]:
            parts.append((fit(text, grid.width, right=True), style))
        line = Content.assemble(*parts)
        line = Content.assemble(line, " " * max(0, self.size.width - line.cell_length))
        if index == self.cursor and self.has_focus:
            line = line.stylize("reverse" if self.app.native_ansi_color else "on $cursor")
        return line

    def _cell(self, configuration: str, size: int, ticked: bool) -> tuple[str, str]:
        """What one cell says: a figure, a share, a dot, or that it failed."""
        run = self.run
        waiting = ("·" if ticked and self.operation in self.draft.operations else "", "$dim")
        if run is None:
            return waiting
        key = (configuration, self.operation, size)
        trial = run.trial
        if trial is not None and (trial.configuration, trial.operation, trial.count) == key:
            return f"▸ {run.share * 100:.0f} %", "bold"
        figure = run.figures.get(key)
        failed = run.failures.get(key)
        if failed is not None and (figure is None or not figure.repeats):
            return ("! failed", "$error") if failed.outcome == "failed" else ("skipped", "$dim")
        if figure is None or figure.seconds is None:
            return waiting
        if failed is not None:
            return f"! {units.seconds(figure.seconds)}", "$error"
        return units.seconds(figure.seconds), "" if figure.repeats >= run.plan.repeats else "$dim"

    def _extras(self, configuration: str, ticked: bool) -> list[tuple[str, str]]:
        """What the largest size takes on disk, in files, and how fast and how durable it was."""
        run, size = self.run, self.draft.sizes[-1]
        found = run.figures.get((configuration, self.operation, size)) if run is not None else None
        if found is None or not found.repeats:
            return [("·" if ticked else "", "$dim")] * len(_EXTRAS)
        return [
            (units.size(found.bytes_allocated), ""),
            (f"{found.files:,}" if found.files is not None else "·", ""),
            (units.rate(found.images_per_second).removesuffix(" img/s"), ""),
            (units.seconds(found.seconds_durable), ""),
        ]


def _codec(one: Series) -> str:
    return safe_text(one.codec + (f" @{one.folder}" if one.folder else ""), 60)
