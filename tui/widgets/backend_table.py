"""Panel 2: the configurations, and one column a size that fills with the figures of the operation on show."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from textual.binding import BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from tui import units
from tui.draft import Draft, first_draft
from tui.keys import MOVES, SIDEWAYS
from tui.run_state import RunState
from tui.series import Series, identify
from tui.text import fit, safe_text

_COLUMN, _WIDEST_COLUMN = 9, 12


class BackendTable(Widget, can_focus=True):
    """Columns never change width; a finished cell shows its time, a waiting one a dot, a running one its share."""

    BORDER_TITLE = "2 Backends"
    BINDINGS: ClassVar[list[BindingType]] = [*MOVES, *SIDEWAYS]

    draft: reactive[Draft] = reactive(first_draft)
    run: reactive[RunState | None] = reactive(None)
    operation: reactive[str] = reactive("store")
    cursor: reactive[int] = reactive(0)
    """The row that keys act on."""
    column: reactive[int] = reactive(0)
    """The first size that is shown, where not all fit."""

    class Moved(Message):
        """The cursor stands on another row."""

    def validate_cursor(self, cursor: int) -> int:
        return max(0, min(cursor, len(self.draft.rows) - 1))

    def watch_draft(self) -> None:
        self.cursor = self.cursor
        self.styles.height = len(self.draft.rows) + 3

    def watch_cursor(self) -> None:
        self.post_message(self.Moved())

    def watch_operation(self, operation: str) -> None:
        self.border_title = f"2 Backends ─ {operation.capitalize()}"

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
        sizes = self.shown_sizes
        self.column = min(self.column + 1, len(sizes) - self._fitting(len(sizes))[0])

    @property
    def configuration(self) -> str:
        """The configuration under the cursor."""
        return self.draft.rows[self.cursor].configuration

    @property
    def shown_sizes(self) -> tuple[int, ...]:
        """The sizes that have a column: the run's, else the plan's."""
        return self.run.plan.sizes if self.run is not None else self.draft.sizes

    def on_click(self, event: object) -> None:
        offset = getattr(event, "y", 0) - 2
        if 0 <= offset < len(self.draft.rows):
            self.cursor = offset + self._first_row()

    def render(self) -> Content:
        series = identify(self.draft.configurations)
        names = max(6, *(cell_len(one.backend) for one in series.values()))
        codecs = max(5, *(cell_len(_codec(one)) for one in series.values()))
        first = self._first_row()
        height = max(1, self.size.height - 1)
        lines = [self._head(names, codecs)]
        for index in range(first, min(first + height, len(self.draft.rows))):
            row = self.draft.rows[index]
            lines.append(self._row(index, row.ticked, series[row.configuration], names, codecs))
        return Content("\n").join(lines)

    def _first_row(self) -> int:
        height = max(1, self.size.height - 1)
        return max(0, min(self.cursor - height + 1, len(self.draft.rows) - height))

    def _left(self, names: int, codecs: int) -> int:
        return 6 + names + 2 + min(codecs, 16)

    def _fitting(self, sizes: int) -> tuple[int, int, bool]:
        """How many sizes fit, how wide a column is, and whether the number of files has one too."""
        series = identify(self.draft.configurations).values()
        names = max(6, *(cell_len(one.backend) for one in series))
        codecs = max(5, *(cell_len(_codec(one)) for one in series))
        room = self.size.width - self._left(names, codecs) - 1
        files = room >= (sizes + 2) * _COLUMN + 20
        extra = 2 if files else 1
        count = max(1, min(sizes, room // _COLUMN - extra))
        return count, max(_COLUMN, min(_WIDEST_COLUMN, room // (count + extra))), files

    def _head(self, names: int, codecs: int) -> Content:
        sizes = self.shown_sizes
        count, width, files = self._fitting(len(sizes))
        start = min(self.column, len(sizes) - count)
        shown = sizes[start : start + count]
        text = " " * self._left(names, codecs)
        for place, size in enumerate(shown):
            label = units.count(size)
            if place == 0 and start > 0:
                label = f"‹ {label}"
            if place == count - 1 and start + count < len(sizes):
                label = f"{label} ›"
            text += fit(label, width, right=True)
        text += fit("on disk", width, right=True) + (fit("files", width, right=True) if files else "")
        return Content.styled(text, "$dim")

    def _row(self, index: int, ticked: bool, one: Series, names: int, codecs: int) -> Content:
        sizes = self.shown_sizes
        count, width, files = self._fitting(len(sizes))
        start = min(self.column, len(sizes) - count)
        plain, strong = ("", "bold") if ticked else ("$dim", "$dim")
        parts: list[Content | tuple[str, str]] = [
            ("[x] " if ticked else "[ ] ", plain),
            (one.mark + " ", one.role if ticked else "$dim"),
            (fit(safe_text(one.backend, 40), names) + "  ", strong),
            (fit(_codec(one), min(codecs, 16)), "$dim"),
        ]
        for size in sizes[start : start + count]:
            text, style = self._cell(one.configuration, size, ticked)
            parts.append((fit(text, width, right=True), style))
        for text, style in self._usage(one.configuration, ticked)[: 2 if files else 1]:
            parts.append((fit(text, width, right=True), style))
        line = Content.assemble(*parts)
        line = Content.assemble(line, " " * max(0, self.size.width - line.cell_length))
        if index == self.cursor and self.has_focus:
            line = line.stylize("reverse" if self.app.no_color else "on $cursor")
        return line

    def _cell(self, configuration: str, size: int, ticked: bool) -> tuple[str, str]:
        """What one cell says: a figure, a share, a dot, or that it failed."""
        run = self.run
        if run is None:
            return ("·" if ticked else "", "$dim")
        if configuration not in run.plan.configurations or self.operation not in run.plan.operations:
            return "", ""
        key = (configuration, self.operation, size)
        trial = run.trial
        if trial is not None and (trial.configuration, trial.operation, trial.count) == key:
            return f"▸ {run.share * 100:.0f} %", "bold"
        figure = run.figures.get(key)
        if key in run.failures:
            return ("! failed", "$error") if run.failures[key].outcome == "failed" else ("skipped", "$dim")
        if figure is None or figure.seconds is None:
            return "·", "$dim"
        return units.seconds(figure.seconds), "" if figure.repeats >= run.plan.repeats else "$dim"

    def _usage(self, configuration: str, ticked: bool) -> list[tuple[str, str]]:
        """Allocated bytes and number of files at the largest size."""
        run = self.run
        if run is None or configuration not in run.plan.configurations:
            return [("·" if ticked and run is None else "", "$dim")] * 2
        for operation in run.plan.operations:
            figure = run.figures.get((configuration, operation, run.plan.sizes[-1]))
            if figure is not None and figure.bytes_allocated is not None:
                return [(units.size(figure.bytes_allocated), ""), (f"{figure.files or 0:,}", "")]
        return [("·", "$dim")] * 2


def _codec(one: Series) -> str:
    return safe_text(one.codec + (f" @{one.folder}" if one.folder else ""), 60)
